/**
 * The one password of a home folder, in `<home>/auth.json`: scrypt (RFC 7914) of it, with salt and parameters. Plain JavaScript, because the
 * scripts set it and the server checks it. scrypt runs on libuv's threads, not on the one that serves requests.
 */
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";
import { open, readFile, mkdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";

export const minimumLength = 12;
const maximumLength = 1024;

const base64 = z.string().regex(/^[A-Za-z0-9+/]+=*$/);
const fileSchema = z.object({
  version: z.literal(1),
  /** Names this password; sessions hold it, and end with it. */
  id: z.string().regex(/^[0-9a-f]{16}$/),
  created: z.number(),
  scrypt: z.object({
    N: z.number().int().min(2).max(2 ** 20),
    r: z.number().int().min(1).max(32),
    p: z.number().int().min(1).max(16),
    salt: base64,
    hash: base64,
  }),
});

/** @typedef {z.infer<typeof fileSchema>} StoredPassword */
/** @typedef {{ N: number, r: number, p: number }} Cost */

/** 128 MiB and about half a second a try. @type {Cost} */
export const usualCost = { N: 2 ** 17, r: 8, p: 1 };

/** A failure that a user can act on: `message` says what went wrong, `action` what to do. */
export class AuthError extends Error {
  /** @param {string} code @param {string} message @param {string} action */
  constructor(code, message, action) {
    super(message);
    this.name = "AuthError";
    this.code = code;
    this.action = action;
  }
}

/** @param {string} home */
const passwordFile = (home) => path.join(/* turbopackIgnore: true */ home, "auth.json");

/** @param {string} password @param {Buffer} salt @param {Cost} cost @returns {Promise<Buffer>} 32 bytes. */
function derive(password, salt, { N, r, p }) {
  return new Promise((resolve, reject) => {
    // The same letters typed on another keyboard may be composed otherwise; NFKC makes them equal.
    scrypt(password.normalize("NFKC"), salt, 32, { N, r, p, maxmem: 256 * N * r + 2 ** 20 }, (error, key) => (error ? reject(error) : resolve(key)));
  });
}

/** Throws AuthError `password` if a password may not be used. @param {string} password */
export function checkPassword(password) {
  const length = [...password].length;
  if (length >= minimumLength && length <= maximumLength) return;
  throw new AuthError(
    "password",
    length < minimumLength ? `A password of ${length} characters is too short.` : "This password is too long.",
    `Choose one of ${minimumLength} to ${maximumLength} characters, such as four words.`,
  );
}

/**
 * Sets the home folder's password and so ends all its sessions. Throws AuthError.
 * @param {string} home @param {string} password @param {Cost} [cost] @returns {Promise<StoredPassword>}
 */
export async function setPassword(home, password, cost = usualCost) {
  checkPassword(password);
  const salt = randomBytes(16);
  const hash = await derive(password, salt, cost);
  /** @type {StoredPassword} */
  const stored = {
    version: 1,
    id: randomBytes(8).toString("hex"),
    created: Date.now() / 1000,
    scrypt: { ...cost, salt: salt.toString("base64"), hash: hash.toString("base64") },
  };
  await mkdir(/* turbopackIgnore: true */ home, { recursive: true });
  const file = passwordFile(home);
  const staged = `${file}.${stored.id}`;
  const handle = await open(/* turbopackIgnore: true */ staged, "wx", 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(stored, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(/* turbopackIgnore: true */ staged, /* turbopackIgnore: true */ file).catch(async (error) => {
    await rm(/* turbopackIgnore: true */ staged, { force: true });
    throw error;
  });
  return stored;
}

/** The stored password; null if none is set. Throws AuthError if the file cannot be used. @param {string} home @returns {Promise<StoredPassword | null>} */
export async function readPassword(home) {
  let text;
  try {
    text = await readFile(/* turbopackIgnore: true */ passwordFile(home), "utf8");
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, "code") === "ENOENT") return null;
    throw broken();
  }
  try {
    return fileSchema.parse(JSON.parse(text));
  } catch {
    throw broken();
  }
}

const broken = () => new AuthError("password-file", "The stored password (auth.json in the home folder) cannot be read.", "Set it again: npm run password");

/** Whether this is the password, compared in constant time. @param {StoredPassword} stored @param {string} password @returns {Promise<boolean>} */
export async function isPassword(stored, password) {
  if (password.length > maximumLength) return false;
  const wanted = Buffer.from(stored.scrypt.hash, "base64");
  const hash = await derive(password, Buffer.from(stored.scrypt.salt, "base64"), stored.scrypt);
  return wanted.length === hash.length && timingSafeEqual(wanted, hash);
}
