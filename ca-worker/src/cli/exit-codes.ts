import type { SignetErrorCode } from "@signet/shared/errors";

/** How a command ends, after sysexits.h. */
export const ExitCode = {
  done: 0,
  /** A fault of ours; please report it. */
  internal: 1,
  /** Wrong usage, or a configuration that is wrong. */
  usage: 2,
  /** What was given to look at cannot be read, breaks a rule, or would be refused. */
  data: 65,
  /** Something that is needed is not there, or cannot be used now. */
  unavailable: 69,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

const byErrorCode: Partial<Record<SignetErrorCode, ExitCode>> = {
  "config-invalid": ExitCode.usage,
  "authority-invalid": ExitCode.unavailable,
  "authority-unavailable": ExitCode.unavailable,
  "source-unavailable": ExitCode.unavailable,
  "cannot-sign": ExitCode.unavailable,
  "issuer-unavailable": ExitCode.unavailable,
  "malformed-request": ExitCode.data,
  "malformed-der": ExitCode.data,
  "malformed-pem": ExitCode.data,
  "malformed-certificate": ExitCode.data,
  "malformed-csr": ExitCode.data,
  "malformed-token": ExitCode.data,
  "malformed-spiffe-id": ExitCode.data,
};

export function exitCodeOf(code: SignetErrorCode): ExitCode {
  return byErrorCode[code] ?? ExitCode.internal;
}

/** For `--help`. */
export const exitCodesHelp = `
Exit codes: 0 done; 2 wrong usage or configuration; 65 what was looked at is wrong; 69 something needed is not there or
cannot be used now; 1 a fault of the program.`;
