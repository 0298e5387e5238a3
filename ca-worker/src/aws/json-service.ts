import type { Clock, Fetch } from "@signet/shared/deps";
import { asSignetError, SignetError } from "@signet/shared/errors";
import { isLoopbackHost } from "@signet/shared/url";
import { AwsV4Signer } from "aws4fetch";
import { readBoundedText } from "../bounded-text.ts";
import type { CredentialSource, Environment } from "./credentials.ts";

/** What calls to AWS need of a platform. */
export interface AwsDeps {
  readonly fetch: Fetch;
  readonly clock: Clock;
  readonly credentials: CredentialSource;
  /**
   * Has AWS_REGION where a location names none; perhaps AWS_USE_FIPS_ENDPOINT, and endpoints in place of AWS' own. All as in
   * AWS' SDKs.
   */
  readonly environment: Environment;
  /** Waits that many milliseconds. */
  readonly pause: (ms: number) => Promise<void>;
}

/** A service of AWS that speaks JSON 1.1, such as Secrets Manager and KMS. */
export interface AwsService {
  /** Its name in signatures and host names: `secretsmanager`. */
  readonly name: string;
  /** Before the operation in `x-amz-target`. */
  readonly targetPrefix: string;
  /** The variable that names another endpoint, such as a VPC's or a test's. */
  readonly endpointVariable: string;
}

/** An answer of AWS that is an error, by its name of a list that the service documents. */
export class AwsRefusal extends Error {
  override readonly name = "AwsRefusal";
  readonly error: string;
  readonly status: number;

  constructor(error: string, status: number) {
    super(`AWS answers ${status} ${error}`);
    this.error = error;
    this.status = status;
  }
}

// AWS answers such calls within tens of milliseconds.
const timeoutMs = 2_000;
const pausesMs = [50, 250] as const;
// A secret is at most 64 KiB, in JSON at most six times that.
const maxAnswerBytes = 512 * 1024;

/**
 * Calls an operation. What can pass by itself is tried again: a connection that died while the function was frozen,
 * throttling, a fault on AWS' side. No answer at all is not: somebody may be waiting who can do with what was read before.
 * @throws AwsRefusal for an error of AWS that does not pass, SignetError `source-unavailable` for the rest
 */
export async function callAws(
  service: AwsService,
  region: string,
  operation: string,
  input: object,
  deps: AwsDeps,
): Promise<Readonly<Record<string, unknown>>> {
  const url = endpointOf(service, region, deps.environment);
  const credentials = await deps.credentials();
  for (let attempt = 0; ; attempt++) {
    // Signed anew each time: a signature holds for minutes, and a function may be frozen in between.
    const signer = new AwsV4Signer({
      method: "POST",
      url,
      headers: {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": `${service.targetPrefix}.${operation}`,
        "user-agent": "signet-ca",
      },
      body: JSON.stringify(input),
      accessKeyId: credentials.accessKeyId,
      secretAccessKey: credentials.secretAccessKey,
      ...(credentials.sessionToken !== undefined && { sessionToken: credentials.sessionToken }),
      service: service.name,
      region,
      datetime: new Date(deps.clock() * 1000).toISOString().replace(/[:-]|\.\d{3}/g, ""),
    });
    const outcome = await send(await signer.sign(), url, deps.fetch);
    if (!(outcome instanceof Error)) return outcome;
    const pause = pausesMs[attempt];
    if (pause === undefined || !passes(outcome)) throw outcome;
    await deps.pause(pause);
  }
}

interface Signed {
  readonly headers: Headers;
  readonly body?: BodyInit | null;
}

async function send(
  { headers, body }: Signed,
  url: string,
  fetch: Fetch,
): Promise<Record<string, unknown> | AwsRefusal | SignetError> {
  let status: number;
  let text: string;
  let named: string | null;
  try {
    const response = await fetch(url, {
      method: "POST",
      headers,
      body: body ?? null,
      // A redirect would take the signed request to another host.
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
    });
    status = response.status;
    named = response.headers.get("x-amzn-errortype");
    text = await readBoundedText(response, maxAnswerBytes);
  } catch (error) {
    return unavailable(url, describe(error), error);
  }
  const answer = readObject(text);
  if (status === 200) return answer ?? unavailable(url, "answers no JSON object");
  return new AwsRefusal(errorName(named ?? answer?.__type), status);
}

function passes(outcome: AwsRefusal | SignetError): boolean {
  if (outcome instanceof SignetError) return !isTimeout(outcome.cause);
  return outcome.status >= 500 || outcome.status === 429 || /throttl|toomanyrequests/i.test(outcome.error);
}

/** `com.amazonaws.x#NameOfError:http://…` is how the protocol may spell a name. No more of an answer goes into messages. */
function errorName(spelt: unknown): string {
  const name = typeof spelt === "string" ? spelt.replace(/^.*#/, "").replace(/:.*$/, "") : "";
  return /^[A-Za-z]{1,80}$/.test(name) ? name : "with an error of no name";
}

/** @throws SignetError `source-unavailable` for a region or an endpoint that is none */
function endpointOf({ name, endpointVariable }: AwsService, region: string, environment: Environment): string {
  const variable = [endpointVariable, "AWS_ENDPOINT_URL"].find((one) => environment[one]);
  if (variable === undefined) {
    const suffix = region.startsWith("cn-") ? "amazonaws.com.cn" : "amazonaws.com";
    const fips = environment.AWS_USE_FIPS_ENDPOINT === "true" ? "-fips" : "";
    return `https://${name}${fips}.${region}.${suffix}/`;
  }
  const text = environment[variable] ?? "";
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // What is answered is a key of the CA.
  const safe = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopbackHost(url.hostname));
  if (url === undefined || !safe) {
    throw new SignetError("source-unavailable", `${variable} must be an https URL (http on a loopback address only)`);
  }
  return url.href;
}

function unavailable(url: string, reason: string, cause?: unknown): SignetError {
  return new SignetError("source-unavailable", `${new URL(url).host} ${reason}`, { cause, retryAfterSeconds: 2 });
}

function describe(error: unknown): string {
  if (isTimeout(error)) return `does not answer within ${timeoutMs / 1000} s`;
  // fetch tells what happened to the connection in its error's cause alone.
  const { cause } = error as { cause?: unknown };
  return `cannot be asked: ${asSignetError(cause instanceof Error ? cause : error, "source-unavailable").message}`;
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === "TimeoutError";
}

function readObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    // The parser's message quotes the text.
    return undefined;
  }
}
