/** When a session is needed, and by which names the server may be called. Pure. */
import { configuredHosts, type HostRule } from "@/lib/home/origin";
import { trustsProxy, type Peer } from "./peer";

type Env = Record<string, string | undefined>;

/** Whether an address is this machine's own. */
export function isLoopback(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\.\d+\.\d+\.\d+$/i.test(address);
}

/**
 * Whether every request needs a session: where the server can be reached from elsewhere (it listens on more than loopback, or names or a
 * reverse proxy are configured, which speak for others), where its owner asks for it, and where it is not known who asks.
 */
export function needsSession(peer: Peer | null, env: Env = process.env): boolean {
  if (!peer || !isLoopback(peer.listening)) return true;
  return Boolean(env.MAMBASCOPE_AUTH) || trustsProxy(env) || configuredHosts(env).length > 0;
}

/** The Host headers that are answered. */
export function hostRule(peer: Peer | null, env: Env = process.env): HostRule {
  return { addresses: peer !== null && !isLoopback(peer.listening), names: configuredHosts(env) };
}
