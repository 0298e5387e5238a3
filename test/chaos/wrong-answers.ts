import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { readPublicKey } from "@signet/ca/request/public-key";
import { leafWriter } from "@signet/ca/sign/leaf";
import { parseCertificate } from "@signet/shared/certificate";
import { DerReader, Tag } from "@signet/shared/der";
import { decodeSinglePem, encodePem } from "@signet/shared/pem";
import { SpiffeId } from "@signet/shared/spiffe-id";
import { trustDomain } from "../support/ca-config.ts";
import type { WrongAnswer } from "./plan.ts";

/** An authority that can sign here and now. */
export interface SigningAuthority {
  /** PEM, issuing certificate first, root last. */
  readonly chain: readonly string[];
  /** PKCS#8 DER in base64. */
  readonly pkcs8: string;
}

/** The members of the API's certificate that matter here. */
interface Answer {
  readonly spiffeId: string;
  readonly certificateChain: readonly string[];
  readonly serialNumber: string;
  readonly notBefore: string;
  readonly notAfter: string;
}

export interface SpoilOptions {
  readonly active: SigningAuthority;
  /** An authority that nobody was told of. */
  readonly unknown: SigningAuthority;
}

/**
 * Spoils good answers of the CA, as a CA would that is broken in one way: all else about them is right, signed with the
 * CA's own key where that is not the fault.
 */
export class AnswerSpoiler {
  /** Wrong certificates given out, by what was wrong with them. */
  readonly told = new Map<WrongAnswer, number>();
  readonly #options: () => SpoilOptions;
  readonly #earlier = new Map<string, Answer>();

  constructor(options: () => SpoilOptions) {
    this.#options = options;
  }

  /** Remembers a good answer, which is a wrong one later on. */
  remember(answer: Answer): void {
    this.#earlier.set(answer.spiffeId, answer);
  }

  /** @param csr PEM of the request that `answer` is for */
  spoil(how: WrongAnswer, csr: string, answer: Answer): object | string {
    this.told.set(how, (this.told.get(how) ?? 0) + 1);
    const { active, unknown } = this.#options();
    const now = Math.floor(Date.now() / 1_000);
    const right: Leaf = {
      authority: active,
      spiffeId: answer.spiffeId,
      publicKey: publicKeyOf(csr),
      notBefore: now - 60,
      notAfter: now + 3_600,
    };
    switch (how) {
      case "another pod's identity":
        return { ...answer, ...signed({ ...right, spiffeId: `spiffe://${trustDomain}/ns/foo/sa/somebody-else` }) };
      case "another key":
        return { ...answer, ...signed({ ...right, publicKey: newPublicKey() }) };
      case "expired":
        return { ...answer, ...signed({ ...right, notBefore: now - 7_200, notAfter: now - 600 }) };
      case "not valid yet":
        return { ...answer, ...signed({ ...right, notBefore: now + 3_600, notAfter: now + 7_200 }) };
      case "unknown authority":
        return { ...answer, ...signed({ ...right, authority: unknown }) };
      case "an earlier certificate":
        return this.#earlier.get(answer.spiffeId) ?? {};
      case "not JSON":
        return "<html><body>Welcome to the guest network</body></html>";
      case "cut off":
        return JSON.stringify(answer).slice(0, 400);
      case "empty object":
        return {};
    }
  }
}

export interface Leaf {
  readonly authority: SigningAuthority;
  readonly spiffeId: string;
  readonly publicKey: Uint8Array;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Signs a leaf as the CA does, whatever it says. */
export function signed({ authority, notAfter, notBefore, publicKey, spiffeId }: Leaf): Answer {
  const chain = authority.chain.slice(0, -1);
  const issuing = parseCertificate(decodeSinglePem(chain[0] ?? "", ["CERTIFICATE"]));
  const keyIdentifier = Buffer.from(issuing.subjectKeyIdentifier ?? "", "hex");
  const writer = leafWriter("p256", issuing.subject, keyIdentifier);
  const serial = randomBytes(16);
  serial[0] = 0x5a;
  const tbs = writer.tbs({
    ...{ serial, notBefore, notAfter },
    publicKey: readPublicKey(new DerReader(publicKey)),
    publicKeyHash: createHash("sha256").update(publicKey).digest(),
    name: { spiffeId: SpiffeId.parse(spiffeId), dnsNames: [] },
  });
  const key = createPrivateKey({ key: Buffer.from(authority.pkcs8, "base64"), format: "der", type: "pkcs8" });
  const leaf = encodePem("CERTIFICATE", writer.certificate(tbs, sign("sha256", tbs, key)));
  return {
    spiffeId,
    certificateChain: [leaf, ...chain],
    serialNumber: serial.toString("hex"),
    notBefore: new Date(notBefore * 1_000).toISOString(),
    notAfter: new Date(notAfter * 1_000).toISOString(),
  };
}

/** The SubjectPublicKeyInfo of a PKCS#10 request. */
function publicKeyOf(csr: string): Uint8Array {
  const info = new DerReader(decodeSinglePem(csr, ["CERTIFICATE REQUEST"])).enter().enter();
  info.integer();
  info.expect(Tag.sequence);
  return info.expect(Tag.sequence).bytes;
}

function newPublicKey(): Uint8Array {
  return generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ type: "spki", format: "der" });
}
