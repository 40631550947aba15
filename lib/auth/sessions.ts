/**
 * Sessions, one small file each in `<home>/auth-sessions/`, named by the SHA-256 of the session's id: they survive a restart, two servers on
 * one home share them, and who reads the folder cannot sign in with it. A session ends with its time, at sign-out, or with its password.
 */
import { createHash, randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";

/** A session's length in seconds. */
export const sessionSeconds = 7 * 24 * 3600;

const sessionSchema = z.object({ version: z.literal(1), password: z.string(), created: z.number(), expires: z.number() });

const folderOf = (home: string): string => path.join(/* turbopackIgnore: true */ home, "auth-sessions");
const fileOf = (home: string, id: string): string =>
  path.join(/* turbopackIgnore: true */ folderOf(home), `${createHash("sha256").update(id).digest("hex")}.json`);

/** 256 bits in base64url. */
const idPattern = /^[A-Za-z0-9_-]{43}$/;

/** Begins a session under a password (its id). `now` in milliseconds. Returns the session's id, which is kept nowhere here. */
export async function beginSession(home: string, password: string, now: number): Promise<string> {
  await mkdir(/* turbopackIgnore: true */ folderOf(home), { recursive: true, mode: 0o700 });
  await sweep(home, password, now);
  const id = randomBytes(32).toString("base64url");
  const session: z.infer<typeof sessionSchema> = { version: 1, password, created: now / 1000, expires: now / 1000 + sessionSeconds };
  const file = fileOf(home, id);
  await writeFile(/* turbopackIgnore: true */ `${file}.new`, JSON.stringify(session), { mode: 0o600, flag: "wx" });
  await rename(/* turbopackIgnore: true */ `${file}.new`, /* turbopackIgnore: true */ file);
  return id;
}

/** Whether the id is of a session under this password that has not ended. */
export async function isSession(home: string, id: string, password: string, now: number): Promise<boolean> {
  if (!idPattern.test(id)) return false;
  const session = await readSession(fileOf(home, id));
  return session !== null && session.password === password && session.expires > now / 1000;
}

/** Ends a session. */
export async function endSession(home: string, id: string): Promise<void> {
  if (idPattern.test(id)) await rm(/* turbopackIgnore: true */ fileOf(home, id), { force: true });
}

async function readSession(file: string): Promise<z.infer<typeof sessionSchema> | null> {
  try {
    return sessionSchema.parse(JSON.parse(await readFile(/* turbopackIgnore: true */ file, "utf8")));
  } catch {
    return null;
  }
}

/** Removes the sessions that have ended. */
async function sweep(home: string, password: string, now: number): Promise<void> {
  const folder = folderOf(home);
  for (const name of await readdir(/* turbopackIgnore: true */ folder)) {
    if (!name.endsWith(".json")) continue;
    const file = path.join(/* turbopackIgnore: true */ folder, name);
    const session = await readSession(file);
    if (!session || session.password !== password || session.expires <= now / 1000) await rm(/* turbopackIgnore: true */ file, { force: true });
  }
}
