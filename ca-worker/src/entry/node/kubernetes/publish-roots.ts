import type { TrustBundle } from "@signet/shared/ca-api";
import type { Logger } from "@signet/shared/deps";
import { SignetError } from "@signet/shared/errors";
import type { AuthoritySource } from "../../../authority/source.ts";
import type { ObjectName } from "../../../object-name.ts";
import { backoffSeconds } from "../retry.ts";
import { type ApiServer, reasonOf } from "./api-server.ts";

const rootsKey = "roots.pem";
const sequenceAnnotation = "signet.dev/bundle-sequence";
const ownLabel = "app.kubernetes.io/managed-by";
const lookEverySeconds = 30;
// Another replica may do the same at the same moment.
const maxLooks = 3;

type Result = "changed" | "as-it-was" | "changed-meanwhile";

export interface RootsPublisherOptions {
  readonly api: ApiServer;
  readonly configMap: ObjectName;
  readonly authorities: AuthoritySource;
  readonly logger: Logger;
}

/** Keeps the roots of the trust bundle in a ConfigMap, where agents pin them. */
export class RootsPublisher {
  readonly #options: RootsPublisherOptions;
  /** What was told last, so that an outage is told once. */
  #told: string | undefined;
  #failures = 0;

  constructor(options: RootsPublisherOptions) {
    this.#options = options;
  }

  /** One look at the ConfigMap. Never throws. @returns seconds until the next */
  async look(): Promise<number> {
    const { authorities, configMap, logger } = this.#options;
    const fields = { event: "publish-roots", configMap: `${configMap.namespace}/${configMap.name}` };
    // Without a bundle there is nothing to publish; the source has told why.
    const bundle = await authorities.current().then(
      (current) => current.bundle,
      () => undefined,
    );
    if (bundle === undefined) return lookEverySeconds;
    const { sequence } = bundle;
    try {
      if ((await this.#publish(bundle)) || this.#told !== undefined) {
        logger.info({ ...fields, sequence }, "the roots are published");
      }
      this.#told = undefined;
      this.#failures = 0;
      return lookEverySeconds;
    } catch (error) {
      if (this.#told === undefined) {
        logger.warn({ ...fields, sequence, error: reasonOf(error) }, "the roots cannot be published");
      }
      this.#told ??= reasonOf(error);
      return backoffSeconds(this.#failures++);
    }
  }

  /** @returns whether anything had to be changed */
  async #publish(bundle: TrustBundle): Promise<boolean> {
    for (let looks = 0; looks < maxLooks; looks++) {
      const found = await this.#find();
      const result = await (found === undefined ? this.#create(bundle) : this.#update(found, bundle));
      if (result !== "changed-meanwhile") return result === "changed";
    }
    throw new SignetError("authority-unavailable", `it was changed by others ${maxLooks} times in a row`);
  }

  async #find(): Promise<FoundConfigMap | undefined> {
    const { api, configMap } = this.#options;
    const { status, body } = await api.call({
      method: "GET",
      path: pathOf(configMap),
      rule: ruleOf("get", configMap),
      expected: [404],
    });
    return status === 404 ? undefined : (body as FoundConfigMap);
  }

  async #create(bundle: TrustBundle): Promise<Result> {
    const { api, configMap } = this.#options;
    const { status } = await api.call({
      method: "POST",
      path: collection(configMap),
      rule: `create configmaps in namespace "${configMap.namespace}"`,
      body: {
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: {
          ...configMap,
          labels: { "app.kubernetes.io/name": "signet-ca", [ownLabel]: "signet-ca" },
          annotations: annotationsOf(bundle),
        },
        data: dataOf(bundle),
      },
      expected: [409],
    });
    return status === 409 ? "changed-meanwhile" : "changed";
  }

  async #update({ metadata, data }: FoundConfigMap, bundle: TrustBundle): Promise<Result> {
    const { api, configMap } = this.#options;
    const { [sequenceAnnotation]: annotation } = metadata?.annotations ?? {};
    const published = typeof annotation === "string" && /^\d{1,15}$/.test(annotation) ? Number(annotation) : undefined;
    const roots = data?.[rootsKey];
    if (roots !== undefined && annotation === undefined && metadata?.labels?.[ownLabel] !== "signet-ca") {
      throw new SignetError(
        "config-invalid",
        `its key ${rootsKey} is somebody else's: no annotation ${sequenceAnnotation}, no label ${ownLabel}=signet-ca; give --publish-roots another name, or delete that key`,
      );
    }
    // Replicas see a new document seconds apart, and the one that sees it last must not take it back.
    if (published !== undefined && published > bundle.sequence) {
      throw new SignetError(
        "authority-unavailable",
        `it holds sequence ${published}, newer than ours, ${bundle.sequence}; if the authority was made anew, delete the ConfigMap`,
      );
    }
    if (published === bundle.sequence && roots === dataOf(bundle)[rootsKey]) return "as-it-was";
    const { status } = await api.call({
      method: "PATCH",
      path: pathOf(configMap),
      rule: ruleOf("patch", configMap),
      // With its version: who has changed it since our look wins, and we look again.
      body: {
        metadata: { resourceVersion: metadata?.resourceVersion, annotations: annotationsOf(bundle) },
        data: dataOf(bundle),
      },
      expected: [409],
    });
    return status === 409 ? "changed-meanwhile" : "changed";
  }
}

interface FoundConfigMap {
  readonly metadata?: {
    readonly resourceVersion?: string;
    readonly labels?: Readonly<Record<string, unknown>>;
    readonly annotations?: Readonly<Record<string, unknown>>;
  };
  readonly data?: Readonly<Record<string, unknown>>;
}

const annotationsOf = ({ sequence }: TrustBundle) => ({ [sequenceAnnotation]: String(sequence) });
const dataOf = ({ roots }: TrustBundle) => ({ [rootsKey]: roots.join("") });
const collection = ({ namespace }: ObjectName): string => `/api/v1/namespaces/${namespace}/configmaps`;
const pathOf = (configMap: ObjectName): string => `${collection(configMap)}/${configMap.name}`;
const ruleOf = (verb: string, { namespace, name }: ObjectName): string =>
  `${verb} configmaps "${name}" in namespace "${namespace}"`;
