import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    name: "chaos",
    include: ["test/chaos/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 240_000,
    fileParallelism: false,
    // The timeline is to be read while it happens, line by line.
    disableConsoleIntercept: true,
  },
});
