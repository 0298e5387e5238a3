import { SignetError } from "@signet/shared/errors";
import type { ObjectName } from "../../../object-name.ts";
import type { TextSource } from "../../../text-source.ts";
import type { ApiServer } from "./api-server.ts";

const documentKey = "authority.json";
const rootKeyKey = "root-key.pem";

/**
 * An authority document in a Secret. RBAC can't tie `create` to a name, but it ties `get` to one: the CA reads this Secret
 * alone, so that the root's key, once put into its own Secret, is out of its reach.
 */
export class SecretStore implements TextSource {
  readonly #api: ApiServer;
  readonly secret: ObjectName;
  readonly rootKeySecret: ObjectName;

  constructor(api: ApiServer, secret: ObjectName) {
    this.#api = api;
    this.secret = secret;
    this.rootKeySecret = { ...secret, name: `${secret.name}-root-key` };
  }

  async read(): Promise<string> {
    const text = await this.find();
    if (text !== undefined) return text;
    const { namespace, name } = this.secret;
    throw new SignetError("authority-unavailable", `there is no Secret ${namespace}/${name}`);
  }

  /** The document, or undefined where there is no such Secret. */
  async find(): Promise<string | undefined> {
    const { namespace, name } = this.secret;
    const { status, body } = await this.#api.call({
      method: "GET",
      path: `${collection(namespace)}/${name}`,
      rule: `get secrets "${name}" in namespace "${namespace}"`,
      expected: [404],
    });
    if (status === 404) return undefined;
    const { [documentKey]: base64 } = (body.data ?? {}) as Record<string, unknown>;
    if (typeof base64 === "string") return Buffer.from(base64, "base64").toString("utf8");
    throw new SignetError("authority-unavailable", `the Secret ${namespace}/${name} has no key ${documentKey}`);
  }

  /** Puts a new document where none is. Gives false, and changes nothing, where there is one. */
  create(document: string): Promise<boolean> {
    return this.#create(this.secret, "authority", { [documentKey]: document });
  }

  /** The same for the root's key, as PEM. */
  createRootKey(pem: string): Promise<boolean> {
    return this.#create(this.rootKeySecret, "root-key", { [rootKeyKey]: pem }, { immutable: true });
  }

  async #create({ namespace, name }: ObjectName, component: string, data: object, more?: object): Promise<boolean> {
    const { status, body } = await this.#api.call({
      method: "POST",
      path: collection(namespace),
      rule: `create secrets in namespace "${namespace}"`,
      body: {
        apiVersion: "v1",
        kind: "Secret",
        type: "Opaque",
        metadata: {
          ...{ name, namespace },
          labels: {
            "app.kubernetes.io/name": "signet-ca",
            "app.kubernetes.io/component": component,
            "app.kubernetes.io/managed-by": "signet-ca",
          },
        },
        stringData: data,
        ...more,
      },
      expected: [404, 409],
    });
    if (status === 404) throw new SignetError("authority-unavailable", `there is no namespace ${namespace}`);
    if (status !== 409) return true;
    if (body.reason === "AlreadyExists") return false;
    throw new SignetError("authority-unavailable", `the Secret ${namespace}/${name} cannot be created now (409)`, {
      retryAfterSeconds: 1,
    });
  }
}

const collection = (namespace: string): string => `/api/v1/namespaces/${namespace}/secrets`;
