import { SignetError } from "@signet/shared/errors";
import { beforeEach, describe, expect, test } from "vitest";
import { fetchSecrets } from "./fetch.ts";
import { everything, nodeWith, readResponse, request, TestSecrets } from "./test-secrets.ts";
import { validatorKey } from "./validator.ts";

let secrets: TestSecrets;
let abort: AbortController;
beforeEach(() => {
  secrets = new TestSecrets();
  abort = new AbortController();
});

const fetch = async (fields: Parameters<typeof request>[0]) =>
  readResponse(await fetchSecrets(secrets.options(), request(fields), abort.signal));

/** What has come of it once everything that was under way has had its turn. */
async function stateOf(promise: Promise<unknown>): Promise<"waits" | "done"> {
  let state: "waits" | "done" = "waits";
  const settle = () => {
    state = "done";
  };
  promise.then(settle, settle);
  await new Promise((resolve) => setImmediate(resolve));
  return state;
}

function nothingIsLeft(): void {
  expect(secrets.holds).toEqual([]);
  expect(secrets.metrics.openStreams.FetchSecrets).toBe(0);
}

describe("FetchSecrets", () => {
  test("gives what is asked for", async () => {
    secrets.change("svid");
    secrets.change("bundle");
    expect(await fetch({ resourceNames: ["ROOTCA", "default", "ROOTCA"] })).toMatchObject({
      names: ["ROOTCA", "default"],
    });
    nothingIsLeft();
  });

  test.each([{ asked: [] }, { asked: ["*"] }])("gives everything for $asked", async ({ asked }) => {
    secrets.change("svid");
    secrets.change("bundle");
    expect((await fetch({ resourceNames: asked })).names).toEqual(everything);
  });

  test("waits until the last of what is asked for is there", async () => {
    const answer = fetch({ resourceNames: ["default", "ROOTCA"] });
    expect(await stateOf(answer)).toBe("waits");
    secrets.change("bundle");
    expect(await stateOf(answer)).toBe("waits");
    secrets.change("svid");
    expect((await answer).names).toEqual(["default", "ROOTCA"]);
    nothingIsLeft();
  });

  test("leaves out a name that is not known, and tells of it", async () => {
    secrets.change("bundle");
    expect((await fetch({ resourceNames: ["nonsense", "ROOTCA"] })).names).toEqual(["ROOTCA"]);
    expect(secrets.metrics.unknownNames).toBe(1);
  });

  test("says so when none of the names is known", async () => {
    await expect(fetch({ resourceNames: ["nonsense", "rubbish"] })).rejects.toMatchObject({ code: "not-found" });
    nothingIsLeft();
  });

  test("ends its wait when told, for the reason given", async () => {
    const answer = fetch({ resourceNames: ["default"] });
    const reason = new SignetError("token-expired", "the token has expired");
    abort.abort(reason);
    await expect(answer).rejects.toBe(reason);
    nothingIsLeft();
  });

  test("does not begin when it is over already", async () => {
    abort.abort();
    await expect(fetch({ resourceNames: ["default"] })).rejects.toBeInstanceOf(SignetError);
    nothingIsLeft();
  });

  test("fails as the secret that cannot be opened does", async () => {
    const refused = new SignetError("ca-refused", "no");
    const open = () => {
      throw refused;
    };
    const answer = fetchSecrets(secrets.options({ open }), request({ resourceNames: ["default"] }), abort.signal);
    await expect(answer).rejects.toBe(refused);
    nothingIsLeft();
  });

  test("gives bundles in the form that the node asks for", async () => {
    secrets.change("bundle");
    const node = nodeWith({ [validatorKey]: "spiffe" });
    expect((await fetch({ resourceNames: ["ROOTCA"], node })).version).toBe(
      secrets.current("bundle")?.in("spiffe").version,
    );
  });

  test("refuses bytes that are no request", async () => {
    await expect(fetchSecrets(secrets.options(), Uint8Array.of(0x0a, 0xff), abort.signal)).rejects.toMatchObject({
      code: "malformed-request",
    });
  });
});
