import type { PublishedJwk } from "@signet/shared/ca-api";
import { SignetError } from "@signet/shared/errors";
import { describeIssues } from "@signet/shared/faults";
import {
  findJwk,
  minRsaModulusBits,
  type PublicJwk,
  publicJwk,
  signatureKeys,
  type TokenAlgorithm,
} from "@signet/shared/token-rules";
import { importJWK, type JWK } from "jose";
import * as v from "valibot";

/** The JWK Set form that a configuration may hold (RFC 7517 §5). */
export const jwkSetSchema = v.looseObject({ keys: v.array(v.looseObject({ kty: v.string() })) });
export type JwkSetDocument = v.InferOutput<typeof jwkSetSchema>;

// As many as agents take.
const maxKeys = 256;
const keySet = v.looseObject({ keys: v.pipe(v.array(publicJwk), v.maxLength(maxKeys, `over ${maxKeys} keys`)) });

const publishedMembers = ["kty", "kid", "use", "alg", "crv", "n", "e", "x", "y"] as const;

/** The keys of an issuer, ready to verify with: each imported once for each algorithm that it is asked for. */
export class JwkSet {
  readonly #keys: readonly PublicJwk[];
  /** By algorithm and kid. Only keys that were found are in it, so that no header can make it grow. */
  readonly #imported = new Map<string, CryptoKey>();
  /** The numbers of each key and what they are for; nothing else that its issuer may have written there. */
  readonly published: readonly PublishedJwk[];

  private constructor(keys: readonly PublicJwk[]) {
    this.#keys = keys;
    this.published = keys.map((jwk) => {
      const entries = publishedMembers.flatMap((name) => (typeof jwk[name] === "string" ? [[name, jwk[name]]] : []));
      return Object.fromEntries(entries) as PublishedJwk;
    });
  }

  /**
   * Takes the keys that can verify tokens. Keys for another `use` and of a kind that is not known (RFC 7517 §5) are left
   * out; a private, symmetric or weak key is a fault of the whole set, because somebody should know.
   * @throws SignetError `config-invalid`
   */
  static parse(document: unknown): JwkSet {
    const result = v.safeParse(keySet, document);
    if (!result.success)
      throw new SignetError("config-invalid", `not a JWK Set: ${describeIssues(result.issues).join("; ")}`);
    const keys = signatureKeys(result.output.keys);
    if (keys.length === 0) throw new SignetError("config-invalid", "not a JWK Set: it has no key for signatures");
    return new JwkSet(keys);
  }

  /** The one key that a token with this header can be signed with, or undefined where there is none or a choice. */
  async find(kid: string | undefined, algorithm: TokenAlgorithm): Promise<CryptoKey | undefined> {
    const name = kid === undefined ? algorithm : `${algorithm} ${kid}`;
    const known = this.#imported.get(name);
    if (known !== undefined) return known;
    const jwk = findJwk(this.#keys, kid, algorithm);
    if (jwk === undefined) return undefined;
    const key = await importKey(jwk, algorithm);
    if (key !== undefined) this.#imported.set(name, key);
    return key;
  }
}

/** The key itself, without what else its issuer says of it: other operations would make it none that verifies. */
function numbersOf(jwk: PublicJwk): JWK {
  const members = ["kty", "crv", "n", "e", "x", "y"].flatMap((name) => (name in jwk ? [[name, jwk[name]]] : []));
  return Object.fromEntries(members) as JWK;
}

/** The key, or undefined where its numbers make none: no token can have been signed with it. */
async function importKey(jwk: PublicJwk, algorithm: TokenAlgorithm): Promise<CryptoKey | undefined> {
  try {
    // With its algorithm named, jose makes a key for that one algorithm and no other.
    const key = (await importJWK(numbersOf(jwk), algorithm)) as CryptoKey;
    const { modulusLength } = key.algorithm as { modulusLength?: number };
    // Zeros in front of a short modulus make it look long.
    return modulusLength === undefined || modulusLength >= minRsaModulusBits ? key : undefined;
  } catch {
    return undefined;
  }
}
