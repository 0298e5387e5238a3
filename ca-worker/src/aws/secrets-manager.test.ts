import type { IncomingHttpHeaders } from "node:http";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Listening, startHttp } from "../../../test/support/listening.ts";
import { type Environment, environmentCredentials } from "./credentials.ts";
import type { AwsDeps } from "./json-service.ts";
import { parseSecretName, type SecretName } from "./secret-name.ts";
import { secretSource } from "./secrets-manager.ts";

// Keys and secrets of the shapes that AWS has; none of them is anybody's.
const accessKeyId = "AKIDEXAMPLE";
const secretAccessKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const sessionToken = "session-token-of-the-role";
const arn = "arn:aws:secretsmanager:eu-west-3:123456789012:secret:signet/authority-AbCdEf";

describe("the name of a secret", () => {
  test.each([
    { text: "signet", region: undefined },
    { text: "signet/authority", region: undefined },
    { text: "a/b_c+d=e.f@g-1", region: undefined },
    { text: arn, region: "eu-west-3" },
    { text: arn.replace("arn:aws:", "arn:aws-us-gov:").replace("eu-west-3", "us-gov-west-1"), region: "us-gov-west-1" },
    { text: arn.replace("arn:aws:", "arn:aws-cn:").replace("eu-west-3", "cn-north-1"), region: "cn-north-1" },
  ])("is $text", ({ text, region }) => {
    expect(parseSecretName(text)).toEqual({ id: text, region });
  });

  test.each([
    "",
    "a b",
    "a\n",
    "a:b",
    "ä",
    "a?b",
    "a".repeat(513),
    arn.replace(":secretsmanager:", ":kms:"),
    arn.replace("eu-west-3", "evil.example"),
    arn.replace("eu-west-3", "evil-"),
    arn.replace("123456789012", "1"),
    `${arn}:key:AWSPREVIOUS:`,
    arn.replace("signet/authority-AbCdEf", ""),
  ])("is not %j", (text) => {
    expect(parseSecretName(text)).toBeUndefined();
  });
});

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}
interface Seen {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

describe("a secret as a text", () => {
  let server: Listening;
  let endpoint: string;
  let answers: (Answer | "reset" | "silent")[] = [];
  let seen: Seen[] = [];
  let pauses: number[] = [];
  beforeAll(async () => {
    server = await startHttp((request, response) => {
      let body = "";
      request.setEncoding("utf8").on("data", (part: string) => {
        body += part;
      });
      request.on("end", () => {
        seen.push({ headers: request.headers, body });
        const answer = answers.length > 1 ? answers.shift() : answers[0];
        if (answer === "reset") request.socket.destroy();
        else if (answer !== "silent") response.writeHead(answer?.status ?? 500, answer?.headers).end(answer?.body);
      });
    });
    endpoint = server.url;
  });
  afterEach(() => {
    [answers, seen, pauses] = [[], [], []];
  });
  afterAll(() => server.stop());

  const full: Environment = {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
    AWS_REGION: "eu-central-1",
  };
  const read = (environment: Environment = {}, secret = "signet/authority", fetchInstead?: typeof fetch) => {
    const set = { AWS_ENDPOINT_URL_SECRETS_MANAGER: endpoint, ...full, ...environment };
    const deps: AwsDeps = {
      fetch: fetchInstead === undefined ? fetch : (url, init) => fetchInstead(url, init),
      clock: () => Date.parse("2026-11-25T10:00:00.5Z") / 1000,
      credentials: environmentCredentials(set),
      environment: set,
      pause: async (ms) => {
        pauses.push(ms);
      },
    };
    return Promise.resolve(secretSource(parseSecretName(secret) as SecretName, deps).read());
  };
  const secret = (members: object): Answer => ({ status: 200, body: JSON.stringify(members) });
  const fault = (type: string, status = 400): Answer => ({
    status,
    body: JSON.stringify({ __type: type, Message: `about arn:aws:sts::1:assumed-role/x and ${sessionToken}` }),
  });

  test("is what AWSCURRENT holds, asked for with a signed request", async () => {
    answers = [secret({ Name: "signet/authority", SecretString: '{"sequence": 1}' })];
    expect(await read()).toBe('{"sequence": 1}');
    expect(seen).toHaveLength(1);
    expect(seen[0]?.headers).toMatchObject({
      "content-type": "application/x-amz-json-1.1",
      "x-amz-target": "secretsmanager.GetSecretValue",
      "x-amz-date": "20261125T100000Z",
      "x-amz-security-token": sessionToken,
      authorization: expect.stringMatching(
        /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/20261125\/eu-central-1\/secretsmanager\/aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token;x-amz-target, Signature=[0-9a-f]{64}$/,
      ),
    });
    expect(JSON.parse(seen[0]?.body ?? "")).toEqual({ SecretId: "signet/authority", VersionStage: "AWSCURRENT" });
  });

  test("of an ARN is asked for in the ARN's region", async () => {
    answers = [secret({ SecretString: "text" })];
    expect(await read({ AWS_REGION: undefined }, arn)).toBe("text");
    expect(seen[0]?.headers.authorization).toContain("/20261125/eu-west-3/secretsmanager/");
    expect(JSON.parse(seen[0]?.body ?? "").SecretId).toBe(arn);
  });

  test.each([
    { region: "eu-central-1", host: "secretsmanager.eu-central-1.amazonaws.com" },
    { region: "us-gov-west-1", host: "secretsmanager.us-gov-west-1.amazonaws.com" },
    { region: "cn-north-1", host: "secretsmanager.cn-north-1.amazonaws.com.cn" },
    { region: "us-east-1", host: "secretsmanager-fips.us-east-1.amazonaws.com", fips: "true" },
  ])("is asked for at $host", async ({ region, host, fips }) => {
    const asked: string[] = [];
    const fetchInstead: typeof fetch = async (url) => {
      asked.push(String(url));
      return Response.json({ SecretString: "text" });
    };
    const environment = {
      ...{ AWS_REGION: region, AWS_ENDPOINT_URL_SECRETS_MANAGER: undefined },
      AWS_USE_FIPS_ENDPOINT: fips,
    };
    expect(await read(environment, "signet", fetchInstead)).toBe("text");
    expect(asked).toEqual([`https://${host}/`]);
  });

  test.each([
    { type: "ResourceNotFoundException", says: "no such secret" },
    { type: "AccessDeniedException", says: "secretsmanager:GetSecretValue" },
    { type: "DecryptionFailure", says: "kms:Decrypt" },
    { type: "InvalidRequestException", says: "scheduled for deletion" },
    { type: "com.amazonaws.secretsmanager#ExpiredTokenException", says: "AWS_ACCESS_KEY_ID" },
    { type: "UnrecognizedClientException:http://internal.amazon.com/", says: "AWS_ACCESS_KEY_ID" },
    { type: "ValidationException", says: "400 ValidationException" },
    { type: "<script>", says: "an error of no name" },
  ])("that AWS refuses with $type is not asked for again, and its message says what to do", async ({ type, says }) => {
    answers = [fault(type)];
    const error = await read().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "source-unavailable" });
    expect((error as Error).message).toContain("secret signet/authority in eu-central-1: ");
    expect((error as Error).message).toContain(says);
    expect(`${error} ${JSON.stringify(error)}`).not.toMatch(/assumed-role|session-token|wJalr|AKID/);
    expect(seen).toHaveLength(1);
  });

