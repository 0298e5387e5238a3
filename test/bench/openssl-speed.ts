import { runToEnd } from "../support/processes.ts";

/**
 * Seconds of one core that openssl needs for the cryptography of a certificate: rsa2048 verify, ecdsap256 verify and
 * ecdsap256 sign, by `openssl speed`, which counts its own CPU time.
 */
export async function opensslSeconds(): Promise<number> {
  const { stdout } = await runToEnd("openssl", ["speed", "-mr", "-seconds", "1", "rsa2048", "ecdsap256"]);
  // "+F2:<n>:<bits>:<signatures a second>:<verifications a second>" for RSA, F4 for ECDSA.
  const rsa = /^\+F2:\d+:2048:([\d.]+):([\d.]+)/m.exec(stdout);
  const ecdsa = /^\+F4:\d+:256:([\d.]+):([\d.]+)/m.exec(stdout);
  const seconds = 1 / Number(rsa?.[2]) + 1 / Number(ecdsa?.[1]) + 1 / Number(ecdsa?.[2]);
  if (!(seconds > 0)) throw new Error(`openssl speed is not understood: ${stdout}`);
  return seconds;
}
