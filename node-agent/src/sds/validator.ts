import type { EnvoyNode } from "./message.ts";
import { type MetadataValue, readMetadata } from "./node-metadata.ts";
import { shown } from "./shown.ts";
import type { SdsOptions } from "./stream-options.ts";

/**
 * How a bundle is given to an Envoy: `trusted-ca` as plain roots, which every Envoy and every other client reads;
 * `spiffe` for Envoy's SPIFFE validator, which binds each root to its trust domain.
 */
export const validators = ["trusted-ca", "spiffe"] as const;
export type Validator = (typeof validators)[number];

/** Node metadata with which one Envoy has it otherwise than the agent is set. */
export const validatorKey = "signet_validator";
/** SPIRE's way to ask for plain roots; known here so that an Envoy can change from its agent to this one. */
const spireKey = "disable_spiffe_cert_validation";

// The first Envoy with the SPIFFE validator.
const firstMinor = 18;

const nothing = Uint8Array.of();

export interface ValidatorChoice {
  readonly validator: Validator;
  /** A value that the node gave and that means nothing, for the log. */
  readonly ignored?: string;
}

/**
 * Chooses for one Envoy: an Envoy before 1.18 gets plain roots whatever it says; then its own metadata decides,
 * Signet's key before SPIRE's; then the agent's setting.
 * @throws SignetError `malformed-request`
 */
export function chooseValidator(node: EnvoyNode | undefined, configured: Validator): ValidatorChoice {
  if (node !== undefined && isTooOld(node)) return { validator: "trusted-ca" };
  const metadata = readMetadata(node?.metadata ?? nothing, [validatorKey, spireKey]);
  const own = metadata.get(validatorKey);
  const asked = validators.find((known) => known === own);
  if (asked !== undefined) return { validator: asked };
  const ignored = metadata.has(validatorKey) ? { ignored: String(own ?? "neither text nor truth") } : {};
  return { validator: isTrue(metadata.get(spireKey)) ? "trusted-ca" : configured, ...ignored };
}

function isTooOld({ version }: EnvoyNode): boolean {
  if (version === undefined) return false;
  const { major, minor } = version;
  return major < 1 || (major === 1 && minor < firstMinor);
}

// Texts as Go's strconv.ParseBool reads them, which is what SPIRE takes.
function isTrue(value: MetadataValue): boolean {
  return value === true || (typeof value === "string" && /^(?:1|t|T|true|TRUE|True)$/.test(value));
}

/** As {@link chooseValidator}, and tells of a value that was ignored. */
export function chooseFor(node: EnvoyNode | undefined, { validator, deps, who }: SdsOptions): Validator {
  const choice = chooseValidator(node, validator);
  if (choice.ignored !== undefined) {
    deps.log.warn(
      { ...who, value: shown(choice.ignored), used: choice.validator },
      `Envoy's node metadata ${validatorKey} is none of ${validators.join(", ")}; ignored`,
    );
  }
  return choice.validator;
}
