import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { caConfig } from "../../../../test/support/ca-config.ts";
import { makeAuthorityText } from "../../../../test/support/ca-in-process.ts";
import { type Listening, listening } from "../../../../test/support/listening.ts";
import { TokenIssuer } from "../../../../test/support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../../../../test/support/work-folder.ts";
import { systemTimer } from "../timer.ts";
import { createLambdaLogger } from "./log.ts";
import { start } from "./start.ts";

let folder: WorkFolder;
let authority: string;
let issuer: TokenIssuer;
beforeAll(async () => {
  [folder, authority, issuer] = await Promise.all([
    makeWorkFolder("lambda"),
    makeAuthorityText("cluster.local"),
    TokenIssuer.create(),
  ]);
});
afterAll(() => folder.remove());

let lines: Record<string, unknown>[];
beforeEach(() => {
  lines = [];
});
const begin = (environment: Readonly<Record<string, string>>, setTimer = systemTimer) => {
  const clock = () => Date.now() / 1000;
  const logger = createLambdaLogger({ write: (line) => lines.push(JSON.parse(line)), clock, debug: false });
  return start({
    ...{ environment, clock, setTimer, logger, folder: folder.path },
    fetch: (url, init) => fetch(url, init),
  });
};
const document = (more: Partial<Parameters<typeof caConfig>[0]> = {}) =>
  JSON.stringify(caConfig({ keys: issuer.jwks, store: "env:SIGNET_AUTHORITY", ...more }));
const ready = async (served: Awaited<ReturnType<typeof begin>>) => {
  const response = await served.answer(new Request("https://ca.test/readyz"));
  return { status: response.status, body: await response.text() };
};

describe("the configuration of the function", () => {
  test("is in the deployment package, with what it names", async () => {
    await writeFile(
      join(folder.path, "ca.jsonc"),
      `// ours\n${document({ keys: "file:jwks.json", store: "file:a.json" })}`,
    );
    await issuer.writeJwks(join(folder.path, "jwks.json"));
    await writeFile(join(folder.path, "a.json"), authority);
    expect(await ready(await begin({}))).toMatchObject({ status: 200 });
    expect(lines.map(({ event }) => event).sort()).toEqual(["authority", "issuer-keys"]);
  });

  test("in SIGNET_CONFIG takes the place of the package's", async () => {
    await writeFile(join(folder.path, "ca.jsonc"), "none");
    const served = await begin({ SIGNET_CONFIG: document(), SIGNET_AUTHORITY: authority });
    expect(await ready(served)).toMatchObject({ status: 200 });
    expect(lines).toMatchObject([{ level: "info", event: "authority" }]);
    await served.flush();
  });

  test.each([
    { what: "is none", environment: { SIGNET_CONFIG: "{" }, says: ["SIGNET_CONFIG"] },
    {
      what: "asks for what Lambda has not",
      environment: {
        SIGNET_CONFIG: JSON.stringify({
          trustDomain: "cluster.local",
          authority: { store: "kubernetes:a/b" },
          issuers: [{ issuer: "in-cluster", audiences: ["signet-ca"] }],
        }),
      },
      says: ["authority.store", "issuers.0.issuer"],
    },
  ])("that $what makes every answer a 503, and is told once", async ({ environment, says }) => {
    const served = await begin(environment);
    for (let n = 0; n < 2; n++) {
      const { status, body } = await ready(served);
      expect(status).toBe(503);
      expect(JSON.parse(body)).toMatchObject({ type: "urn:signet:problem:cannot-sign" });
      expect(body).not.toContain("SIGNET_CONFIG");
    }
    expect(lines).toMatchObject([{ level: "error", event: "config", code: "config-invalid" }]);
    for (const part of says) expect(lines[0]?.error).toContain(part);
    await served.flush();
  });

  test("can be missing: the log says where it is looked for", async () => {
    const empty = await makeWorkFolder("lambda");
    const clock = () => 0;
    const logger = createLambdaLogger({ write: (line) => lines.push(JSON.parse(line)), clock, debug: false });
    await start({ environment: {}, folder: empty.path, clock, setTimer: systemTimer, logger, fetch });
    expect(lines[0]?.error).toMatch(/no ca\.jsonc \(ENOENT\), and SIGNET_CONFIG is not set/);
    await empty.remove();
  });
});

describe("the init phase", () => {
  let server: Server;
  let running: Listening;
  let requests: string[] = [];
  let hold = false;
  let endpoint: string;
  beforeAll(async () => {
    server = createServer((request, response) => {
      requests.push(`${request.method} ${request.url}`);
      if (hold) return;
      const isSecret = request.headers["x-amz-target"] === "secretsmanager.GetSecretValue";
      response.end(JSON.stringify(isSecret ? { SecretString: authority } : issuer.jwks));
    });
    running = await listening(server);
    endpoint = running.url;
  });
  afterAll(() => running.stop());
  beforeEach(() => {
    [requests, hold] = [[], false];
  });
  const environment = () => ({
    SIGNET_CONFIG: document({ keys: `${endpoint}/jwks`, store: "aws-secretsmanager:signet/authority" }),
    AWS_REGION: "eu-central-1",
    AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
    AWS_SECRET_ACCESS_KEY: "key",
    AWS_ENDPOINT_URL_SECRETS_MANAGER: endpoint,
  });

  test("reads authorities and keys, so that the first request asks nobody", async () => {
    const served = await begin(environment());
    expect(requests.sort()).toEqual(["GET /jwks", "POST /"]);
    expect(await ready(served)).toMatchObject({ status: 200 });
    expect(requests).toHaveLength(2);
  });

  test("ends after 8 s when they do not come, and the first request asks again", async () => {
    hold = true;
    const bothAsked = new Promise<void>((resolve) => {
      server.on("request", () => requests.length === 2 && resolve());
    });
    let timeIsUp = () => {};
    const starting = begin(environment(), (run, milliseconds) => {
      if (milliseconds === 8_000) timeIsUp = run;
      return () => {};
    });
    await bothAsked;
    timeIsUp();
    const served = await starting;
    hold = false;
    expect(await ready(served)).toMatchObject({ status: 200 });
  });

  test("goes on without them when they are refused", async () => {
    const { AWS_ACCESS_KEY_ID: _, ...without } = environment();
    const served = await begin(without);
    expect(await ready(served)).toMatchObject({ status: 503 });
    expect(lines).toContainEqual(
      expect.objectContaining({ event: "authority", error: expect.stringContaining("AWS_ACCESS_KEY_ID is not set") }),
    );
  });
});
