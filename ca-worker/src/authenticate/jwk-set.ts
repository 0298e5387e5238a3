import { SignetError } from "@signet/shared/errors";
import { describeIssues } from "@signet/shared/faults";
import { importJWK, type JWK } from "jose";
import * as v from "valibot";

/** Signature algorithms of tokens that can be allowed: asymmetric ones only, whatever a token's header says. */
export const tokenAlgorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
] as const;
export type TokenAlgorithm = (typeof tokenAlgorithms)[number];

const minRsaModulusBits = 2_048;
const minRsaModulusCharacters = Math.ceil(minRsaModulusBits / 6); // in base64url

const ecAlgorithms: Readonly<Record<string, TokenAlgorithm>> = { "P-256": "ES256", "P-384": "ES384", "P-521": "ES512" };

const knownKinds = ["RSA", "EC", "OKP"];

const publicJwk = v.pipe(
  v.looseObject({
    kty: v.string(),
    kid: v.optional(v.pipe(v.string(), v.nonEmpty())),
    use: v.optional(v.string()),
    alg: v.optional(v.string()),
    crv: v.optional(v.string()),
    n: v.optional(v.string()),
  }),
  v.check(
    (jwk) => !("d" in jwk) && !("k" in jwk) && jwk.kty !== "oct",
    "this is a private or symmetric key; give the public one",
  ),
  v.check((jwk) => jwk.kty !== "RSA" || (jwk.n ?? "").length >= minRsaModulusCharacters, "an RSA key under 2048 bits"),
);
type PublicJwk = v.InferOutput<typeof publicJwk>;

/** The JWK Set form that a configuration may hold (RFC 7517 §5). */
export const jwkSetSchema = v.looseObject({ keys: v.array(v.looseObject({ kty: v.string() })) });
export type JwkSetDocument = v.InferOutput<typeof jwkSetSchema>;

/** The keys of an issuer, ready to verify with: each imported once for each algorithm that it is asked for. */
export class JwkSet {
  readonly #keys: readonly PublicJwk[];
  readonly #imported = new Map<string, CryptoKey>();

  private constructor(keys: readonly PublicJwk[]) {
    this.#keys = keys;
  }

  /**
   * Takes the keys that can verify tokens. Keys for another `use` and of a kind that is not known (RFC 7517 §5) are left
   * out; a private, symmetric or weak key is a
   * fault of the whole set, because somebody should know.
   * @throws SignetError `config-invalid`
   */
  static parse(document: unknown): JwkSet {
    const result = v.safeParse(v.looseObject({ keys: v.array(publicJwk) }), document);
    if (!result.success)
      throw new SignetError("config-invalid", `not a JWK Set: ${describeIssues(result.issues).join("; ")}`);
    const keys = result.output.keys.filter(
      ({ kty, use }) => knownKinds.includes(kty) && (use === undefined || use === "sig"),
    );
    if (keys.length === 0) throw new SignetError("config-invalid", "not a JWK Set: it has no key for signatures");
    return new JwkSet(keys);
  }

  /** The one key that a token with this header can be signed with, or undefined where there is none or a choice. */
  async find(kid: string | undefined, algorithm: TokenAlgorithm): Promise<CryptoKey | undefined> {
    const fitting = this.#keys.filter((jwk) => (kid === undefined || jwk.kid === kid) && fits(jwk, algorithm));
    const [jwk, ...more] = fitting;
    if (jwk === undefined || more.length > 0) return undefined;
    const name = `${algorithm} ${this.#keys.indexOf(jwk)}`;
    const known = this.#imported.get(name);
    if (known !== undefined) return known;
    const key = await importKey(jwk, algorithm);
    if (key !== undefined) this.#imported.set(name, key);
    return key;
  }
}

/** The key, or undefined where its numbers make none: no token can have been signed with it. */
async function importKey(jwk: PublicJwk, algorithm: TokenAlgorithm): Promise<CryptoKey | undefined> {
  try {
    // With its algorithm named, jose makes a key for that one algorithm and no other.
    const key = (await importJWK(jwk as JWK, algorithm)) as CryptoKey;
    const { modulusLength } = key.algorithm as { modulusLength?: number };
    // Zeros in front of a short modulus make it look long.
    return modulusLength === undefined || modulusLength >= minRsaModulusBits ? key : undefined;
  } catch {
    return undefined;
  }
}

function fits(jwk: PublicJwk, algorithm: TokenAlgorithm): boolean {
  if (jwk.alg !== undefined && jwk.alg !== algorithm) return false;
  if (jwk.kty === "RSA") return algorithm.startsWith("RS") || algorithm.startsWith("PS");
  if (jwk.kty === "OKP") return algorithm === "EdDSA" && jwk.crv === "Ed25519";
  return ecAlgorithms[jwk.crv ?? ""] === algorithm;
}
