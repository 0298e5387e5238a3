import { createServer, type Socket } from "node:net";

export interface ClosedDoor {
  /** How often somebody knocked. */
  knocks(): number;
  open(): Promise<void>;
}

/** Stands on the port of a program that is down and turns everybody away, so that a test sees who tries. */
export async function closeDoor(port: number): Promise<ClosedDoor> {
  let knocks = 0;
  const server = createServer((socket: Socket) => {
    knocks++;
    socket.on("error", () => undefined).destroy();
  });
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  return { knocks: () => knocks, open: () => new Promise((resolve) => server.close(() => resolve())) };
}
