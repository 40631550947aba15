import { z } from "zod";
import { AuthError } from "@/lib/auth/password.mjs";
import { readPeer } from "@/lib/auth/peer";
import { Door } from "@/lib/auth/sign-in";
import { homeFolder } from "@/lib/home/paths";

const door = new Door(homeFolder());
const bodySchema = z.object({ password: z.string().max(4096) });

const refuse = (status: number, code: string, message: string, action: string, headers: Record<string, string> = {}) =>
  Response.json({ code, message, action }, { status, headers: { "Cache-Control": "no-store", ...headers } });

/** Signs in with `{ password }`. The session comes as a cookie. */
export async function POST(request: Request): Promise<Response> {
  const body = bodySchema.safeParse(await request.json().catch(() => null));
  if (!body.success) return refuse(400, "request", "The request holds no password.", "Send { \"password\": \"…\" } as JSON.");
  const peer = readPeer(request.headers);
  try {
    const result = await door.signIn(body.data.password, peer?.address ?? "unknown", peer?.https ?? false);
    if (result.ok) return new Response(null, { status: 204, headers: { "Set-Cookie": result.cookie, "Cache-Control": "no-store" } });
    const { status, code, message, action, retryAfter } = result;
    return refuse(status, code, message, action, retryAfter === undefined ? {} : { "Retry-After": String(retryAfter) });
  } catch (error) {
    if (error instanceof AuthError) return refuse(503, error.code, error.message, error.action);
    throw error;
  }
}

/** Signs out. */
export async function DELETE(request: Request): Promise<Response> {
  const peer = readPeer(request.headers);
  const cookie = await door.signOut(request.headers.get("cookie"), peer?.address ?? "unknown", peer?.https ?? false);
  return new Response(null, { status: 204, headers: { "Cache-Control": "no-store", ...(cookie ? { "Set-Cookie": cookie } : {}) } });
}
