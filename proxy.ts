/**
 * Every request passes here first (Next runs it on Node, in the server's own process): the rules are in lib/auth/guard.ts. There is no matcher
 * on purpose, so that no path can be written that escapes it; a request that passes goes on to its route or file untouched.
 */
import { randomBytes } from "node:crypto";
import { NextResponse, type NextRequest } from "next/server";
import { contentSecurityPolicy } from "@/lib/auth/headers";
import { judge } from "@/lib/auth/guard";
import { markRequests, readPeer } from "@/lib/auth/peer";
import { homeFolder } from "@/lib/home/paths";

// A development server that was running before instrumentation.ts was there.
markRequests();

export async function proxy(request: NextRequest): Promise<Response> {
  const { pathname, search } = request.nextUrl;
  const verdict = await judge({ method: request.method, pathname, search, headers: request.headers }, readPeer(request.headers), homeFolder(), Date.now());
  if (verdict.kind === "refuse") {
    const { status, code, message, action } = verdict;
    return Response.json({ code, message, action }, { status, headers: { "Cache-Control": "no-store" } });
  }
  if (verdict.kind === "sign-in") {
    const to = request.nextUrl.clone();
    to.pathname = "/login";
    to.search = verdict.next === "/" ? "" : `?next=${encodeURIComponent(verdict.next)}`;
    return NextResponse.redirect(to, { status: 307, headers: { "Cache-Control": "no-store" } });
  }
  const headers = new Headers(request.headers);
  // The page shows "sign out" by it; a visitor cannot set it.
  headers.set("x-mambascope-signed-in", verdict.signedIn ? "1" : "0");
  const policy = contentSecurityPolicy(randomBytes(16).toString("base64"), process.env.NODE_ENV === "development");
  if (isPage(request, pathname)) headers.set("Content-Security-Policy", policy);
  const response = NextResponse.next({ request: { headers } });
  if (isPage(request, pathname)) response.headers.set("Content-Security-Policy", policy);
  return response;
}

function isPage(request: NextRequest, pathname: string): boolean {
  return !/^\/(_next|api|bundles|ort)(\/|$)|^\/models\//.test(pathname) && (request.headers.get("accept") ?? "").includes("text/html");
}
