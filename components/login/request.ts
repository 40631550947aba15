import { z } from "zod";

const failureSchema = z.object({ message: z.string(), action: z.string() });
export type Failure = z.infer<typeof failureSchema>;

/** Signs in (POST) or out (DELETE). Null if it is done, else what to tell. */
export async function requestSession(method: "POST" | "DELETE", password?: string): Promise<Failure | null> {
  try {
    const response = await fetch("/login/session", {
      method,
      headers: { "Content-Type": "application/json" },
      ...(password === undefined ? {} : { body: JSON.stringify({ password }) }),
    });
    if (response.ok) return null;
    return failureSchema.safeParse(await response.json().catch(() => null)).data ?? { message: `The server answered ${response.status}.`, action: "Try again." };
  } catch {
    return { message: "The server cannot be reached.", action: "Check that it runs, then try again." };
  }
}
