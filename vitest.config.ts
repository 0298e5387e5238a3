import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["{shared,ca-worker,node-agent}/src/**/*.test.ts"],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "system",
          include: ["test/{contract,agent,integration,e2e,bundle}/**/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
          // Real programs share two cores; files side by side would only make each other late.
          fileParallelism: false,
        },
      },
    ],
  },
});
