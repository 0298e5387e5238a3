import { contextTag, DerReader, Tag } from "@signet/shared/der";
import { asSignetError } from "@signet/shared/errors";
import { Oid } from "@signet/shared/oids";
import { encodePem } from "@signet/shared/pem";
import { publicKeyKinds } from "@signet/shared/public-key";
import { nodeCrypto } from "../../entry/node/crypto.ts";
import { readCsr } from "../../request/csr.ts";
import type { Broken, Section } from "./report.ts";
import { brokenIdRules } from "./spiffe-rules.ts";
import {
  altNameTexts,
  extendedKeyUsageText,
  keyUsageText,
  nameText,
  publicKeyText,
  type RawExtension,
  readExtensionList,
  readExtensions,
  readingDer,
} from "./x509.ts";

/** A PKCS#10 request made readable, with what this CA would refuse about it whoever asks. */
export async function inspectCsr(der: Uint8Array): Promise<Section> {
  const { subject, publicKey, asked, attributes } = readingDer("malformed-csr", "CSR", () => readRequest(der));
  const extensions = readExtensions(asked);
  const uris = (extensions.subjectAltName?.names ?? []).filter(({ kind }) => kind === "URI").map(({ text }) => text);
  const refused = await refusal(der);
  return {
    title: "certificate request (PKCS#10)",
    kind: "csr",
    facts: {
      subject: nameText(subject),
      key: publicKeyText(publicKey),
      "asks for names": altNameTexts(extensions) ?? "none: the CA gives the name of the token's account",
      "asks to be a CA": extensions.basicConstraints?.isCa === true ? "yes" : undefined,
      "asks for usage": keyUsageText(extensions),
      "extended usage": extendedKeyUsageText(extensions),
      "other extensions": extensions.others.length > 0 ? extensions.others : undefined,
      "other attributes": attributes.length > 0 ? attributes : undefined,
      signature: refused === undefined ? "made with its own key" : undefined,
    },
    breaks: [...uris.flatMap(brokenIdRules), ...(refused === undefined ? [] : [refused])],
    notes: [
      ...extensions.faults,
      ...(refused === undefined ? ["signet-ca explain says what the CA would do with it and a token"] : []),
    ],
  };
}

async function refusal(der: Uint8Array): Promise<Broken | undefined> {
  try {
    // Which kinds of key are certified is for the configuration to say.
    await readCsr(encodePem("CERTIFICATE REQUEST", der), publicKeyKinds, nodeCrypto);
    return undefined;
  } catch (error) {
    const { code, message } = asSignetError(error, "malformed-csr");
    return { rule: "CA", says: `${code}: ${message}` };
  }
}

function readRequest(der: Uint8Array) {
  const info = new DerReader(der).enter().enter();
  info.integer();
  const subject = info.expect(Tag.sequence).bytes;
  const publicKey = info.expect(Tag.sequence).bytes;
  let asked: RawExtension[] = [];
  const attributes: string[] = [];
  const list = info.done ? undefined : info.enter(contextTag(0, true));
  while (list?.done === false) {
    const attribute = list.enter();
    const id = attribute.oid();
    if (id === Oid.extensionRequest) asked = [...asked, ...readExtensionList(attribute.enter(Tag.set).enter())];
    else attributes.push(id);
  }
  return { subject, publicKey, asked, attributes };
}
