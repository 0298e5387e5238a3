import { create, toBinary } from "@bufbuild/protobuf";
import { SignetError } from "@signet/shared/errors";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { DeltaDiscoveryRequestSchema } from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { readDeltaRequest, readRequest } from "./message.ts";
import { DeltaClient, deltaRequest, request, StreamClient, TestSecrets } from "./test-secrets.ts";

const readers = [
  { what: "readRequest", read: readRequest },
  { what: "readDeltaRequest", read: readDeltaRequest },
] as const;

const clients = [
  { what: "SdsStream", open: (secrets: TestSecrets) => new StreamClient(secrets).stream },
  { what: "DeltaStream", open: (secrets: TestSecrets) => new DeltaClient(secrets).stream },
] as const;

/** Bytes as the wire has them, near enough to a message to get past the first field. */
const length = fc.oneof(fc.nat(20), fc.nat(0xffff_ffff));
const varint = (n: number): number[] => (n < 128 ? [n] : [(n % 128) | 128, ...varint(Math.floor(n / 128))]);
const field = fc
  .tuple(fc.nat(12), fc.nat(7), length, fc.uint8Array({ maxLength: 24 }), fc.boolean())
  .map(([number, wireType, lying, bytes, honest]) =>
    Buffer.concat([Uint8Array.of((number << 3) | wireType, ...varint(honest ? bytes.length : lying)), bytes]),
  );
const foreign = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.array(field, { maxLength: 8 }).map((fields) => Buffer.concat(fields)),
);

function refusalOf(run: () => unknown): SignetError["code"] | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    if (error instanceof SignetError) return error.code;
    throw error;
  }
}

describe("foreign bytes", () => {
  test.each(readers)("$what reads them or refuses them with its code", ({ read }) => {
    fc.assert(
      fc.property(foreign, (bytes) => {
        expect([undefined, "malformed-request"]).toContain(refusalOf(() => read(bytes)));
      }),
      { numRuns: 3_000 },
    );
  });

  test.each(clients)("$what goes on or ends with a code, and lets go of everything", ({ open }) => {
    fc.assert(
      fc.property(fc.array(foreign, { maxLength: 5 }), (messages) => {
        const secrets = new TestSecrets();
        secrets.change("svid");
        secrets.change("bundle");
        const stream = open(secrets);
        for (const bytes of messages) {
          expect([undefined, "malformed-request"]).toContain(refusalOf(() => stream.receive(bytes)));
        }
        stream.close();
        expect(secrets.holds).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });
});

const many = (count: number) => Array.from({ length: count }, (_, n) => `name-${n}`);
const versions = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, "1"]));
const long = "x".repeat(2_049);

describe("a request of a size that no Envoy sends", () => {
  test.each([
    { what: "names", bytes: (names: string[]) => request({ resourceNames: names }), read: readRequest },
    {
      what: "subscriptions",
      bytes: (names: string[]) => deltaRequest({ resourceNamesSubscribe: names }),
      read: readDeltaRequest,
    },
    {
      what: "unsubscriptions",
      bytes: (names: string[]) => deltaRequest({ resourceNamesUnsubscribe: names }),
      read: readDeltaRequest,
    },
    {
      what: "versions",
      bytes: (names: string[]) => deltaRequest({ initialResourceVersions: versions(names) }),
      read: readDeltaRequest,
    },
  ])("too many or too long $what are refused, as many as allowed are not", ({ bytes, read }) => {
    expect(refusalOf(() => read(bytes(many(1_000))))).toBeUndefined();
    expect(refusalOf(() => read(bytes(many(1_001))))).toBe("malformed-request");
    expect(refusalOf(() => read(bytes([long.slice(1)])))).toBeUndefined();
    expect(refusalOf(() => read(bytes([long])))).toBe("malformed-request");
    expect(() => read(bytes([long]))).toThrow(/: a name of more than 2048 characters$/);
  });

  test("versions under the names of every object's own things harm nothing", () => {
    const secrets = new TestSecrets();
    secrets.change("svid");
    const client = new DeltaClient(secrets);
    const hostile = create(DeltaDiscoveryRequestSchema, {
      resourceNamesSubscribe: ["__proto__", "constructor", "default"],
    });
    // As the wire can have it, which no object literal can: { "__proto__": "1" }.
    const entry = Buffer.concat([
      Uint8Array.of(0x2a, 14, 0x0a, 9),
      Buffer.from("__proto__"),
      Uint8Array.of(0x12, 1, 0x31),
    ]);
    client.stream.receive(Buffer.concat([toBinary(DeltaDiscoveryRequestSchema, hostile), entry]));
    expect(client.next()).toMatchObject({ names: ["default"], removed: ["__proto__", "constructor"] });
    expect(Object.prototype).not.toHaveProperty("1");
  });
});
