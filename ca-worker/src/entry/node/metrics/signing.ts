import { Histogram, type Registry } from "prom-client";
import type { Crypto } from "../../../crypto.ts";

/** A {@link Crypto} whose signers tell how long they take: microseconds with a key at hand, more with one in a KMS. */
export function meteredCrypto(crypto: Crypto, registry: Registry): Crypto {
  const durations = new Histogram({
    name: "signet_ca_signature_duration_seconds",
    help: "Time that the authority's key takes for a signature",
    buckets: [0.00002, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
    registers: [registry],
  });
  return {
    ...crypto,
    async importSigner(kind, pkcs8) {
      const signer = await crypto.importSigner(kind, pkcs8);
      return {
        ...signer,
        sign(data) {
          const start = performance.now();
          const done = (signature: Uint8Array) => {
            durations.observe((performance.now() - start) / 1000);
            return signature;
          };
          const signature = signer.sign(data);
          return signature instanceof Promise ? signature.then(done) : done(signature);
        },
      };
    },
  };
}
