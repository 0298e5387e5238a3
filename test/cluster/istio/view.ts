import { X509Certificate } from "node:crypto";
import { decodePem } from "@signet/shared/pem";
import { until } from "../../support/poll.ts";
import { kubectl, kubectlJson } from "../kubectl.ts";
import { proxy } from "./pod.ts";

/** What can be seen of one pod with Istio's sidecar. */
export class SidecarView {
  readonly namespace: string;
  readonly name: string;

  constructor(namespace: string, name: string) {
    this.namespace = namespace;
    this.name = name;
  }

  async log({ previous = false } = {}): Promise<string> {
    const which = previous ? ["--previous"] : [];
    return await kubectl("logs", this.name, "-n", this.namespace, "-c", proxy, ...which);
  }

  async untilLogged(words: string, options: { readonly previous?: boolean } = {}): Promise<string> {
    const log = async () => {
      const text = await this.log(options);
      return text.includes(words) ? text : undefined;
    };
    return await until(`${this.name}'s sidecar to log "${words}"`, log, { within: 90_000, every: 500 });
  }

  /** In the sidecar's container. */
  async inProxy(...command: string[]): Promise<string> {
    return await kubectl("exec", this.name, "-n", this.namespace, "-c", proxy, "--", ...command);
  }

  /** In the application's container. */
  async inMain(script: string): Promise<string> {
    return await kubectl("exec", this.name, "-n", this.namespace, "-c", "main", "--", "sh", "-c", script);
  }

  /** What Envoy holds of `default` and `ROOTCA`, as its admin page on port 15000 tells. */
  async secrets(): Promise<{ readonly identity: string; readonly issuer: string; readonly roots: string }> {
    const dump = await until(
      `both secrets in ${this.name}'s Envoy`,
      async () => {
        const text = await this.inProxy("pilot-agent", "request", "GET", "config_dump?resource=dynamic_active_secrets");
        const { configs = [] } = JSON.parse(text) as { configs?: Dump[] };
        const byName = new Map(configs.map(({ name, secret }) => [name, secret]));
        const [own, bundle] = [byName.get("default"), byName.get("ROOTCA")];
        const chain = own?.tls_certificate?.certificate_chain?.inline_bytes;
        const roots = bundle?.validation_context?.trusted_ca?.inline_bytes;
        return chain === undefined || roots === undefined ? undefined : { chain: plain(chain), roots: plain(roots) };
      },
      { within: 60_000, every: 500 },
    );
    const leaf = new X509Certificate(Buffer.from(decodePem(dump.chain)[0]?.der ?? []));
    return { identity: leaf.subjectAltName ?? "", issuer: leaf.issuer, roots: dump.roots };
  }

  /** Inode, owner and path of the socket. */
  async socketFile(): Promise<string> {
    return (await this.inProxy("stat", "-c", "%i %u %n", socketPath)).trim();
  }

  async restarts(): Promise<number> {
    const { status } = await kubectlJson<Pod>("get", "pod", this.name, "-n", this.namespace);
    return status.containerStatuses?.find(({ name }) => name === proxy)?.restartCount ?? 0;
  }

  /** Ends the sidecar, whose container the kubelet then starts anew. */
  async endProxy(): Promise<void> {
    const before = await this.restarts();
    await this.inProxy("sh", "-c", "kill -TERM 1");
    await until(`${this.name}'s sidecar to be started anew`, async () => (await this.restarts()) > before, {
      within: 60_000,
      every: 500,
    });
  }

  async untilReady(): Promise<void> {
    await kubectl("wait", `pod/${this.name}`, "-n", this.namespace, "--for=condition=Ready", "--timeout=180s");
  }
}

export const socketPath = "/var/run/secrets/workload-spiffe-uds/socket";

const plain = (base64: string) => Buffer.from(base64, "base64").toString("utf8");

interface Dump {
  readonly name: string;
  readonly secret: {
    readonly tls_certificate?: { readonly certificate_chain?: { readonly inline_bytes?: string } };
    readonly validation_context?: { readonly trusted_ca?: { readonly inline_bytes?: string } };
  };
}
interface Pod {
  readonly status: { readonly containerStatuses?: readonly { name: string; restartCount: number }[] };
}
