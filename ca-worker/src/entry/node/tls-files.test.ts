import { execFileSync } from "node:child_process";
import { copyFile, mkdir, readFile, rename, symlink, truncate, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeServerCertificate, type ServerCertificateFiles } from "../../../../test/support/server-certificate.ts";
import { makeLogger } from "../../../../test/support/test-logger.ts";
import { makeWorkFolder, type WorkFolder } from "../../../../test/support/work-folder.ts";
import type { TlsContext } from "./server-certificate.ts";
import { readTlsFiles, TlsFilesCertificate } from "./tls-files.ts";

const clock = () => Date.now() / 1000;

describe("the files of a server certificate", () => {
  let folder: WorkFolder;
  let first: ServerCertificateFiles;
  let second: ServerCertificateFiles;
  beforeEach(async () => {
    folder = await makeWorkFolder("tls-files");
    first = makeServerCertificate(folder.path, "first");
    second = makeServerCertificate(folder.path, "second");
  });
  afterEach(() => folder.remove());
  const at = (...names: string[]) => join(folder.path, ...names);
  const text = (path: string) => readFile(path, "utf8");

  test.each<{
    rule: string;
    spoil: (files: ServerCertificateFiles) => unknown;
    named: "certificate" | "key";
    says: RegExp;
  }>([
    {
      rule: "the certificate is missing",
      spoil: ({ certificate }) => unlink(certificate),
      named: "certificate",
      says: /ENOENT/,
    },
    { rule: "the key is missing", spoil: ({ key }) => unlink(key), named: "key", says: /ENOENT/ },
    {
      rule: "the certificate is empty",
      spoil: ({ certificate }) => truncate(certificate),
      named: "certificate",
      says: /no PEM cert/,
    },
    { rule: "the key is empty", spoil: ({ key }) => truncate(key), named: "key", says: /no PEM private key/ },
    {
      rule: "they stand the wrong way round",
      spoil: ({ certificate, key }) => copyFile(key, certificate),
      named: "certificate",
      says: /no PEM cert/,
    },
    {
      rule: "the key is another's",
      spoil: ({ key }) => copyFile(second.key, key),
      named: "key",
      says: /not the key of the first/,
    },
    {
      rule: "the root stands first",
      spoil: async ({ certificate }) =>
        writeFile(certificate, (await text(second.certificate)) + (await text(certificate))),
      named: "key",
      says: /must come first/,
    },
    {
      rule: "the key is encrypted",
      spoil: ({ key }) =>
        execFileSync("openssl", ["pkcs8", "-topk8", "-in", second.key, "-out", key, "-passout", "pass:secret"]),
      named: "key",
      says: /encrypted/,
    },
    {
      rule: "the key is too weak for TLS",
      spoil: ({ certificate, key }) =>
        execFileSync(
          "openssl",
          ["req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=weak", "-keyout", key, "-out", certificate],
          { stdio: "ignore" },
        ),
      named: "certificate",
      says: /key too small/,
    },
  ])("are refused where $rule", async ({ spoil, named, says }) => {
    const keyLines = (await text(first.key)).split("\n").slice(1, -2);
    await spoil(first);
    const error: unknown = await readTlsFiles(first).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: "SignetError", code: "config-invalid", message: expect.stringMatching(says) });
    const { message } = error as Error;
    expect(message.startsWith(`--tls-${named === "key" ? "key" : "cert"}: ${first[named]} `)).toBe(true);
    for (const line of keyLines) expect(message).not.toContain(line);
  });

  describe("that change", () => {
    let taken: TlsContext[];
    const server = { setSecureContext: (context: TlsContext) => void taken.push(context) };
    const logger = makeLogger();
    beforeEach(() => {
      taken = [];
    });
    const linesOf = (event: string, level: string) =>
      logger.lines.filter((line) => line.event === event && line.level === level);

    test("are taken once, and told", async () => {
      const files = await TlsFilesCertificate.read(first, clock, logger);
      await files.renew(server);
      expect(taken).toEqual([]);
      await copyFile(second.certificate, first.certificate);
      await copyFile(second.key, first.key);
      await files.renew(server);
      await files.renew(server);
      expect(taken.map(({ cert }) => cert)).toEqual([await text(second.certificate)]);
      expect(files.changes).toEqual({ taken: 1, failed: 0 });
      expect(files.context).toBe(taken[0]);
    });

    test("in a mounted Secret, by the swap of its symbolic link, are taken", async () => {
      // What the kubelet does: a new directory, then the link ..data renamed over.
      for (const [version, pair] of [
        ["1", first],
        ["2", second],
      ] as const) {
        await mkdir(at(version));
        await copyFile(pair.certificate, at(version, "tls.crt"));
        await copyFile(pair.key, at(version, "tls.key"));
      }
      await symlink("1", at("..data"));
      await symlink("..data/tls.crt", at("tls.crt"));
      await symlink("..data/tls.key", at("tls.key"));
      const files = await TlsFilesCertificate.read({ certificate: at("tls.crt"), key: at("tls.key") }, clock, logger);
      await symlink("2", at("..data_tmp"));
      await rename(at("..data_tmp"), at("..data"));
      await files.renew(server);
      expect(taken.map(({ cert }) => cert)).toEqual([await text(second.certificate)]);
    });

    test("half way keep the old pair, told once and counted each time; the whole pair is taken then", async () => {
      const before = linesOf("tls-files", "error").length;
      const files = await TlsFilesCertificate.read(first, clock, logger);
      const old = files.context;
      await copyFile(second.certificate, first.certificate);
      await files.renew(server);
      await files.renew(server);
      expect({ taken, context: files.context, changes: files.changes }).toEqual({
        ...{ taken: [], context: old, changes: { taken: 0, failed: 2 } },
      });
      expect(linesOf("tls-files", "error")).toHaveLength(before + 1);
      await copyFile(second.key, first.key);
      await files.renew(server);
      expect(files.changes).toEqual({ taken: 1, failed: 2 });
      expect(taken).toHaveLength(1);
      // The next outage is told again.
      await unlink(first.key);
      await files.renew(server);
      expect(linesOf("tls-files", "error")).toHaveLength(before + 2);
    });

    test("that have expired are served and told", async () => {
      const before = linesOf("tls-files", "error").length;
      const later = () => clock() + 3 * 86_400;
      const files = await TlsFilesCertificate.read(first, later, logger);
      expect(files.notAfter).toBeLessThan(later());
      expect(linesOf("tls-files", "error").slice(before)).toMatchObject([{ file: first.certificate }]);
    });
  });
});
