import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cookieName, readCookie, sessionCookie } from "./cookie";
import { judge } from "./guard";
import { LoginLimiter } from "./limiter";
import { readPassword, setPassword } from "./password.mjs";
import type { Peer } from "./peer";
import { sessionSeconds } from "./sessions";
import { Door } from "./sign-in";

const cost = { N: 2 ** 10, r: 8, p: 1 };
const now = 1_795_000_000_000;
const local: Peer = { address: "127.0.0.1", listening: "127.0.0.1", https: false };
const exposed: Peer = { address: "10.0.0.9", listening: "0.0.0.0", https: false };
let home = "";

beforeEach(async () => {
  home = await mkdtemp(path.join(tmpdir(), "mambascope-guard-"));
});
afterEach(() => rm(home, { recursive: true, force: true }));

type Options = { method?: string; headers?: Record<string, string>; peer?: Peer | null; env?: Record<string, string>; at?: number };
const ask = (url: string, { method = "GET", headers = {}, peer = exposed, env = {}, at = now }: Options = {}) => {
  const { pathname, search, host } = new URL(url);
  return judge({ method, pathname, search, headers: new Headers({ host, ...headers }) }, peer, home, at, env);
};

describe("on loopback", () => {
  it.each(["http://localhost:3000/", "http://127.0.0.1:3000/api/x", "http://[::1]:3000/bundles"])("%s passes without a password", async (url) => {
    expect(await ask(url, { peer: local })).toEqual({ kind: "pass", signedIn: false });
  });

  it.each(["http://evil.example/", "http://localhost.evil.example/", "http://10.0.0.5:3000/", "http://127.0.0.1.nip.io:3000/"])("%s is refused: it may be a foreign name", async (url) => {
    expect(await ask(url, { peer: local })).toMatchObject({ kind: "refuse", status: 403, code: "host" });
  });

  it.each(["POST", "PUT", "PATCH", "DELETE", "QUERY"])("%s from another page is refused, from its own passes", async (method) => {
    const send = (headers: Record<string, string>) => ask("http://localhost:3000/api/x", { peer: local, method, headers });
    const foreign: Record<string, string>[] = [{ origin: "http://evil.example" }, { origin: "null" }, { origin: "http://localhost:4000" }, { "sec-fetch-site": "cross-site" }, { "sec-fetch-site": "same-site" }];
    for (const headers of foreign) expect(await send(headers)).toMatchObject({ kind: "refuse", status: 403, code: "forbidden" });
    expect((await send({ origin: "http://localhost:3000", "sec-fetch-site": "same-origin" })).kind).toBe("pass");
    expect((await send({})).kind).toBe("pass");
  });

  it.each<Record<string, string>>([{ MAMBASCOPE_AUTH: "always" }, { MAMBASCOPE_TRUST_PROXY: "1" }, { MAMBASCOPE_HOSTS: "lab.example" }])("%o needs a session all the same", async (env) => {
    expect(await ask("http://localhost:3000/api/x", { peer: local, env })).toMatchObject({ kind: "refuse", status: 503, code: "no-password" });
    await setPassword(home, "correct horse battery", cost);
    expect(await ask("http://localhost:3000/api/x", { peer: local, env })).toMatchObject({ status: 401, code: "sign-in" });
  });
});

describe("on more than loopback", () => {
  it("nothing passes without a password, nor with one that cannot be read, nor from a sender who is not known", async () => {
    for (const url of ["http://10.0.0.5:3000/", "http://10.0.0.5:3000/login", "http://localhost:3000/api/x"])
      expect(await ask(url)).toMatchObject({ status: 503, code: "no-password" });
    await writeFile(path.join(home, "auth.json"), "{");
    expect(await ask("http://10.0.0.5:3000/")).toMatchObject({ status: 503, code: "password-file" });
    await setPassword(home, "correct horse battery", cost);
    expect(await ask("http://10.0.0.5:3000/", { peer: null })).toMatchObject({ status: 503, code: "starting" });
  });

  it("without a session pages lead to the sign-in, data is refused, and only the sign-in's own parts pass", async () => {
    await setPassword(home, "correct horse battery", cost);
    const at = (pathname: string, method = "GET") => ask(`http://10.0.0.5:3000${pathname}`, { method });
    for (const page of ["/", "/explore?layers=a.m", "/models", "/train/run?id=x", "/login/other", "/loginx", "/icon.svgx"]) expect(await at(page)).toEqual({ kind: "sign-in", next: page });
    for (const data of ["/api/training/runs", "/bundles", "/bundles/stories/manifest.json", "/models/stories/manifest.json", "/ort/a.wasm"])
      expect(await at(data)).toMatchObject({ kind: "refuse", status: 401, code: "sign-in" });
    for (const change of ["POST", "DELETE", "PUT", "PATCH"]) expect(await at("/explore", change)).toMatchObject({ status: 401 });
    for (const part of ["/login", "/login/session", "/icon.svg", "/_next/static/chunks/a.js"]) expect((await at(part)).kind).toBe("pass");
    for (const near of ["/_next/image?url=x", "/_next/data/x.json", "//_next/static/x"]) expect((await at(near)).kind).not.toBe("pass");
  });

  it("answers to addresses and configured names only", async () => {
    await setPassword(home, "correct horse battery", cost);
    const env = { MAMBASCOPE_HOSTS: "lab.example, gpu01" };
    for (const host of ["10.0.0.5:3000", "[2001:db8::1]:3000", "lab.example", "GPU01:3000", "localhost:3000"]) expect(await ask(`http://${host}/`, { env })).toMatchObject({ kind: "sign-in" });
    for (const host of ["evil.example", "lab.example.evil", "xlab.example", "10.0.0.5.nip.io"]) expect(await ask(`http://${host}/`, { env })).toMatchObject({ status: 403, code: "host" });
    for (const host of ["", "a b", "localhost:x", "localhost@evil.example", "[::1"]) expect(await ask("http://10.0.0.5/", { env, headers: { host } })).toMatchObject({ code: "host" });
  });
});

