import type { SignetError } from "@signet/shared/errors";
import { blamesCa, isRefusal } from "./problem.ts";

/** What became of one job of a request: an answer that was checked and taken, or why not. */
export type Outcome<Result> = { readonly value: Result } | { readonly error: SignetError };

/** Whether the CA has said what it had to say. */
export function isAnswer(outcome: Outcome<unknown>): boolean {
  return "value" in outcome || isRefusal(outcome.error);
}

/** What an endpoint is set aside for: a wrong answer, even one among many, or nothing but failures of its own. */
export function faultOf(outcomes: readonly Outcome<unknown>[]): SignetError | undefined {
  const errors = outcomes.flatMap((outcome) => ("error" in outcome ? [outcome.error] : []));
  const wrong = errors.find(({ code }) => code === "ca-answer-invalid");
  return wrong ?? (errors.length === outcomes.length && errors.every(blamesCa) ? errors[0] : undefined);
}
