import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { scryptSync } from "node:crypto";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { checkPassword, isPassword, readPassword, setPassword, usualCost } from "./password.mjs";

const cost = { N: 2 ** 10, r: 8, p: 1 };
const password = "correct horse battery";
let home = "";

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "mambascope-auth-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

describe("the password file", () => {
  it("keeps a scrypt hash that others can compute, and not the password", async () => {
    const stored = await setPassword(home, password, cost);
    const text = await readFile(path.join(home, "auth.json"), "utf8");
    expect(text).not.toContain(password);
    expect(await readPassword(home)).toEqual(stored);
    const own = scryptSync(password, Buffer.from(stored.scrypt.salt, "base64"), 32, { N: cost.N, r: cost.r, p: cost.p });
    expect(stored.scrypt.hash).toBe(own.toString("base64"));
  });

  it("is its owner's alone, and is replaced whole", async () => {
    await setPassword(home, password, cost);
    const second = await setPassword(home, `${password} two`, cost);
    expect((await stat(path.join(home, "auth.json"))).mode & 0o777).toBe(0o600);
    expect(await readdir(home)).toEqual(["auth.json"]);
    expect((await readPassword(home))?.id).toBe(second.id);
  });

  it("has a new salt and id each time", async () => {
    const [first, second] = [await setPassword(home, password, cost), await setPassword(home, password, cost)];
    expect(first.id).not.toBe(second.id);
    expect(first.scrypt.salt).not.toBe(second.scrypt.salt);
    expect(first.scrypt.hash).not.toBe(second.scrypt.hash);
  });

  it("is null where none is set, and refused where it is damaged", async () => {
    expect(await readPassword(home)).toBeNull();
    const stored = await setPassword(home, password, cost);
    const damaged = ["", "{}", JSON.stringify({ ...stored, scrypt: { ...stored.scrypt, N: 2 ** 30 } })];
    for (const text of damaged) {
      await writeFile(path.join(home, "auth.json"), text);
      await expect(readPassword(home)).rejects.toMatchObject({ code: "password-file", action: expect.stringContaining("npm run password") });
    }
  });
});

describe("isPassword", () => {
  it("knows the password and nothing near it", async () => {
    const stored = await setPassword(home, password, cost);
    expect(await isPassword(stored, password)).toBe(true);
    for (const other of ["", password.slice(1), `${password} `, password.toUpperCase(), "x".repeat(5000)]) expect(await isPassword(stored, other)).toBe(false);
  });

  it("takes letters however they are composed", async () => {
    const stored = await setPassword(home, "twelve caf\u00e9s here", cost);
    expect(await isPassword(stored, "twelve cafe\u0301s here")).toBe(true);
  });

  it("runs at the cost that is used for real, off the main thread", async () => {
    const stored = await setPassword(home, password, usualCost);
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 5);
    expect(await isPassword(stored, password)).toBe(true);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(1);
  });
});

it.each(["", "short", "elevenchars", "x".repeat(1025)])("checkPassword refuses %j", (text) => {
  expect(() => checkPassword(text)).toThrow(/password/);
});