describe("a session", () => {
  const attempt = (door: Door, password: string, address = "10.0.0.9") => door.signIn(password, address, false);

  it("begins with the password, passes, ends at sign-out, with its time and with its password", async () => {
    const stored = await setPassword(home, "correct horse battery", cost);
    const door = new Door(home, () => now);
    const begin = async () => {
      const result = await attempt(door, "correct horse battery");
      if (!result.ok) throw new Error(result.message);
      expect(result.cookie).toMatch(/; Path=\/; HttpOnly; SameSite=Strict; Max-Age=604800$/);
      return result.cookie.split(";")[0] ?? "";
    };
    const seen = (cookie: string, at = now) => ask("http://10.0.0.5:3000/api/x", { headers: { cookie }, at });
    const cookie = await begin();
    expect(await seen(`a=b; ${cookie}; c=d`)).toEqual({ kind: "pass", signedIn: true });
    expect(await seen(cookie, now + sessionSeconds * 1000)).toMatchObject({ status: 401 });
    expect(await door.signOut(cookie, "10.0.0.9", false)).toContain("Max-Age=0");
    expect(await seen(cookie)).toMatchObject({ status: 401 });
    const second = await begin();
    await setPassword(home, "correct horse battery", cost);
    expect(await seen(second)).toMatchObject({ status: 401 });
    // Nor under the new password's cookie.
    const renamed = second.replace(cookieName(stored.id), cookieName((await readPassword(home))?.id ?? ""));
    expect(await seen(renamed)).toMatchObject({ status: 401 });
  });

  it("wrong passwords wait longer and longer, are recorded without the password, and the right one is not let past a wait", async () => {
    await setPassword(home, "correct horse battery", cost);
    let time = 0;
    const door = new Door(home, () => now, new LoginLimiter(() => time));
    for (let k = 0; k < 4; k += 1) expect(await attempt(door, `wrong secret ${k}`)).toMatchObject({ ok: false, status: 401, code: "wrong-password" });
    expect(await attempt(door, "correct horse battery")).toMatchObject({ ok: false, status: 429, retryAfter: 1 });
    expect(await attempt(door, "correct horse battery", "10.0.0.10")).toMatchObject({ ok: true });
    time += 1000;
    expect(await attempt(door, "correct horse battery")).toMatchObject({ ok: true });
    const log = await readFile(path.join(home, "auth.log"), "utf8");
    const events = log.trim().split("\n").map((line) => JSON.parse(line) as { event: string; address: string });
    expect(events.map(({ event }) => event)).toEqual([...Array<string>(4).fill("wrong-password"), "too-many-tries", "signed-in", "signed-in"]);
    expect(events[5]?.address).toBe("10.0.0.10");
    expect(log).not.toMatch(/secret|horse/);
  });

  it("many tries at once take their turns, and the rest are sent away", async () => {
    await setPassword(home, "correct horse battery", cost);
    const door = new Door(home, () => now);
    const results = await Promise.all(Array.from({ length: 30 }, (_, k) => attempt(door, "correct horse battery", `10.0.1.${k}`)));
    expect(results.filter(({ ok }) => ok)).toHaveLength(4);
    expect(results.filter((result) => !result.ok && result.status === 429)).toHaveLength(26);
    expect(await attempt(door, "correct horse battery")).toMatchObject({ ok: true });
  });
});

it("the cookie is Secure under https, and read by its whole name", () => {
  expect(sessionCookie("0011223344556677", "abc", true)).toMatch(/; Secure$/);
  expect(readCookie("xmambascope-1=a; mambascope-1=b; mambascope-12=c", "mambascope-1")).toBe("b");
  expect(readCookie(null, "x")).toBe("");
});
