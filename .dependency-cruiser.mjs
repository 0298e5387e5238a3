/** Who may import whom: the direction between packages and the layers inside each package. */
const forbid = (name, comment, from, to) => ({ name, comment, severity: "error", from, to });

// Unit tests stand beside their source, and what they share stands in test/support.
const testSupport = "^test/support/";

export default {
  forbidden: [
    forbid(
      "no-circles",
      "a circle has no bottom to start reading at",
      {},
      { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    ),
    forbid(
      "shared-is-the-bottom",
      "shared knows neither side",
      { path: "^shared/src" },
      { path: "^(ca-worker|node-agent|test)/", pathNot: testSupport },
    ),
    forbid(
      "ca-knows-no-agent",
      "the CA and the agent meet in shared only",
      { path: "^ca-worker/src" },
      { path: "^(node-agent|test)/", pathNot: testSupport },
    ),
    forbid(
      "agent-knows-no-ca",
      "the CA and the agent meet in shared only",
      { path: "^node-agent/src" },
      { path: "^(ca-worker|test)/", pathNot: testSupport },
    ),
    forbid(
      "only-tests-use-test-support",
      "what tests share is no part of a program",
      { path: "^(shared|ca-worker|node-agent)/src", pathNot: "\\.test\\.ts$" },
      { path: "^test/" },
    ),
    forbid(
      "core-is-free-of-node",
      "the same CA runs on workerd, Lambda and Node",
      {
        path: "^(ca-worker|shared)/src",
        pathNot: ["^ca-worker/src/(entry/(node|aws)|entry/lambda\\.ts|cli|authority/make)", "\\.test\\.ts$"],
      },
      { dependencyTypes: ["core"] },
    ),
    forbid(
      "x509-is-in-no-start-up-path",
      "@peculiar/x509 takes 0.4 s to import",
      { path: "^(ca-worker|node-agent|shared)/src", pathNot: ["^ca-worker/src/authority/make/", "\\.test\\.ts$"] },
      { path: "node_modules/(@peculiar|reflect-metadata)" },
    ),
    forbid(
      "steps-meet-in-issue",
      "the steps of an issuance know types, never each other",
      {
        path: "^ca-worker/src/(authenticate|rate-limit|authorize|repeat|request|audit|respond)/",
        pathNot: "\\.test\\.ts$",
      },
      {
        path: "^ca-worker/src/(authenticate|rate-limit|authorize|repeat|request|audit|sign|respond)/",
        pathNot: ["^ca-worker/src/$1/", "^ca-worker/src/request/public-key\\.ts$"],
        dependencyTypesNot: ["type-only"],
      },
    ),
    forbid(
      "core-knows-no-entry",
      "platforms are at the rim",
      { path: "^ca-worker/src", pathNot: ["^ca-worker/src/(entry|cli)/", "\\.test\\.ts$"] },
      { path: "^ca-worker/src/(entry|cli)/" },
    ),
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: ["/dist/", "/gen/"] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.base.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default"],
      extensions: [".ts", ".js"],
    },
  },
};
