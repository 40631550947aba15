/** The session's cookie. Pure. */
import { sessionSeconds } from "./sessions";

/** Browsers share cookies between the ports of a host, so the name says which password it is for. */
export const cookieName = (password: string): string => `mambascope-${password.slice(0, 8)}`;

/** The value of a cookie in a Cookie header; empty if it is not there. */
export function readCookie(header: string | null, name: string): string {
  const prefix = `${name}=`;
  const found = (header ?? "").split(";").map((part) => part.trim()).find((part) => part.startsWith(prefix));
  return found?.slice(prefix.length) ?? "";
}

/** The Set-Cookie header that begins a session, or with an empty id ends it. */
export function sessionCookie(password: string, id: string, https: boolean): string {
  const parts = [`${cookieName(password)}=${id}`, "Path=/", "HttpOnly", "SameSite=Strict", `Max-Age=${id ? sessionSeconds : 0}`];
  return (https ? [...parts, "Secure"] : parts).join("; ");
}
