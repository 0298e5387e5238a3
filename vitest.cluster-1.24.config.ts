import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    name: "cluster-1.24",
    include: ["test/cluster-1.24/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    fileParallelism: false,
  },
});
