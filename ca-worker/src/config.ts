import { parseDuration } from "@signet/shared/duration";
import { asSignetError } from "@signet/shared/errors";
import { configError, validateConfig } from "@signet/shared/faults";
import { publicKeyKinds } from "@signet/shared/public-key";
import { TrustDomain } from "@signet/shared/spiffe-id";
import { tokenAlgorithms } from "@signet/shared/token-rules";
import { type ParseError, parse, printParseErrorCode } from "jsonc-parser";
import * as v from "valibot";
import { isAllowedKeyUrl } from "./authenticate/fetch-keys.ts";
import { JwkSet, type JwkSetDocument, jwkSetSchema } from "./authenticate/jwk-set.ts";
import { type ObjectName, parseObjectName } from "./object-name.ts";

/** A check that runs a parser of ours and takes its message for the fault. */
function parsedBy<Value>(read: (value: Value) => unknown): v.RawCheckAction<Value> {
  return v.rawCheck(({ dataset, addIssue }) => {
    if (!dataset.typed) return;
    try {
      read(dataset.value);
    } catch (error) {
      addIssue({ message: asSignetError(error, "config-invalid").message });
    }
  });
}

function duration(minSeconds: number, maxSeconds: number, range: string) {
  return v.pipe(
    v.string(),
    v.rawTransform<string, number>(({ dataset, addIssue, NEVER }) => {
      try {
        return parseDuration(dataset.value);
      } catch (error) {
        addIssue({ message: asSignetError(error, "config-invalid").message });
        return NEVER;
      }
    }),
    v.check((seconds) => seconds >= minSeconds && seconds <= maxSeconds, `must be from ${range}`),
  );
}

const trustDomain = v.pipe(v.string(), parsedBy<string>(TrustDomain.parse));
const day = 86_400;

const keysSchema = v.union(
  [
    v.pipe(
      v.string(),
      v.check(
        (text) => text === "discovery" || /^file:./.test(text) || isAllowedKeyUrl(text),
        'must be "file:PATH", an https URL, "discovery" or a JWK Set',
      ),
    ),
    v.pipe(jwkSetSchema, parsedBy<JwkSetDocument>(JwkSet.parse)),
  ],
  'must be "file:PATH", an https URL, "discovery" or a JWK Set',
);

/** As an issuer's name: the API server of the cluster that the CA runs in, which then gives the real name and the keys. */
export const inCluster = "in-cluster";

const issuerRules = {
  audiences: v.pipe(
    v.array(v.pipe(v.string(), v.nonEmpty("must not be empty"))),
    v.minLength(1, "at least one audience is needed"),
  ),
  trustDomain: v.optional(trustDomain),
  algorithms: v.optional(v.pipe(v.array(v.picklist(tokenAlgorithms)), v.minLength(1)), [...tokenAlgorithms]),
  maxTokenLifetime: v.optional(duration(60, 366 * day, "1m to 366d"), "24h"),
};

const namedIssuer = v.pipe(
  v.strictObject({
    issuer: v.pipe(v.string(), v.nonEmpty("must not be empty")),
    keys: keysSchema,
    ...issuerRules,
  }),
  v.forward(
    // The issuer's name is where discovery asks; over plain http anybody on the way could answer.
    v.check(({ issuer, keys }) => keys !== "discovery" || isAllowedKeyUrl(issuer), '"discovery" needs an https issuer'),
    ["keys"],
  ),
);

const clusterIssuer = v.strictObject({
  issuer: v.literal(inCluster),
  keys: v.optional(
    v.custom<undefined>(() => false, `leave it out: with "issuer": "${inCluster}" the API server gives the keys`),
  ),
  ...issuerRules,
});

const issuerSchema = v.lazy((input) =>
  typeof input === "object" && input !== null && "issuer" in input && input.issuer === inCluster
    ? clusterIssuer
    : namedIssuer,
);

const kubernetesStore = "kubernetes:";
const storeForms = 'must be "file:PATH", "env:NAME" or "kubernetes:NAMESPACE/NAME"';

const agentAccount = v.pipe(v.string(), v.regex(/^[a-z0-9-]+\/[a-z0-9.-]+$/, "must be namespace/service-account"));

/** The configuration of the CA, one document on every platform (design §7). */
export const configSchema = v.strictObject({
  trustDomain,
  authority: v.strictObject({
    store: v.pipe(
      v.string(),
      v.check(
        (text) => /^(?:file:.+|env:[A-Za-z_][A-Za-z0-9_]*)$/.test(text) || secretOfStore(text) !== undefined,
        storeForms,
      ),
    ),
  }),
  issuers: v.pipe(
    v.array(issuerSchema),
    v.minLength(1, "at least one issuer is needed"),
    v.check((list) => new Set(list.map(({ issuer }) => issuer)).size === list.length, "an issuer stands twice"),
  ),
  nodeBinding: v.optional(
    v.union(
      [
        v.literal("off"),
        v.strictObject({ agents: v.pipe(v.array(agentAccount), v.minLength(1, "at least one agent is needed")) }),
      ],
      'must be "off" or {"agents": ["namespace/service-account"]}',
    ),
    { agents: ["signet-system/signet-node-agent"] },
  ),
  leaf: v.optional(
    v.pipe(
      v.strictObject({
        defaultTtl: v.optional(duration(5, 90 * day, "5s to 90d"), "1h"),
        maxTtl: v.optional(duration(5, 90 * day, "5s to 90d"), "24h"),
        keys: v.optional(v.pipe(v.array(v.picklist(publicKeyKinds)), v.minLength(1)), ["p256", "p384"]),
      }),
      v.forward(
        v.check(({ defaultTtl, maxTtl }) => defaultTtl <= maxTtl, "must not be over maxTtl"),
        ["defaultTtl"],
      ),
    ),
    {},
  ),
  trustBundle: v.optional(v.strictObject({ refreshHint: v.optional(duration(1, 7 * day, "1s to 7d"), "5m") }), {}),
});
/** Durations are in seconds. */
export type Config = v.InferOutput<typeof configSchema>;
export type IssuerConfig = Config["issuers"][number];

/** The Secret of a `kubernetes:NAMESPACE/NAME` store; undefined for a store of another kind. */
export function secretOfStore(store: string): ObjectName | undefined {
  return store.startsWith(kubernetesStore) ? parseObjectName(store.slice(kubernetesStore.length)) : undefined;
}

/**
 * Reads a configuration; comments and trailing commas are allowed.
 * @param source what to call it in messages, such as its file name
 * @throws SignetError `config-invalid` with every fault
 */
export function parseConfig(text: string, source: string): Config {
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  if (text.trim() === "") throw configError(source, ["it is empty"]);
  if (errors.length > 0) {
    const faults = errors.map(
      ({ error, offset }) => `line ${text.slice(0, offset).split("\n").length}: ${printParseErrorCode(error)}`,
    );
    throw configError(source, faults);
  }
  return validateConfig(configSchema, value, source);
}
