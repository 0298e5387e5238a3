/** A promise of the demo that did not hold. */
export class CheckFailed extends Error {
  /** Name and end of the logs that may tell why. */
  readonly logs: readonly (readonly [name: string, tail: string])[];

  constructor(message: string, logs: CheckFailed["logs"] = []) {
    super(message);
    this.logs = logs;
  }
}
