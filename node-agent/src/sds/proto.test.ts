import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { create, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import { loadSync, type MessageTypeDefinition } from "@grpc/proto-loader";
import { describe, expect, test } from "vitest";
import { SecretSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/secret_pb.ts";
import { SPIFFECertValidatorConfigSchema } from "../gen/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config_pb.ts";
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from "../gen/envoy/service/discovery/v3/discovery_pb.ts";
import { SecretDiscoveryService } from "../gen/envoy/service/secret/v3/sds_pb.ts";
import { sdsPath } from "./service.ts";
import { metadataOf } from "./test-secrets.ts";

/** Envoy's own protos, whole, as they come with grpc's xDS client. */
const deps = join(dirname(createRequire(import.meta.url).resolve("@grpc/grpc-js-xds/package.json")), "deps");
const full = loadSync(
  [
    "envoy/service/secret/v3/sds.proto",
    "envoy/extensions/transport_sockets/tls/v3/secret.proto",
    "envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.proto",
  ],
  {
    keepCase: false,
    oneofs: false,
    includeDirs: ["envoy-api", "googleapis", "protoc-gen-validate", "xds"].map((folder) => join(deps, folder)),
  },
);

interface Codec {
  readonly serialize: (value: object) => Buffer;
  readonly deserialize: (bytes: Buffer) => object;
}

const method = (name: string) =>
  (
    full["envoy.service.secret.v3.SecretDiscoveryService"] as Record<
      string,
      {
        requestSerialize: Codec["serialize"];
        requestDeserialize: Codec["deserialize"];
        responseSerialize: Codec["serialize"];
        responseDeserialize: Codec["deserialize"];
      }
    >
  )[name];
const requestOf = (name: string): Codec => {
  const { requestSerialize, requestDeserialize } = method(name) ?? expect.fail(name);
  return { serialize: requestSerialize, deserialize: requestDeserialize };
};
const responseOf = (name: string): Codec => {
  const { responseSerialize, responseDeserialize } = method(name) ?? expect.fail(name);
  return { serialize: responseSerialize, deserialize: responseDeserialize };
};
const secretCodec = full["envoy.extensions.transport_sockets.tls.v3.Secret"] as MessageTypeDefinition<object, object>;

const spiffeCodec = full[
  "envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"
] as MessageTypeDefinition<object, object>;

const any = { typeUrl: "type.googleapis.com/x", value: Buffer.from([1, 2, 3]) };
const status = { code: 13, message: "refused" };
const node = {
  id: "id",
  cluster: "cluster",
  metadata: Buffer.from(metadataOf({ key: "text" })),
  userAgentName: "envoy",
  userAgentVersionType: {
    case: "userAgentBuildVersion",
    value: { version: { majorNumber: 1, minorNumber: 40, patch: 2 } },
  },
} as const;
const source = (text: string) => ({ specifier: { case: "inlineBytes", value: Buffer.from(text) } }) as const;

const cases: readonly { what: string; schema: DescMessage; value: object; codec: Codec }[] = [
  {
    what: "DiscoveryRequest",
    schema: DiscoveryRequestSchema,
    value: { versionInfo: "1", node, resourceNames: ["a", "b"], typeUrl: "t", responseNonce: "n", errorDetail: status },
    codec: requestOf("StreamSecrets"),
  },
  {
    what: "DiscoveryResponse",
    schema: DiscoveryResponseSchema,
    value: { versionInfo: "1", resources: [any, any], typeUrl: "t", nonce: "n" },
    codec: responseOf("StreamSecrets"),
  },
  {
    what: "DeltaDiscoveryRequest",
    schema: DeltaDiscoveryRequestSchema,
    value: {
      node,
      typeUrl: "t",
      resourceNamesSubscribe: ["a"],
      resourceNamesUnsubscribe: ["b"],
      initialResourceVersions: { a: "1" },
      responseNonce: "n",
      errorDetail: status,
    },
    codec: requestOf("DeltaSecrets"),
  },
  {
    what: "DeltaDiscoveryResponse",
    schema: DeltaDiscoveryResponseSchema,
    value: {
      systemVersionInfo: "1",
      resources: [{ version: "1", resource: any, name: "a", aliases: ["c"] }],
      typeUrl: "t",
      nonce: "n",
      removedResources: ["b"],
    },
    codec: responseOf("DeltaSecrets"),
  },
  {
    what: "Secret with a certificate",
    schema: SecretSchema,
    value: {
      name: "a",
      type: { case: "tlsCertificate", value: { certificateChain: source("chain"), privateKey: source("key") } },
    },
    codec: { serialize: secretCodec.serialize, deserialize: secretCodec.deserialize },
  },
  {
    what: "Secret with roots",
    schema: SecretSchema,
    value: {
      name: "a",
      type: {
        case: "validationContext",
        value: { trustedCa: source("roots"), customValidatorConfig: { name: "v", typedConfig: any } },
      },
    },
    codec: { serialize: secretCodec.serialize, deserialize: secretCodec.deserialize },
  },
  {
    what: "SPIFFECertValidatorConfig",
    schema: SPIFFECertValidatorConfigSchema,
    value: { trustDomains: [{ name: "cluster.local", trustBundle: source("roots") }] },
    codec: { serialize: spiffeCodec.serialize, deserialize: spiffeCodec.deserialize },
  },
];

describe("the subset of Envoy's protos agrees with the whole", () => {
  test.each(cases)("$what there and back, nothing lost and nothing unknown", ({ schema, value, codec }) => {
    const ours = create(schema, value as never);
    const bytes = toBinary(schema, ours);
    const theirs = codec.deserialize(Buffer.from(bytes));
    const back = fromBinary(schema, codec.serialize(theirs));
    expect(back).toEqual(ours);
    // A field of ours that they did not know would be missing here.
    expect(Buffer.from(toBinary(schema, back))).toEqual(Buffer.from(bytes));
    expect(JSON.stringify(theirs)).not.toBe("{}");
  });

  test("a node's metadata, which the subset leaves as bytes, is what they read it to be", () => {
    const { codec, schema, value } = cases[0] ?? expect.fail();
    const theirs = codec.deserialize(Buffer.from(toBinary(schema, create(schema, value as never))));
    expect(theirs).toMatchObject({ node: { metadata: { fields: { key: { stringValue: "text" } } } } });
  });

  test("every field name of the subset is theirs", () => {
    for (const { schema, codec, value } of cases) {
      const theirs = codec.deserialize(Buffer.from(toBinary(schema, create(schema, value as never))));
      const set = schema.fields.filter((field) => field.oneof === undefined).map(({ localName }) => localName);
      expect(Object.keys(theirs)).toEqual(expect.arrayContaining(set));
    }
  });

  test.each([
    { name: "StreamSecrets", path: sdsPath.stream, streaming: true },
    { name: "DeltaSecrets", path: sdsPath.delta, streaming: true },
    { name: "FetchSecrets", path: sdsPath.fetch, streaming: false },
  ])("$name has its path and direction", ({ name, path, streaming }) => {
    expect(method(name)).toMatchObject({ path, requestStream: streaming, responseStream: streaming });
    const ours = SecretDiscoveryService.methods.find((one) => one.name === name);
    expect(ours?.methodKind).toBe(streaming ? "bidi_streaming" : "unary");
  });
});