  test("reads the name of an error from its header too", async () => {
    answers = [{ status: 400, body: "", headers: { "x-amzn-errortype": "AccessDeniedException" } }];
    await expect(read()).rejects.toMatchObject({ message: expect.stringContaining("secretsmanager:GetSecretValue") });
  });

  test.each([
    { what: "a fault of AWS", first: fault("InternalServiceError", 500) },
    { what: "throttling", first: fault("ThrottlingException") },
    { what: "too many requests", first: { status: 429, body: "" } },
    { what: "a connection that died", first: "reset" as const },
  ])("is asked for again after $what", async ({ first }) => {
    answers = [first, first, secret({ SecretString: "text" })];
    expect(await read()).toBe("text");
    expect(pauses).toEqual([50, 250]);
    // Node may itself try a request again whose kept connection was closed.
    expect(seen.length).toBeGreaterThanOrEqual(3);
  });

  test("is given up after three tries", async () => {
    answers = [fault("ServiceUnavailable", 503)];
    await expect(read()).rejects.toMatchObject({
      code: "source-unavailable",
      message: expect.stringContaining("503 ServiceUnavailable"),
    });
    expect(seen).toHaveLength(3);
  });

  test("gives up at once on a place that does not answer, and names it", async () => {
    let asked = 0;
    const timeout: typeof fetch = async () => {
      asked++;
      throw new DOMException("The operation was aborted due to timeout", "TimeoutError");
    };
    await expect(read({}, "signet", timeout)).rejects.toMatchObject({
      code: "source-unavailable",
      retryAfterSeconds: 2,
      message: `${new URL(endpoint).host} does not answer within 2 s`,
    });
    expect(asked).toBe(1);
    answers = ["reset"];
    await expect(read()).rejects.toMatchObject({ message: expect.stringContaining("cannot be asked") });
  });

