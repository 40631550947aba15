/** What happened at the door, a JSON line each, in `<home>/auth.log`. Never a password or a session's id. */
import { appendFile, mkdir, rename, stat } from "node:fs/promises";
import path from "node:path";

export type DoorEvent = "signed-in" | "wrong-password" | "too-many-tries" | "signed-out";

const largest = 1_000_000;

/** Appends a line; the log starts anew at 1 MB, and the one before it is kept. A disk that is full does not close the door. */
export async function record(home: string, event: DoorEvent, address: string, now: number): Promise<void> {
  const file = path.join(/* turbopackIgnore: true */ home, "auth.log");
  try {
    await mkdir(/* turbopackIgnore: true */ home, { recursive: true });
    const info = await stat(/* turbopackIgnore: true */ file).catch(() => null);
    if (info && info.size > largest) await rename(/* turbopackIgnore: true */ file, /* turbopackIgnore: true */ `${file}.1`);
    await appendFile(/* turbopackIgnore: true */ file, `${JSON.stringify({ time: new Date(now).toISOString(), event, address })}\n`, { mode: 0o600 });
  } catch (error) {
    console.error(`auth.log cannot be written: ${String(error)}`);
  }
}
