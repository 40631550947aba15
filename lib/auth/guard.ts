/** What becomes of a request before any route sees it: the name it asks for, who sent it, and whether they are signed in. */
import { hostRefusal, originRefusal } from "@/lib/home/origin";
import { cookieName, readCookie } from "./cookie";
import { AuthError, readPassword } from "./password.mjs";
import type { Peer } from "./peer";
import { hostRule, needsSession } from "./policy";
import { isSession } from "./sessions";

export type Verdict =
  | { kind: "pass"; signedIn: boolean }
  | { kind: "sign-in"; next: string }
  | { kind: "refuse"; status: 401 | 403 | 503; code: string; message: string; action: string };

export type Asked = { method: string; pathname: string; search: string; headers: Headers };

/** What the sign-in page is made of. */
const open = (pathname: string): boolean =>
  pathname === "/login" || pathname === "/login/session" || pathname === "/icon.svg" || pathname.startsWith("/_next/static/");

/** Paths that programs read rather than people. */
const isData = (pathname: string): boolean => /^\/(api|bundles|ort)(\/|$)|^\/models\//.test(pathname);

const reads = new Set(["GET", "HEAD", "OPTIONS"]);

/** `home`: the home folder; `now` in milliseconds. */
export async function judge(asked: Asked, peer: Peer | null, home: string, now: number, env: Record<string, string | undefined> = process.env): Promise<Verdict> {
  const { method, pathname, headers } = asked;
  const refuse = (status: 401 | 403 | 503, code: string, message: string, action: string): Verdict => ({ kind: "refuse", status, code, message, action });
  if (!peer) return refuse(503, "starting", "The server does not know yet who asks.", "Load the page again; if this stays, restart the server.");

  const wrongHost = hostRefusal(headers.get("host"), hostRule(peer, env));
  if (wrongHost) return refuse(403, "host", wrongHost, "Open it by an address of its own, or name the host in MAMBASCOPE_HOSTS and restart the server.");
  if (!reads.has(method)) {
    const wrongOrigin = originRefusal(headers);
    if (wrongOrigin) return refuse(403, "forbidden", wrongOrigin, "Open the page at its own address.");
  }
  if (!needsSession(peer, env)) return { kind: "pass", signedIn: false };

  let stored;
  try {
    stored = await readPassword(home);
  } catch (error) {
    if (!(error instanceof AuthError)) throw error;
    return refuse(503, error.code, error.message, error.action);
  }
  if (!stored) return refuse(503, "no-password", "This server can be reached from other machines and has no password.", "Set one on the server: npm run password");
  if (await isSession(home, readCookie(headers.get("cookie"), cookieName(stored.id)), stored.id, now)) return { kind: "pass", signedIn: true };
  if (open(pathname)) return { kind: "pass", signedIn: false };
  if (!reads.has(method) || isData(pathname)) return refuse(401, "sign-in", "You are not signed in.", "Open /login and sign in.");
  return { kind: "sign-in", next: pathname + asked.search };
}