  test.each([
    { what: "binary data", body: JSON.stringify({ SecretBinary: "AAAA" }), says: "SecretString" },
    { what: "no object", body: '"text"', says: "no JSON object" },
    { what: "no JSON", body: "SECRET {", says: "no JSON object" },
    {
      what: "too much",
      body: JSON.stringify({ SecretString: "x".repeat(600_000) }),
      says: "an answer of more than 524288 bytes",
    },
  ])("cannot be $what", async ({ body, says }) => {
    answers = [{ status: 200, body }];
    const error = await read().catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: "source-unavailable", message: expect.stringContaining(says) });
    expect(String(error)).not.toContain("SECRET");
  });

  test("follows no redirect", async () => {
    answers = [{ status: 302, body: "", headers: { location: `${endpoint}/elsewhere` } }];
    await expect(read()).rejects.toMatchObject({ message: expect.stringContaining("AWS answers 302") });
    expect(seen).toHaveLength(1);
  });

  test.each([
    { lacks: "AWS_ACCESS_KEY_ID", environment: { AWS_ACCESS_KEY_ID: undefined } },
    { lacks: "AWS_SECRET_ACCESS_KEY", environment: { AWS_SECRET_ACCESS_KEY: "" } },
    { lacks: "AWS_REGION", environment: { AWS_REGION: undefined } },
    { lacks: "AWS_REGION", environment: { AWS_REGION: "evil.example/" } },
    {
      lacks: "AWS_ENDPOINT_URL_SECRETS_MANAGER",
      environment: { AWS_ENDPOINT_URL_SECRETS_MANAGER: "http://a.example" },
    },
    { lacks: "AWS_ENDPOINT_URL_SECRETS_MANAGER", environment: { AWS_ENDPOINT_URL_SECRETS_MANAGER: "secrets" } },
    {
      lacks: "AWS_ENDPOINT_URL",
      environment: { AWS_ENDPOINT_URL_SECRETS_MANAGER: undefined, AWS_ENDPOINT_URL: "ftp://a.example" },
    },
  ])("cannot be had without $lacks, and nothing is sent", async ({ lacks, environment }) => {
    answers = [secret({ SecretString: "text" })];
    await expect(read(environment)).rejects.toMatchObject({
      code: "source-unavailable",
      message: expect.stringContaining(lacks),
    });
    expect(seen).toEqual([]);
  });
});
