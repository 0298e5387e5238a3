/**
 * The way to a certificate, first and next, as one state machine. A workload lives by it, and so does a token that the
 * CA has not judged yet, up to the certificate that makes it a workload's. What is not in the table changes nothing and
 * does nothing; `life.test.ts` holds the table against the code.
 *
 * | state     | event     | next      | does        |
 * | --------- | --------- | --------- | ----------- |
 * | idle      | attached  | asking    | ask         |
 * | idle      | given     | held      | take        |
 * | asking    | issued    | held      | take        |
 * | asking    | given     | landing   | take        |
 * | asking    | failed    | retrying  | wait        |
 * | asking    | refused   | refused   | wait, part  |
 * | asking    | alone     | idle      |             |
 * | asking    | tokenless | tokenless | wait, part  |
 * | held      | due       | asking    | ask         |
 * | held      | given     | held      | take        |
 * | landing   | issued    | held      | take        |
 * | landing   | given     | landing   | take        |
 * | landing   | failed    | held      |             |
 * | landing   | refused   | held      |             |
 * | landing   | due       | asking    |             |
 * | retrying  | due       | asking    | ask         |
 * | retrying  | given     | held      | take        |
 * | refused   | due       | asking    | ask         |
 * | refused   | token     | asking    | ask         |
 * | refused   | given     | held      | take        |
 * | tokenless | due       | asking    | ask         |
 * | tokenless | token     | asking    | ask         |
 * | tokenless | attached  | asking    | ask         |
 * | tokenless | given     | held      | take        |
 *
 * From every state but `gone`, `stopped` leads to `gone` and does `cease`; nothing leads out of it.
 *
 * States: `idle`, a certificate is wanted as soon as somebody is there for it; `asking`, one request is with the CA;
 * `held`, the newest certificate is in use and its renewal is planned; `landing`, the same, while the answer to a
 * request is still out that was not needed any more; `retrying`, the CA could not be asked, the next try is planned; `refused`,
 * the CA said no, and is asked again later or with another token; `tokenless`, every token has expired; `gone`.
 *
 * In all of them the certificate in use stays in use until its successor is there. That it has run out is no state: it
 * is looked at each time that it would be handed out.
 *
 * Events: `attached`, a stream has come; `due`, what was planned is due; `token`, the kubelet has brought a token;
 * `given`, another token of the same pod has brought a certificate; `issued`, `failed` and `refused`, the answer to the
 * request; `alone` and `tokenless`, nothing was asked, because no stream is there or no token holds; `stopped`.
 *
 * Effects: `ask` sends a request and drops what was planned; `take` puts a certificate to use and plans its renewal;
 * `wait` plans `due`; `part` ends the streams, so that their Envoys come back with a token that they read anew; `cease`
 * drops all that is planned.
 */
export const states = ["idle", "asking", "held", "landing", "retrying", "refused", "tokenless", "gone"] as const;
export type State = (typeof states)[number];

export const events = [
  "attached",
  "due",
  "token",
  "given",
  "issued",
  "failed",
  "refused",
  "alone",
  "tokenless",
  "stopped",
] as const;
export type Event = (typeof events)[number];

export type Effect = "ask" | "take" | "wait" | "part" | "cease";

export interface Step {
  readonly next: State;
  readonly effects: readonly Effect[];
}

const to = (next: State, ...effects: Effect[]): Step => ({ next, effects });
const given = to("held", "take");
const asks = to("asking", "ask");

const table: Readonly<Record<Exclude<State, "gone">, Readonly<Partial<Record<Event, Step>>>>> = {
  idle: { attached: asks, given },
  asking: {
    issued: to("held", "take"),
    given: to("landing", "take"),
    failed: to("retrying", "wait"),
    refused: to("refused", "wait", "part"),
    alone: to("idle"),
    tokenless: to("tokenless", "wait", "part"),
  },
  held: { due: asks, given },
  landing: {
    issued: to("held", "take"),
    given: to("landing", "take"),
    failed: to("held"),
    refused: to("held"),
    // The answer that is out is wanted again.
    due: to("asking"),
  },
  retrying: { due: asks, given },
  refused: { due: asks, token: asks, given },
  tokenless: { due: asks, token: asks, attached: asks, given },
};

/** What an event makes of a state. */
export function step(state: State, event: Event): Step {
  if (state === "gone") return to("gone");
  if (event === "stopped") return to("gone", "cease");
  return table[state][event] ?? to(state);
}
