import type { SetTimer } from "@signet/shared/deps";
import type { SignetError } from "@signet/shared/errors";

/**
 * What `work` comes to, unless that takes too long; then it goes on without anybody who waits for it.
 * @throws what `tooLate` gives after `milliseconds`
 */
export async function within<Result>(
  milliseconds: number,
  setTimer: SetTimer,
  work: Promise<Result>,
  tooLate: () => SignetError,
): Promise<Result> {
  let cancel = () => {};
  const late = new Promise<never>((_resolve, reject) => {
    cancel = setTimer(() => reject(tooLate()), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    cancel();
  }
}
