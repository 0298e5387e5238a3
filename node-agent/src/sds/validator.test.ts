import { create, type JsonObject } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { NodeSchema } from "../gen/envoy/config/core/v3/base_pb.ts";
import { readRequest } from "./message.ts";
import { metadataOf, request, TestSecrets } from "./test-secrets.ts";
import { chooseFor, chooseValidator } from "./validator.ts";

interface Case {
  readonly what: string;
  readonly metadata?: JsonObject;
  /** Of Envoy, such as 1.17.4. */
  readonly version?: string;
  readonly configured?: "spiffe";
  readonly chosen: "trusted-ca" | "spiffe";
}

const spiffe = { signet_validator: "spiffe" };
const disabled = (value: JsonObject[string]) => ({ disable_spiffe_cert_validation: value });

const cases: readonly Case[] = [
  { what: "nothing said", chosen: "trusted-ca" },
  { what: "the agent's setting", configured: "spiffe", chosen: "spiffe" },
  { what: "the node asks for it", metadata: spiffe, chosen: "spiffe" },
  {
    what: "the node asks for plain roots",
    metadata: { signet_validator: "trusted-ca" },
    configured: "spiffe",
    chosen: "trusted-ca",
  },
  { what: "SPIRE's key", metadata: disabled(true), configured: "spiffe", chosen: "trusted-ca" },
  { what: 'SPIRE\'s key as "true"', metadata: disabled("true"), configured: "spiffe", chosen: "trusted-ca" },
  { what: 'SPIRE\'s key as "1"', metadata: disabled("1"), configured: "spiffe", chosen: "trusted-ca" },
  { what: 'SPIRE\'s key as "T"', metadata: disabled("T"), configured: "spiffe", chosen: "trusted-ca" },
  { what: "SPIRE's key as false", metadata: disabled(false), configured: "spiffe", chosen: "spiffe" },
  { what: 'SPIRE\'s key as "false"', metadata: disabled("false"), configured: "spiffe", chosen: "spiffe" },
  {
    what: "SPIRE's key as a text that is no boolean",
    metadata: disabled("yes"),
    configured: "spiffe",
    chosen: "spiffe",
  },
  { what: "SPIRE's key as a number", metadata: disabled(1), configured: "spiffe", chosen: "spiffe" },
  { what: "SPIRE's key as false does not turn it on", metadata: disabled(false), chosen: "trusted-ca" },
  { what: "Signet's key goes before SPIRE's", metadata: { ...spiffe, ...disabled(true) }, chosen: "spiffe" },
  {
    what: "Envoy 1.17 does not have it",
    metadata: spiffe,
    version: "1.17.4",
    configured: "spiffe",
    chosen: "trusted-ca",
  },
  { what: "Envoy 0.9 does not have it", version: "0.90.0", configured: "spiffe", chosen: "trusted-ca" },
  { what: "Envoy 1.18 has it", version: "1.18.0", configured: "spiffe", chosen: "spiffe" },
  { what: "Envoy 2.0 has it", metadata: spiffe, version: "2.0.0", chosen: "spiffe" },
];

const nodeOf = ({ metadata, version }: Pick<Case, "metadata" | "version">) => {
  const [majorNumber, minorNumber, patch] = (version ?? "").split(".").map(Number);
  const node = create(NodeSchema, {
    ...(metadata === undefined ? {} : { metadata: metadataOf(metadata) }),
    ...(version === undefined
      ? {}
      : {
          userAgentVersionType: {
            case: "userAgentBuildVersion" as const,
            value: { version: { majorNumber: majorNumber ?? 0, minorNumber: minorNumber ?? 0, patch: patch ?? 0 } },
          },
        }),
  });
  return readRequest(request({ node })).node;
};

describe("the validator of an Envoy", () => {
  test.each(cases)("$what: $chosen", ({ configured, chosen, ...node }) => {
    expect(chooseValidator(nodeOf(node), configured ?? "trusted-ca")).toEqual({ validator: chosen });
  });

  test("is the agent's setting where there is no node", () => {
    expect(chooseValidator(undefined, "spiffe")).toEqual({ validator: "spiffe" });
  });

  test.each(["spife", true, 7, ["spiffe"]])("is not chosen by %j, which is told of", (value) => {
    const secrets = new TestSecrets();
    const node = nodeOf({ metadata: { signet_validator: value } });
    expect(chooseFor(node, secrets.options({ validator: "spiffe" }))).toBe("spiffe");
    expect(secrets.lines).toMatchObject([
      { level: "warn", message: "Envoy's node metadata signet_validator is none of trusted-ca, spiffe; ignored" },
    ]);
  });
});
