import { decodePem } from "@signet/shared/pem";

export interface EnvoyCertificate {
  readonly spiffeId: string;
  /** Lower-case hex without leading zeros. */
  readonly serialNumber: string;
  readonly notAfter: Date;
}

export interface ServerInfo {
  /** Since this process began. */
  readonly uptimeSeconds: number;
  readonly restartEpoch: number;
}

interface Certs {
  certificates?: { ca_cert?: CertDetails[]; cert_chain?: CertDetails[] }[];
}
interface CertDetails {
  serial_number: string;
  subject_alt_names?: { uri?: string }[];
  expiration_time: string;
}

/** Envoy's own word on itself, from its admin pages. */
export class EnvoyAdmin {
  readonly url: string;

  constructor(port: number) {
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Envoy is live only once every secret that it waits for has come. */
  async isReady(): Promise<boolean> {
    return (await this.#get("/ready")).startsWith("LIVE");
  }

  /** The leaf that Envoy shows, or undefined while it has none. */
  async certificate(): Promise<EnvoyCertificate | undefined> {
    const { certificates = [] } = await this.#json<Certs>("/certs");
    const leaf = certificates.flatMap(({ cert_chain = [] }) => cert_chain)[0];
    const spiffeId = leaf?.subject_alt_names?.[0]?.uri;
    if (leaf === undefined || spiffeId === undefined) return undefined;
    return {
      spiffeId,
      serialNumber: leaf.serial_number.toLowerCase().replace(/^0+(?=.)/, ""),
      notAfter: new Date(leaf.expiration_time),
    };
  }

  /** How many roots Envoy checks its peers against. */
  async rootSerials(): Promise<string[]> {
    const { certificates = [] } = await this.#json<Certs>("/certs");
    return [...new Set(certificates.flatMap(({ ca_cert = [] }) => ca_cert.map(({ serial_number }) => serial_number)))];
  }

  /** DER of the chain that Envoy holds under the secret `default`, leaf first. */
  async chain(): Promise<Uint8Array[]> {
    const pem = (await this.#secrets()).default?.tls_certificate?.certificate_chain?.inline_bytes;
    if (pem === undefined) return [];
    return decodePem(Buffer.from(pem, "base64").toString("utf8")).map(({ der }) => der);
  }

  /** What Envoy checks its peers with, from the secret `ROOTCA`; certificates left out. */
  async validationContext(): Promise<ValidationContextDump | undefined> {
    return (await this.#secrets()).ROOTCA?.validation_context;
  }

  /** Names of the secrets that have come over SDS and are in use. */
  async secretNames(): Promise<string[]> {
    return Object.keys(await this.#secrets()).sort();
  }

  async serverInfo(): Promise<ServerInfo> {
    const info = await this.#json<{
      uptime_current_epoch: string;
      command_line_options?: { restart_epoch?: number };
    }>("/server_info");
    return {
      uptimeSeconds: Number.parseInt(info.uptime_current_epoch, 10),
      restartEpoch: info.command_line_options?.restart_epoch ?? 0,
    };
  }

  /** One of Envoy's counters or gauges; 0 when it does not know it. */
  async stat(name: string): Promise<number> {
    const text = await this.#get(`/stats?filter=^${name.replaceAll(".", "\\.")}$`);
    return Number(text.split(": ")[1] ?? 0);
  }

  async #secrets(): Promise<Record<string, SecretDump>> {
    const { configs = [] } = await this.#json<{ configs?: { dynamic_active_secrets?: DynamicSecret[] }[] }>(
      "/config_dump",
    );
    const secrets = configs.flatMap(({ dynamic_active_secrets = [] }) => dynamic_active_secrets);
    return Object.fromEntries(secrets.map(({ name, secret }) => [name, secret]));
  }

  async #json<T>(path: string): Promise<T> {
    return JSON.parse(await this.#get(path)) as T;
  }

  async #get(path: string): Promise<string> {
    const response = await fetch(`${this.url}${path}`, { signal: AbortSignal.timeout(5_000) });
    return await response.text();
  }
}

interface DynamicSecret {
  name: string;
  secret: SecretDump;
}
interface SecretDump {
  tls_certificate?: { certificate_chain?: { inline_bytes?: string } };
  validation_context?: ValidationContextDump;
}
export interface ValidationContextDump {
  trusted_ca?: object;
  custom_validator_config?: { name: string; typed_config: { trust_domains?: { name: string }[] } };
}
