/**
 * Who a request comes from, taken from its socket. Headers that say so (`X-Forwarded-For` and the like) can be made up by anyone, so they
 * are dropped unless the server stands behind a reverse proxy of its owner's (`MAMBASCOPE_TRUST_PROXY=1`).
 *
 * Next hands a proxy or a route the headers alone. Node tells of each request before its server handles it; at that point the socket's
 * addresses are written into a header under a key that this process alone knows.
 */
import { randomBytes } from "node:crypto";
import { subscribe } from "node:diagnostics_channel";
import type { IncomingMessage, Server } from "node:http";

export type Peer = {
  /** Where the request comes from: an IP address, or "unknown". */
  address: string;
  /** Where the server listens: an IP address, or a socket's path. */
  listening: string;
  /** Whether the browser reached the server, or the reverse proxy before it, by https. */
  https: boolean;
};

const header = "x-mambascope-peer";
const forwarded = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip"];

// Each of Next's bundles has a copy of this module; they share one key.
const shared = globalThis as typeof globalThis & { mambascopePeerKey?: string };

/** Whether the server stands behind a reverse proxy whose `X-Forwarded-*` headers are true. */
export const trustsProxy = (env: Record<string, string | undefined> = process.env): boolean => env.MAMBASCOPE_TRUST_PROXY === "1";

/** Starts to mark the requests of this process. Again: nothing. */
export function markRequests(): void {
  if (shared.mambascopePeerKey) return;
  const key = (shared.mambascopePeerKey = randomBytes(16).toString("hex"));
  subscribe("http.server.request.start", (message) => {
    const { request, server } = message as { request: IncomingMessage; server: Server };
    if (!trustsProxy()) for (const name of forwarded) Reflect.deleteProperty(request.headers, name);
    const listening = server.address();
    const peer: Peer = {
      address: plainAddress(forwardedFor(request.headers) ?? request.socket.remoteAddress ?? "unknown"),
      listening: typeof listening === "string" ? listening : (listening?.address ?? "unknown"),
      https: request.headers["x-forwarded-proto"] === "https",
    };
    request.headers[header] = `${key} ${JSON.stringify(peer)}`;
  });
}

/** Who sent the request; null if nothing marked it. */
export function readPeer(headers: Headers): Peer | null {
  const [key, ...rest] = (headers.get(header) ?? "").split(" ");
  if (!shared.mambascopePeerKey || key !== shared.mambascopePeerKey) return null;
  return JSON.parse(rest.join(" ")) as Peer;
}

/** The client that the nearest reverse proxy saw: the last entry, since those before it come from the client itself. */
function forwardedFor(headers: IncomingMessage["headers"]): string | null {
  const value = headers["x-forwarded-for"];
  const last = (Array.isArray(value) ? value.join(",") : (value ?? "")).split(",").at(-1)?.trim();
  return last || null;
}

/** An IPv4 address that came as IPv6 (`::ffff:10.0.0.1`) in its own form. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "");
}
