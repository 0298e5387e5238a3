import type { CommandIo } from "../terminal/io.ts";
import type { StatusFlags } from "./flags.ts";
export async function runStatus(_flags: StatusFlags, _io: CommandIo): Promise<number> {
  return 0;
}
