/** Which names a request may call this server by, and which pages may ask it to change something. Pure. */
import { isIP } from "node:net";

/** The host's name without its port, in lower case: `[::1]:3000` -> `::1`, `LOCALHOST:3000` -> `localhost`. Empty if it cannot be read. */
export function hostnameOf(host: string): string {
  const found = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(host);
  return (found?.[1] ?? found?.[2] ?? "").toLowerCase();
}

const localNames = new Set(["localhost", "127.0.0.1", "::1"]);

/** Which Host headers a server answers. */
export type HostRule = {
  /** Addresses other than this machine's own: for a server that listens on more than loopback. */
  addresses: boolean;
  /** Names besides localhost, in lower case. */
  names: readonly string[];
};

/** The names of `MAMBASCOPE_HOSTS`, separated by commas or spaces. */
export function configuredHosts(env: Record<string, string | undefined> = process.env): string[] {
  return (env.MAMBASCOPE_HOSTS ?? "").split(/[\s,]+/).filter(Boolean).map((name) => name.toLowerCase());
}

/**
 * Null if the server may be called by this Host header, else why not. A name that is neither localhost nor configured may be a foreign
 * one that was made to resolve to this machine (DNS rebinding); an address cannot.
 */
export function hostRefusal(host: string | null, rule: HostRule): string | null {
  const hostname = hostnameOf(host ?? "");
  if (localNames.has(hostname) || rule.names.includes(hostname) || (rule.addresses && isIP(hostname) !== 0)) return null;
  return rule.addresses || rule.names.length > 0
    ? `This server does not answer to the name ${hostname || "that was asked for"}.`
    : `This server answers requests to localhost only, not to ${hostname || "an unnamed host"}.`;
}

/** Null if the request comes from this server's own page (or from a tool that names no origin, such as curl), else why it is refused. */
export function originRefusal(headers: Headers): string | null {
  const host = headers.get("host") ?? "";
  const origin = headers.get("origin");
  if (origin !== null && origin !== `http://${host}` && origin !== `https://${host}`) return `Requests from ${origin} are not accepted.`;
  const site = headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin" && site !== "none") return "Requests from other sites are not accepted.";
  return null;
}

/** Host and origin of a request that changes something, for a route; the proxy has checked both before, the host more narrowly. */
export function refusalOf(request: Request): string | null {
  return hostRefusal(request.headers.get("host"), { addresses: true, names: configuredHosts() }) ?? originRefusal(request.headers);
}
