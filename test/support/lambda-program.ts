/**
 * The deployment package in LAMBDA_TASK_ROOT as Lambda runs it, behind a small HTTP server in place of a function URL or an
 * HTTP API. Its handler sees nothing but JSON, one event at a time.
 * Usage: lambda-program.ts PORT FRONT-AS-JSON
 */
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { eventOf, type LambdaFront, maxPayloadBytes } from "./lambda-events.ts";

const [port, frontText] = process.argv.slice(2);
const { LAMBDA_TASK_ROOT: folder } = process.env;
if (port === undefined || frontText === undefined || folder === undefined) {
  throw new Error("port, front and LAMBDA_TASK_ROOT are needed");
}
const front = JSON.parse(frontText) as LambdaFront;
// As infra/aws/template.yaml has it.
const timeoutMs = 15_000;

interface Context {
  readonly awsRequestId: string;
  getRemainingTimeInMillis(): number;
}
interface Result {
  readonly statusCode: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly cookies?: readonly string[];
  readonly body?: string;
  readonly isBase64Encoded?: boolean;
}
const { handler } = (await import(pathToFileURL(join(folder, "index.mjs")).href)) as {
  handler: (event: unknown, context: Context) => Promise<Result>;
};

// An execution environment has one invocation at a time.
let last: Promise<unknown> = Promise.resolve();
function invoke(event: string): Promise<Result> {
  const result = last.then(async () => {
    const end = Date.now() + timeoutMs;
    const context = { awsRequestId: randomUUID(), getRemainingTimeInMillis: () => end - Date.now() };
    const text = JSON.stringify(await handler(JSON.parse(event), context));
    return JSON.parse(text) as Result;
  });
  last = result.catch(() => undefined);
  return result;
}

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const parts: Buffer[] = [];
  for await (const part of request as AsyncIterable<Buffer>) parts.push(part);
  const { method = "", url: target = "", rawHeaders } = request;
  const event = JSON.stringify(eventOf({ method, target, rawHeaders, body: Buffer.concat(parts) }, front));
  if (Buffer.byteLength(event) > maxPayloadBytes) {
    response.writeHead(413, { "content-type": "application/json" }).end('{"message":"Request Entity Too Large"}');
    return;
  }
  const { statusCode, headers = {}, cookies = [], body = "", isBase64Encoded } = await invoke(event);
  response
    .writeHead(statusCode, { ...headers, ...(cookies.length > 0 && { "set-cookie": [...cookies] }) })
    .end(Buffer.from(body, isBase64Encoded === true ? "base64" : "utf8"));
}

const server = createServer({ maxHeaderSize: 64 * 1024 }, (request, response) => {
  serve(request, response).catch((error: unknown) => {
    process.stdout.write(`the handler failed: ${String(error)}\n`);
    response.writeHead(502, { "content-type": "application/json" }).end('{"message":"Internal Server Error"}');
  });
});
server.listen(Number(port), "127.0.0.1");
