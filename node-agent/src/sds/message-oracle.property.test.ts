import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { NodeSchema } from "../gen/envoy/config/core/v3/base_pb.ts";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { readDeltaRequest, readRequest, writeDeltaResponse, writeResponse } from "./message.ts";
import { secretTypeUrl } from "./secret.ts";

// The generated code, which is Envoy's own by proto.test.ts, says what is right.
const text = fc.string({ unit: "grapheme", maxLength: 200 });
const names = fc.array(text, { maxLength: 5 });
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
const uint32 = fc.nat(0xffff_ffff);
const status = maybe(fc.record({ code: fc.integer(), message: text }));
const node = maybe(
  fc.record({
    id: text,
    cluster: text,
    metadata: fc.uint8Array({ maxLength: 300 }),
    userAgentName: text,
    userAgentVersionType: fc.oneof(
      fc.constant({ case: undefined }),
      fc.record({ case: fc.constant("userAgentVersion" as const), value: text }),
      fc.record({
        case: fc.constant("userAgentBuildVersion" as const),
        value: fc.record({
          version: maybe(fc.record({ majorNumber: uint32, minorNumber: uint32, patch: uint32 })),
        }),
      }),
    ),
  }),
);

function expectedNode(given: ReturnType<typeof create<typeof NodeSchema>> | undefined) {
  if (given === undefined) return undefined;
  const { case: kind, value } = given.userAgentVersionType;
  const version = kind === "userAgentBuildVersion" ? value.version : undefined;
  return {
    metadata: Buffer.from(given.metadata),
    version: version === undefined ? undefined : { major: version.majorNumber, minor: version.minorNumber },
  };
}

const withBuffer = (read: ReturnType<typeof readRequest>["node"]) =>
  read === undefined ? undefined : { ...read, metadata: Buffer.from(read.metadata) };

const refusal = (given: { readonly code: number; readonly message: string } | undefined) =>
  given === undefined ? undefined : { code: given.code, message: given.message };

/** Reads a DiscoveryRequest, as the generated code does. */
function readAsGenerated(bytes: Uint8Array) {
  const { errorDetail, node: theirs, resourceNames, responseNonce } = fromBinary(DiscoveryRequestSchema, bytes);
  const ours = readRequest(bytes);
  expect({ ...ours, node: withBuffer(ours.node) }).toEqual({
    ...{ resourceNames, responseNonce },
    node: expectedNode(theirs),
    errorDetail: refusal(errorDetail),
  });
  return ours;
}

describe("requests are read as the generated code reads them", () => {
  test("DiscoveryRequest", () => {
    const fields = fc.record({
      node,
      versionInfo: text,
      resourceNames: names,
      typeUrl: fc.constantFrom("", secretTypeUrl),
      responseNonce: text,
      errorDetail: status,
    });
    fc.assert(
      fc.property(fields, (given) => {
        readAsGenerated(toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, given as object)));
      }),
      { numRuns: 500 },
    );
  });

  test("DeltaDiscoveryRequest", () => {
    const fields = fc.record({
      node,
      typeUrl: fc.constantFrom("", secretTypeUrl),
      resourceNamesSubscribe: names,
      resourceNamesUnsubscribe: names,
      initialResourceVersions: fc.dictionary(text, text, { maxKeys: 5 }),
      responseNonce: text,
      errorDetail: status,
    });
    fc.assert(
      fc.property(fields, (given) => {
        const bytes = toBinary(DeltaDiscoveryRequestSchema, create(DeltaDiscoveryRequestSchema, given as object));
        const theirs = fromBinary(DeltaDiscoveryRequestSchema, bytes);
        const ours = readDeltaRequest(bytes);
        expect({ ...ours, node: withBuffer(ours.node) }).toEqual({
          node: expectedNode(theirs.node),
          resourceNamesSubscribe: theirs.resourceNamesSubscribe,
          resourceNamesUnsubscribe: theirs.resourceNamesUnsubscribe,
          initialResourceVersions: new Map(Object.entries(theirs.initialResourceVersions)),
          responseNonce: theirs.responseNonce,
          errorDetail: refusal(theirs.errorDetail),
        });
      }),
      { numRuns: 500 },
    );
  });

  test("a request in two parts, as any message may come", () => {
    const part = (given: object) => toBinary(DiscoveryRequestSchema, create(DiscoveryRequestSchema, given));
    const version = (value: object) => ({ case: "userAgentBuildVersion", value: { version: value } });
    const bytes = Buffer.concat([
      part({
        resourceNames: ["a"],
        responseNonce: "1",
        node: { metadata: Uint8Array.of(1), userAgentVersionType: version({ majorNumber: 1, minorNumber: 17 }) },
        errorDetail: { code: 13, message: "no" },
      }),
      part({
        resourceNames: ["b"],
        responseNonce: "2",
        node: { metadata: Uint8Array.of(2), userAgentVersionType: version({ minorNumber: 40 }) },
        errorDetail: { message: "never" },
      }),
    ]);
    expect(readAsGenerated(bytes)).toMatchObject({
      resourceNames: ["a", "b"],
      responseNonce: "2",
      node: { version: { major: 1, minor: 40 } },
      errorDetail: { code: 13, message: "never" },
    });
  });
});

const secret = fc.record({
  name: fc.string({ minLength: 1, maxLength: 200 }),
  version: fc.string({ minLength: 1, maxLength: 40 }),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 20_000 }),
});
const secrets = fc.array(secret, { maxLength: 4 });
const any = (value: Uint8Array) => ({ typeUrl: secretTypeUrl, value });

describe("responses are written as the generated code writes them", () => {
  test("DiscoveryResponse", () => {
    fc.assert(
      fc.property(text, secrets, (nonce, given) => {
        const theirs = create(DiscoveryResponseSchema, {
          versionInfo: [...new Set(given.map(({ version }) => version))].join("+"),
          resources: given.map(({ bytes }) => any(bytes)),
          typeUrl: secretTypeUrl,
          nonce,
        });
        expect(Buffer.from(writeResponse(nonce, given)).equals(toBinary(DiscoveryResponseSchema, theirs))).toBe(true);
      }),
    );
  });

  test("DeltaDiscoveryResponse", () => {
    fc.assert(
      fc.property(text, secrets, names, (nonce, given, removedResources) => {
        const theirs = create(DeltaDiscoveryResponseSchema, {
          systemVersionInfo: [...new Set(given.map(({ version }) => version))].join("+"),
          resources: given.map(({ name, version, bytes }) => ({ name, version, resource: any(bytes) })),
          typeUrl: secretTypeUrl,
          nonce,
          removedResources,
        });
        const ours = Buffer.from(writeDeltaResponse(nonce, given, removedResources));
        expect(ours.equals(toBinary(DeltaDiscoveryResponseSchema, theirs))).toBe(true);
      }),
    );
  });
});
