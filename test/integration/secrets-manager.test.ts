import { environmentCredentials } from "@signet/ca/aws/credentials";
import { parseSecretName, type SecretName } from "@signet/ca/aws/secret-name";
import { secretSource } from "@signet/ca/aws/secrets-manager";
import { podCluster } from "@signet/ca/entry/node/kubernetes/access";
import { nodePlatform } from "@signet/ca/entry/node/platform";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { caConfig } from "../support/ca-config.ts";
import { makeAuthorityText } from "../support/ca-in-process.ts";
import { startCaInLambda } from "../support/ca-lambda.ts";
import { type Moto, motoRegion, startMoto } from "../support/moto.ts";
import { makeLogger } from "../support/test-logger.ts";
import { TokenIssuer } from "../support/token-issuer.ts";
import { makeWorkFolder, type WorkFolder } from "../support/work-folder.ts";

// moto checks signatures by AWS' own code (botocore), and policies by IAM's rules.
describe("AWS Secrets Manager", () => {
  let folder: WorkFolder;
  let moto: Moto;
  let allowed: Record<string, string>;
  let stranger: Record<string, string>;
  let arn: string;
  let authority: string;

  beforeAll(async () => {
    folder = await makeWorkFolder("moto");
    [moto, authority] = await Promise.all([startMoto(folder.path), makeAuthorityText("cluster.local")]);
    allowed = await makeUser("signet-ca", ["secretsmanager:GetSecretValue"]);
    stranger = await makeUser("stranger", ["secretsmanager:DescribeSecret"]);
    const created = await moto.call("secretsmanager", "CreateSecret", {
      Name: "signet/authority",
      SecretString: authority,
    });
    arn = JSON.parse(created).ARN;
    await moto.call("secretsmanager", "CreateSecret", { Name: "binary", SecretBinary: "AAAA" });
    await moto.call("secretsmanager", "CreateSecret", { Name: "rotated", SecretString: "old" });
    await moto.call("secretsmanager", "PutSecretValue", { SecretId: "rotated", SecretString: "current" });
    await moto.call("secretsmanager", "PutSecretValue", {
      ...{ SecretId: "rotated", SecretString: "pending", VersionStages: ["AWSPENDING"] },
      ClientRequestToken: "11111111-2222-3333-4444-555555555555",
    });
    await moto.call("secretsmanager", "CreateSecret", { Name: "deleted", SecretString: "x" });
    await moto.call("secretsmanager", "DeleteSecret", { SecretId: "deleted" });
    await moto.enforce();
  });
  afterEach(() => {
    vi.unstubAllEnvs();
  });
  afterAll(async () => {
    await moto?.stop();
    await folder?.remove();
  });

  async function makeUser(name: string, actions: readonly string[]): Promise<Record<string, string>> {
    await moto.call("iam", "CreateUser", { UserName: name });
    const Statement = [{ Effect: "Allow", Action: actions, Resource: "*" }];
    const PolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement });
    await moto.call("iam", "PutUserPolicy", { UserName: name, PolicyName: "p", PolicyDocument });
    const xml = await moto.call("iam", "CreateAccessKey", { UserName: name });
    const member = (tag: string) => new RegExp(`<${tag}>([^<]+)<`).exec(xml)?.[1] ?? "";
    return {
      AWS_ACCESS_KEY_ID: member("AccessKeyId"),
      AWS_SECRET_ACCESS_KEY: member("SecretAccessKey"),
      AWS_REGION: motoRegion,
      AWS_ENDPOINT_URL_SECRETS_MANAGER: moto.url,
    };
  }
  const read = async (id: string, environment = allowed) =>
    secretSource(parseSecretName(id) as SecretName, {
      fetch: (url, init) => fetch(url, init),
      clock: () => Date.now() / 1000,
      credentials: environmentCredentials(environment),
      environment,
      pause: async () => {},
    }).read();

  test("gives a secret by its name and by its ARN, wherever the function is", async () => {
    expect(await read("signet/authority")).toBe(authority);
    expect(await read(arn, { ...allowed, AWS_REGION: "us-east-1" })).toBe(authority);
  });

  test("gives the current version while another is pending", async () => {
    expect(await read("rotated")).toBe("current");
  });

  test.each([
    { what: "a name that is nobody's", id: "nothing", says: "no such secret" },
    {
      what: "a secret in another region",
      id: "signet/authority",
      more: { AWS_REGION: "us-east-1" },
      says: "in us-east-1",
    },
    { what: "a secret that is being deleted", id: "deleted", says: "scheduled for deletion" },
    { what: "a binary secret", id: "binary", says: "binary data" },
  ])("says what is wrong: $what", async ({ id, more, says }) => {
    await expect(read(id, { ...allowed, ...more })).rejects.toMatchObject({
      code: "source-unavailable",
      message: expect.stringContaining(says),
    });
  });

  // AWS names these errors in JSON, which the unit tests have; moto names them in XML.
  test.each([
    { what: "whose signature is wrong", environment: () => ({ ...allowed, AWS_SECRET_ACCESS_KEY: "another" }) },
    { what: "whose key is nobody's", environment: () => ({ ...allowed, AWS_ACCESS_KEY_ID: "AKIA0" }) },
    { what: "who may not read it", environment: () => stranger },
  ])("gives nothing to somebody $what", async ({ environment }) => {
    await expect(read("signet/authority", environment())).rejects.toMatchObject({
      message: expect.stringContaining("AWS answers 403"),
    });
  });

  test("holds the authority of a Lambda function", async () => {
    const issuer = await TokenIssuer.create();
    const ca = await startCaInLambda({
      folder: folder.path,
      config: caConfig({ keys: issuer.jwks }),
      store: "aws-secretsmanager:signet/authority",
      environment: allowed,
    });
    const bundle = (await (await fetch(`${ca.url}/v1/trust-bundle`)).json()) as { roots: string[] };
    expect(authority).toContain(JSON.stringify(bundle.roots[0]));
    await ca.stop();
  });

  test("is open to the CA on Node too", async () => {
    for (const [name, value] of Object.entries(allowed)) vi.stubEnv(name, value);
    const logger = makeLogger();
    const node = nodePlatform({ folder: folder.path, logger, cluster: podCluster, clusterIssuer: undefined });
    expect(await node.open("aws-secretsmanager:signet/authority")?.read()).toBe(authority);
  });
});
