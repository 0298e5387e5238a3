import type { CommandIo } from "../terminal/io.ts";
import type { DoctorFlags } from "./flags.ts";
export async function runDoctor(_flags: DoctorFlags, _io: CommandIo): Promise<number> {
  return 0;
}
