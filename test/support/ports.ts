import { createServer } from "node:net";

// Below Linux's range for outgoing connections (32768 and up), so that no connection of a test takes a port between the
// moment it is picked here and the moment a program listens on it.
const lowest = 20_000;
const highest = 32_000;
const given = new Set<number>();

/** A TCP port of 127.0.0.1 on which nobody listens, never the same one twice in a process. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest));
    if (given.has(port) || !(await canListen(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error(`no free port between ${lowest} and ${highest} on 127.0.0.1`);
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
