/** Where a sign-in leads to. Pure. */

const base = "http://localhost";

/** The path, query and fragment of this server that `next` names; `/` if it names another server, the sign-in page, or nothing. */
export function safeNext(next: string | null | undefined): string {
  if (!next?.startsWith("/")) return "/";
  let url;
  try {
    url = new URL(next, base);
  } catch {
    return "/";
  }
  // The parser drops tabs and turns backslashes, so only its own result says where a browser would go.
  if (url.origin !== base || url.pathname.startsWith("//") || /^\/login(\/|$)/.test(url.pathname)) return "/";
  return url.pathname + url.search + url.hash;
}
