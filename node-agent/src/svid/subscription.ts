import type { SignetError } from "@signet/shared/errors";
import type { EncodedSecret } from "../sds/secret.ts";
import type { Workload } from "./workload.ts";

export interface Subscriber {
  /** There is a secret that was not there before. */
  readonly onChange: () => void;
  /** The subscription is over, for this reason. */
  readonly onEnd: (error: SignetError) => void;
}

/** One stream's hold on a workload's secret; empty until the CA has accepted the stream's token. */
export class Subscription {
  readonly subscriber: Subscriber;
  readonly #release: (subscription: Subscription) => void;
  workload: Workload | undefined;
  #closed = false;

  constructor(subscriber: Subscriber, release: (subscription: Subscription) => void) {
    this.subscriber = subscriber;
    this.#release = release;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  current(): EncodedSecret | undefined {
    return this.#closed ? undefined : this.workload?.secret();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#release(this);
  }
}
