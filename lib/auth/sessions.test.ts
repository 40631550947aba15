import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { beginSession, endSession, isSession, sessionSeconds } from "./sessions";

const [password, later] = ["00112233aabbccdd", "ffeeddccbbaa9988"];
const now = 1_795_000_000_000;
let home = "";
const folder = () => path.join(home, "auth-sessions");

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "mambascope-sessions-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

it("a session holds until its time, its sign-out or its password ends", async () => {
  const id = await beginSession(home, password, now);
  const other = await beginSession(home, password, now);
  expect(Buffer.from(id, "base64url")).toHaveLength(32);
  const last = now + sessionSeconds * 1000;
  expect(await isSession(home, id, password, last - 1)).toBe(true);
  expect(await isSession(home, id, password, last)).toBe(false);
  expect(await isSession(home, id, later, now)).toBe(false);
  await endSession(home, id);
  expect(await isSession(home, id, password, now)).toBe(false);
  expect(await isSession(home, other, password, now)).toBe(true);
});

it("what is on disk does not sign in", async () => {
  const id = await beginSession(home, password, now);
  const [name = ""] = await readdir(folder());
  const text = await readFile(path.join(folder(), name), "utf8");
  expect(name).toBe(`${createHash("sha256").update(id).digest("hex")}.json`);
  expect(`${name}${text}`).not.toContain(id);
  expect(await isSession(home, name.replace(".json", ""), password, now)).toBe(false);
  expect((await stat(folder())).mode & 0o777).toBe(0o700);
  expect((await stat(path.join(folder(), name))).mode & 0o777).toBe(0o600);
});

it("no id is a path, and a damaged file is no session", async () => {
  const id = await beginSession(home, password, now);
  for (const wrong of ["", "../auth", `${id}/../x`, `${id.slice(0, -1)}/`, "A".repeat(43)]) expect(await isSession(home, wrong, password, now)).toBe(false);
  const [name = ""] = await readdir(folder());
  await writeFile(path.join(folder(), name), '{"version":1,');
  expect(await isSession(home, id, password, now)).toBe(false);
});

it("sessions that ended are swept when one begins", async () => {
  await beginSession(home, password, now);
  await beginSession(home, later, now);
  expect(await readdir(folder())).toHaveLength(1);
  await beginSession(home, later, now + sessionSeconds * 1000 + 1);
  expect(await readdir(folder())).toHaveLength(1);
});

it("many at once are all kept", async () => {
  const ids = await Promise.all(Array.from({ length: 30 }, () => beginSession(home, password, now)));
  expect(await Promise.all(ids.map((id) => isSession(home, id, password, now)))).toEqual(ids.map(() => true));
});
