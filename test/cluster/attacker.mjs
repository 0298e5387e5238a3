// What a pod can do with nothing but Node: speak SDS on a Unix socket, and misbehave there.
//   ask SOCKET [TOKEN] [NAME]   asks for a secret; prints {"status", "message", "identity"}
//   flood SOCKET SECONDS [TOKEN]  opens connections and streams as fast as it can; prints {"connections", "refused"}
import { X509Certificate } from "node:crypto";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const path = "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets";
const [, , what, socket, ...rest] = process.argv;

/** A DiscoveryRequest with one resource name (field 3) in a gRPC frame. */
function request(name) {
  const text = Buffer.from(name);
  const message = Buffer.concat([Buffer.from([0x1a, text.length]), text]);
  const frame = Buffer.alloc(5);
  frame.writeUInt32BE(message.length, 1);
  return Buffer.concat([frame, message]);
}

function open(token, name) {
  const session = connectHttp2("http://localhost", { createConnection: () => connect(socket) });
  session.on("error", () => undefined);
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    ...(token ? { authorization: token } : {}),
  });
  stream.write(request(name));
  return { session, stream };
}

async function ask(token, name = "default") {
  const { session, stream } = open(token, name);
  const parts = [];
  const trailers = {};
  stream.on("response", (headers) => Object.assign(trailers, headers));
  stream.on("trailers", (headers) => Object.assign(trailers, headers));
  const outcome = await new Promise((resolve) => {
    session.on("error", (error) => resolve({ error: error.code }));
    stream.on("error", (error) => resolve({ error: error.code }));
    stream.on("end", () => resolve({ status: Number(trailers["grpc-status"]), message: trailers["grpc-message"] }));
    stream.on("data", (part) => {
      parts.push(part);
      const [pem] = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/.exec(Buffer.concat(parts)) ?? [];
      if (pem) resolve({ status: 0, identity: new X509Certificate(pem).subjectAltName });
    });
  });
  session.destroy();
  return outcome;
}

async function flood(seconds, token) {
  const end = Date.now() + Number(seconds) * 1_000;
  const sessions = new Set();
  let [connections, refused] = [0, 0];
  while (Date.now() < end) {
    for (let n = 0; n < 20; n++) {
      const { session, stream } = open(token, `name-${n}`);
      connections++;
      sessions.add(session);
      session.on("close", () => {
        refused++;
        sessions.delete(session);
      });
      stream.on("error", () => undefined);
      for (let more = 0; more < 10 && !session.destroyed; more++) {
        session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc" }).on("error", () => {});
      }
    }
    await sleep(20);
  }
  for (const session of sessions) session.destroy();
  return { connections, refused };
}

console.log(JSON.stringify(what === "flood" ? await flood(...rest) : await ask(...rest)));
process.exit(0);
