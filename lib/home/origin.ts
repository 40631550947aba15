/** Guards requests that change something against other sites that the visitor has open. */

const localHosts = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Null if the request comes from this app's own page (or from a tool that sends no Origin, such as curl); else why it is refused.
 * The Host check stops DNS rebinding: a foreign name that resolves to this machine.
 */
export function refusalOf(request: Request): string | null {
  const host = request.headers.get("host") ?? "";
  const hostname = host.replace(/:\d+$/, "");
  if (!localHosts.has(hostname)) return `This server answers requests to localhost only, not to ${hostname || "an unnamed host"}.`;
  const origin = request.headers.get("origin");
  if (origin !== null && origin !== `http://${host}` && origin !== `https://${host}`) return `Requests from ${origin} are not accepted.`;
  const site = request.headers.get("sec-fetch-site");
  if (site !== null && site !== "same-origin" && site !== "none") return "Requests from other sites are not accepted.";
  return null;
}
