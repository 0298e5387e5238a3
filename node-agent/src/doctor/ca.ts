import { lookup } from "node:dns/promises";
import { readFileSync } from "node:fs";
import { connect, isIP } from "node:net";
import { nodeTokenHeader } from "@signet/shared/ca-api";
import { asSignetError } from "@signet/shared/errors";
import { Connections } from "../ca/connections.ts";
import { exchange, type HttpAnswer } from "../ca/exchange.ts";
import { shownProxy } from "../ca/proxy.ts";
import { type Finding, fail, ok } from "../terminal/finding.ts";
import { type CaAnswers, examineAnswers } from "./ca-answers.ts";
import { type Patient, reasonOf, type Section } from "./section.ts";
import { examineTls } from "./tls.ts";

const connectMilliseconds = 3_000;
const limits = { timeoutMilliseconds: 5_000, maxBytes: 512 * 1_024 };

/**
 * Looks at one URL of the CA, from its name to whether it accepts the agent's token. The last is asked with a batch of
 * nothing, with the token and without: whoever may ask for a batch is told that this one is empty, whoever may not is told
 * that. Nothing is signed.
 * @param nodeToken undefined where there is none that could be sent
 */
export async function examineCa(url: URL, patient: Patient, nodeToken: string | undefined): Promise<Section> {
  const title = `CA ${url.href}`;
  const { config, now } = patient;
  const proxy = config.proxies.get(url);
  const target = proxy ?? url;
  const [host, port] = [target.hostname.replace(/^\[|\]$/g, ""), portOf(target)];
  const findings: Finding[] = [];
  if (proxy !== undefined) {
    findings.push(ok(`asked through the proxy ${shownProxy(proxy)} (HTTPS_PROXY); NO_PROXY would exempt it`));
  }
  const way = await examineWay(host, port, proxy !== undefined);
  findings.push(...way);
  if (way.some(({ level }) => level === "fail")) return { title, findings };
  const roots = config.caCert === undefined ? undefined : readFileSync(config.caCert, "utf8");
  if (url.protocol === "https:" && proxy === undefined) {
    const tls = await examineTls({ host, port, roots, withinMilliseconds: connectMilliseconds }, now());
    findings.push(...tls);
    if (tls.some(({ level }) => level === "fail")) return { title, findings };
  }
  const pinnedCa = roots === undefined ? undefined : { current: () => roots };
  const connections = await Connections.to({ url, pinnedCa, proxy });
  try {
    const answers = await ask(url, connections, { nodeToken, trustDomain: config.trustDomain.name }, now);
    return { title, findings: [...findings, ...examineAnswers(answers, patient)] };
  } finally {
    connections.close();
  }
}

function portOf({ port, protocol }: URL): number {
  if (port !== "") return Number(port);
  return protocol === "https:" ? 443 : 80;
}

async function examineWay(host: string, port: number, isProxy: boolean): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (isIP(host) === 0) {
    const start = performance.now();
    try {
      const addresses = await lookup(host, { all: true });
      findings.push(ok(`${host} is ${addresses.map(({ address }) => address).join(", ")}${took(start)}`));
    } catch (error) {
      const mend = isProxy
        ? "mend HTTPS_PROXY"
        : "mend --ca-url, or the DNS that this machine asks; in a pod with hostNetwork, names of Services need dnsPolicy: ClusterFirstWithHostNet";
      return [fail(`the name ${host} is not known (${reasonOf(error)})`, mend)];
    }
  }
  const start = performance.now();
  const problem = await tryPort(host, port);
  if (problem === undefined) return [...findings, ok(`port ${port} takes connections${took(start)}`)];
  const mend =
    problem === "ECONNREFUSED"
      ? "nobody listens there: is the CA running, is the port right?"
      : "a firewall or NetworkPolicy in between? the agent needs to go out to it; a proxy is named with HTTPS_PROXY";
  return [...findings, fail(`no connection to ${host} port ${port} (${problem})`, mend)];
}

function tryPort(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const settle = (problem: string | undefined) => {
      socket.destroy();
      resolve(problem);
    };
    socket.setTimeout(connectMilliseconds, () => settle("ETIMEDOUT"));
    socket.once("connect", () => settle(undefined));
    socket.once("error", (error) => settle(reasonOf(error)));
  });
}

async function ask(
  url: URL,
  connections: Connections,
  { nodeToken, trustDomain }: { readonly nodeToken: string | undefined; readonly trustDomain: string },
  now: () => number,
): Promise<CaAnswers> {
  const base = url.href.replace(/\/$/, "");
  const get = (path: string) =>
    one({ method: "GET", url: new URL(base + path), headers: { accept: "application/json" } });
  const batch = (token: string | undefined) =>
    one({
      method: "POST",
      url: new URL(`${base}/v1/certificates/batch`),
      headers: {
        accept: "application/json",
        "content-type": "application/json",
        ...(token === undefined ? {} : { [nodeTokenHeader]: token }),
      },
      body: '{"requests":[]}',
    });
  // The first request opens the connection; what the second one takes is what a request takes.
  const health = await get("/healthz");
  if (typeof health === "string" || health.status !== 200) {
    // Nothing else is asked of what is no CA, or hangs: each question would take as long.
    return {
      health,
      ready: health,
      askedAt: { before: 0, after: 0 },
      bundle: health,
      issuers: health,
      withToken: undefined,
      withoutToken: health,
    };
  }
  const before = now();
  const ready = await get("/readyz");
  const after = now();
  return {
    health,
    ready,
    askedAt: { before, after },
    bundle: await get(`/v1/trust-bundle?trustDomain=${trustDomain}`),
    issuers: await get("/v1/token-issuers"),
    withToken: nodeToken === undefined ? undefined : await batch(nodeToken),
    withoutToken: await batch(undefined),
  };

  async function one(request: Parameters<typeof exchange>[1]): Promise<HttpAnswer | string> {
    try {
      return await exchange(connections, request, limits);
    } catch (error) {
      return asSignetError(error, "ca-unreachable").message;
    }
  }
}

const took = (start: number) => ` (${Math.ceil(performance.now() - start)} ms)`;
