/** Next runs this once, before the server answers. */
export async function register(): Promise<void> {
  if (process.env.NEXT_RUNTIME !== "nodejs") return;
  const { markRequests } = await import("@/lib/auth/peer");
  markRequests();
}
