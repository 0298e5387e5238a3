/** The outside world as plain arguments, so that core code names no runtime and tests can hold the clock. */

/** Seconds since the Unix epoch, with fractions. */
export type Clock = () => number;

export type Fetch = (url: string, init?: RequestInit) => Promise<Response>;

export type Cancel = () => void;

/** Runs `run` once after `milliseconds`, which never exceeds what a timer can hold. */
export type SetTimer = (run: () => void, milliseconds: number) => Cancel;

/** A value, or a promise of it: what runs without waiting on one platform may have to wait on another. */
export type Awaitable<T> = T | Promise<T>;

/** Values that may stand in a log line. Never a token, a key, a CSR or a certificate. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined | readonly string[]>>;

export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
}
