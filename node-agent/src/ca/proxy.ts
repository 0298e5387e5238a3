import { BlockList, isIP } from "node:net";
import { SignetError } from "@signet/shared/errors";
import { isLoopbackHost } from "@signet/shared/url";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy that the environment names for a URL of the CA, undefined for none. As Go's `golang.org/x/net/http/httpproxy`
 * reads it: `HTTPS_PROXY`, `NO_PROXY`, in small letters too, those first; never for this machine itself.
 * @throws SignetError `config-invalid` naming the variable; its value may hold a password and stays out
 */
export function proxyFor(url: URL, env: Environment): URL | undefined {
  // Plain http goes to this machine only.
  if (url.protocol !== "https:" || isLoopbackHost(url.hostname)) return undefined;
  const name = ["https_proxy", "HTTPS_PROXY"].find((one) => (env[one] ?? "") !== "");
  if (name === undefined || isExempt(url, env.no_proxy || env.NO_PROXY || "")) return undefined;
  const value = env[name] ?? "";
  const text = value.includes("://") ? value : `http://${value}`;
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  if (proxy === undefined || proxy.hostname === "") throw fault(name, "it is no URL; write it as http://proxy:3128");
  if (proxy.protocol !== "http:" && proxy.protocol !== "https:") {
    throw fault(name, `a proxy of the kind ${proxy.protocol}// is not supported; http:// and https:// are`);
  }
  if (!decodes(proxy.username) || !decodes(proxy.password))
    throw fault(name, "its user or password is not well encoded");
  if (url.hostname.startsWith("[")) {
    throw fault(name, `an IPv6 address is not asked for through a proxy; name the host of ${url.origin}, or exempt it`);
  }
  return proxy;
}

/** A host that a proxy is called by in messages: no user, no password. */
export function shownProxy(proxy: URL): string {
  return `${proxy.protocol}//${proxy.host}`;
}

function isExempt(url: URL, noProxy: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
  const port = url.port === "" ? "443" : url.port;
  return noProxy
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => entry !== "" && covers(entry, host, port));
}

function covers(entry: string, host: string, port: string): boolean {
  if (entry === "*") return true;
  const family = isIP(host) === 6 ? "ipv6" : "ipv4";
  const range = /^([0-9a-f.:]+)\/(\d{1,3})$/.exec(entry);
  if (range !== null) return isIP(host) !== 0 && inRange(host, family, range[1] ?? "", Number(range[2]));
  const [, bracketed, plain, entryPort] =
    /^(?:\[([^\]]+)\]|([^:]+|[0-9a-f:.]*:[0-9a-f:.]*:[0-9a-f:.]*))(?::(\d+))?$/.exec(entry) ?? [
      undefined,
      undefined,
      entry,
    ];
  if (entryPort !== undefined && entryPort !== port) return false;
  const name = bracketed ?? plain ?? "";
  if (isIP(name) !== 0) return name === host;
  // A name stands for itself and all below it; with a dot or an asterisk before it, only for those.
  const suffix = name.replace(/^\*?\./, "");
  return host.endsWith(`.${suffix}`) || (suffix === name && host === name);
}

function inRange(host: string, family: "ipv4" | "ipv6", network: string, prefix: number): boolean {
  const networkFamily = isIP(network) === 6 ? "ipv6" : "ipv4";
  if (isIP(network) === 0 || prefix > (networkFamily === "ipv6" ? 128 : 32)) return false;
  const list = new BlockList();
  list.addSubnet(network, prefix, networkFamily);
  return list.check(host, family);
}

function decodes(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

function fault(name: string, message: string): SignetError {
  return new SignetError("config-invalid", `${name}: ${message}`);
}
