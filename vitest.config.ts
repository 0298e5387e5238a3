import { defineConfig } from "vitest/config";

// Most of their time they wait: for a page to follow, for a timeout, for an agent to look again.
const patient = ["test/agent/{doctor-ca,page,mounted-directory,restart}.test.ts", "test/integration/proxy.test.ts"];
const realPrograms = { testTimeout: 60_000, hookTimeout: 120_000 };

export default defineConfig({
  test: {
    // Groups run one after the other: real programs share the cores with nobody but each other.
    projects: [
      {
        test: {
          name: "unit",
          include: ["{shared,ca-worker,node-agent}/src/**/*.test.ts"],
          testTimeout: 20_000,
          maxWorkers: "100%",
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: "system",
          include: ["test/{agent,integration,bundle}/**/*.test.ts"],
          exclude: patient,
          ...realPrograms,
          // Files side by side would only make each other late.
          fileParallelism: false,
          // Most of the time would be loading the same modules again.
          isolate: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: "contract",
          include: ["test/contract/**/*.test.ts"],
          ...realPrograms,
          fileParallelism: false,
          // They share the CAs that they ask.
          isolate: false,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts", ...patient],
          ...realPrograms,
          // Most of their time they wait for certificates to grow old.
          maxWorkers: 4,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
