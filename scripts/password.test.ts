import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { isPassword, readPassword, setPassword } from "@/lib/auth/password.mjs";
import { root } from "./lib/paths.mjs";

let home = "";
beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "mambascope-password-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

function script(name: string, { input = "", env = {} }: { input?: string; env?: Record<string, string> }): Promise<{ code: number | null; text: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [path.join(root, "scripts", name)], { env: { ...process.env, MAMBASCOPE_HOME: home, ...env }, stdio: ["pipe", "pipe", "pipe"] });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (text += String(chunk)));
    child.on("close", (code) => resolve({ code, text }));
    child.stdin.end(input);
  });
}

it("sets the password that a pipe gives, and does not repeat it", async () => {
  const { code, text } = await script("password.mjs", { input: "four words of mine\n" });
  expect(code).toBe(0);
  expect(text).not.toContain("four words");
  const stored = await readPassword(home);
  expect(stored && (await isPassword(stored, "four words of mine"))).toBe(true);
});

it("refuses a short one and keeps what was set", async () => {
  const before = await setPassword(home, "the one before it", { N: 1024, r: 8, p: 1 });
  const { code, text } = await script("password.mjs", { input: "short\n" });
  expect(code).toBe(1);
  expect(text).toContain("too short");
  expect((await readPassword(home))?.id).toBe(before.id);
});

it.each<Record<string, string>>([{ HOST: "0.0.0.0" }, { HOST: "::" }, { MAMBASCOPE_AUTH: "always" }, { MAMBASCOPE_HOSTS: "lab.example" }, { MAMBASCOPE_TRUST_PROXY: "1" }])("npm start with %o is refused until a password is set", async (env) => {
  const { code, text } = await script("start.mjs", { env: { PORT: String(40_000 + (process.pid % 20_000)), ...env } });
  expect(code).toBe(1);
  expect(text).toContain("npm run password");
  expect(await readdir(home)).toEqual([]);
});
