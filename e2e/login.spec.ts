import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { type IncomingHttpHeaders, request as send } from "node:http";
import { createServer } from "node:net";
import { networkInterfaces, tmpdir } from "node:os";
import path from "node:path";
import { expect, test, type APIRequestContext } from "@playwright/test";
import { setPassword } from "@/lib/auth/password.mjs";
import { violations } from "./lab";

/** A server of its own that listens on all addresses, with a home of its own. */
const password = "correct horse battery staple";
const cost = { N: 2 ** 12, r: 8, p: 1 };
let home = "";
let port = 0;
let server: ChildProcess | null = null;

test.describe.configure({ mode: "serial" });

test.beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), "mambascope-login-"));
  port = await freePort();
  await setPassword(home, password, cost);
  await start();
});

test.afterAll(async () => {
  await stop();
  await rm(home, { recursive: true, force: true });
});

async function start(): Promise<void> {
  server = spawn(process.execPath, ["node_modules/next/dist/bin/next", "start", "--hostname", "0.0.0.0", "--port", String(port)], {
    env: { ...process.env, MAMBASCOPE_HOME: home, NEXT_TELEMETRY_DISABLED: "1" },
    stdio: "ignore",
  });
  await expect.poll(() => ask({ path: "/login" }).then(({ status }) => status, () => 0), { timeout: 60_000 }).toBe(200);
}

async function stop(): Promise<void> {
  const child = server;
  if (!child) return;
  server = null;
  await new Promise((resolve) => {
    child.once("exit", resolve);
    child.kill();
  });
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}

type Answer = { status: number; headers: IncomingHttpHeaders; body: Buffer };

/** A request as it is, without a client that tidies the path or adds headers. */
function ask({ path: target, method = "GET", headers = {}, body }: { path: string; method?: string; headers?: Record<string, string>; body?: string }): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = send({ host: "127.0.0.1", port, path: target, method, headers: { host: `localhost:${port}`, ...headers } }, (answer) => {
      const parts: Buffer[] = [];
      answer.on("data", (part: Buffer) => parts.push(part));
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(parts) }));
      answer.on("error", reject);
    });
    outgoing.on("error", reject);
    outgoing.end(body);
  });
}

async function signIn(): Promise<string> {
  const answer = await ask({ path: "/login/session", method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ password }) });
  expect(answer.status).toBe(204);
  const [cookie = ""] = answer.headers["set-cookie"] ?? [];
  expect(cookie).toMatch(/; HttpOnly; SameSite=Strict; Max-Age=\d+$/);
  return cookie.split(";")[0] ?? "";
}

test("without a session nothing is served but the sign-in page", async () => {
  for (const page of ["/", "/explore?layers=a.m", "/models", "/train", "/nothing-here"]) {
    const answer = await ask({ path: page, headers: { accept: "text/html" } });
    expect([page, answer.status]).toEqual([page, 307]);
    expect(answer.headers.location).toBe(page === "/" ? "/login" : `/login?next=${encodeURIComponent(page)}`);
  }
  for (const data of ["/bundles", "/bundles/stories/manifest.json", "/models/stories/manifest.json", "/ort/ort-wasm-simd-threaded.wasm", "/api/families/stories/fetch", "/api/training/nodes", "/api/training/events"]) {
    const answer = await ask({ path: data });
    expect([data, answer.status]).toEqual([data, 401]);
    expect(JSON.parse(answer.body.toString())).toEqual({ code: "sign-in", message: expect.any(String), action: expect.any(String) });
  }
});

test("no spelling of a path and no header passes for a session", async () => {
  const paths = [
    "/_next/static/../../bundles", "/_next/static/..%2f..%2fbundles", "/_next/static/%2e%2e/%2e%2e/bundles", "/_next/static\\..\\..\\bundles", "/login/../bundles",
    "/login/session/../../bundles", "//bundles", "/./bundles", "/bundles/", "/%62undles", "/bundles?x=/login", "/_next/static/../../models/stories/manifest.json",
    "/_next/data/x/bundles.json", "/models/stories/manifest.json/", "/models/stories/%6danifest.json", "/_next/static/..%5c..%5cbundles", `http://localhost:${port}/bundles`, "/login;/../bundles", "/icon.svg/../bundles",
  ];
  const headers: Record<string, string>[] = [
    {},
    { "x-middleware-subrequest": "proxy:proxy:proxy:proxy:proxy" },
    { "x-middleware-invoke": "1", "x-middleware-next": "1" },
    { "x-mambascope-signed-in": "1", "x-mambascope-peer": '0 {"address":"127.0.0.1","listening":"127.0.0.1","https":false}' },
    { "x-forwarded-for": "127.0.0.1", "x-forwarded-host": "localhost", "x-real-ip": "127.0.0.1" },
    { "x-matched-path": "/login", "x-invoke-path": "/login", "x-nextjs-data": "1", rsc: "1" },
    { cookie: "mambascope=1; mambascope-00000000=" },
  ];
  for (const target of paths) for (const extra of headers) {
    const answer = await ask({ path: target, headers: extra });
    expect([target, JSON.stringify(extra), answer.status >= 300, answer.body.toString().includes('"families"'), answer.body.toString().includes("mambascope-bundle")]).toEqual([target, JSON.stringify(extra), true, false, false]);
  }
});

test("a foreign name or a foreign page is refused, signed in or not", async () => {
  const cookie = await signIn();
  const visitors: Record<string, string>[] = [{}, { cookie }];
  for (const headers of visitors) {
    expect((await ask({ path: "/bundles", headers: { ...headers, host: `evil.example:${port}` } })).status).toBe(403);
    for (const [method, target] of [["DELETE", "/login/session"], ["POST", "/api/families/stories/fetch"], ["POST", "/login/session"]] as const)
      expect((await ask({ path: target, method, headers: { ...headers, origin: "http://evil.example" } })).status).toBe(403);
  }
  expect((await ask({ path: "/bundles", headers: { cookie } })).status).toBe(200);
});

test("with a session files come whole, in ranges and unchanged, with the headers that isolate the page", async () => {
  const cookie = await signIn();
  const file = "/bundles/stories/tokenizer.json";
  const real = await readFile("public/models/stories/tokenizer.json");
  const whole = await ask({ path: file, headers: { cookie } });
  expect(whole.body.equals(real)).toBe(true);
  const etag = String(whole.headers.etag);
  const part = await ask({ path: file, headers: { cookie, range: "bytes=100-299", "if-range": etag } });
  expect([part.status, part.headers["content-range"]]).toEqual([206, `bytes 100-299/${real.length}`]);
  expect(part.body.equals(real.subarray(100, 300))).toBe(true);
  expect((await ask({ path: file, headers: { cookie, range: `bytes=${real.length}-` } })).status).toBe(416);
  const same = await ask({ path: file, headers: { cookie, "if-none-match": etag } });
  expect([same.status, same.body.length]).toEqual([304, 0]);
  expect((await ask({ path: file, method: "HEAD", headers: { cookie } })).headers.etag).toBe(etag);
  for (const target of [file, "/explore", "/ort/ort-wasm-simd-threaded.wasm"]) {
    const { headers } = await ask({ path: target, headers: { cookie, accept: "text/html" } });
    expect(headers["cross-origin-opener-policy"]).toBe("same-origin");
    expect(headers["cross-origin-embedder-policy"]).toBe("require-corp");
    expect(JSON.stringify(headers)).not.toContain("x-mambascope");
  }
});

test("events stream to many at once through the guard", async () => {
  const cookie = await signIn();
  const open = () =>
    new Promise<string>((resolve, reject) => {
      const outgoing = send({ host: "127.0.0.1", port, path: "/api/training/events", headers: { host: `localhost:${port}`, cookie }, agent: false }, (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (part: string) => {
          text += part;
          if (!text.includes('"hello"')) return;
          resolve(`${answer.statusCode} ${answer.headers["content-type"]}`);
          outgoing.destroy();
        });
      });
      outgoing.on("error", reject).end();
    });
  const answers = await Promise.all(Array.from({ length: 50 }, open));
  expect(new Set(answers)).toEqual(new Set(["200 text/event-stream; charset=utf-8"]));
});

test("a visitor signs in, lands where they meant to, stays signed in over a restart, and signs out", async ({ page }) => {
  const origin = `http://localhost:${port}`;
  const refused: string[] = [];
  page.on("console", (message) => /Content.Security.Policy/i.test(message.text()) && refused.push(message.text()));
  await page.goto(`${origin}/models?from=link`);
  await expect(page).toHaveURL(`${origin}/login?next=%2Fmodels%3Ffrom%3Dlink`);
  await page.getByLabel("Password").fill("not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByText("That is not the password.")).toBeVisible();
  expect(await violations(page)).toEqual([]);
  await page.getByLabel("Password").fill(password);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(`${origin}/models?from=link`);
  await expect(page.getByRole("heading", { name: "Models", exact: true })).toBeVisible();
  await stop();
  await start();
  await page.reload();
  await expect(page.getByRole("heading", { name: "Models", exact: true })).toBeVisible();
  expect(await page.evaluate(() => [crossOriginIsolated, document.cookie])).toEqual([true, ""]);
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page).toHaveURL(`${origin}/login`);
  await page.goto(`${origin}/models`);
  await expect(page).toHaveURL(/\/login\?next=/);
  expect(refused).toEqual([]);
});

test("a link to the sign-in page does not lead to another server", async ({ page }) => {
  await page.goto(`http://localhost:${port}/login?next=${encodeURIComponent("//evil.example/x")}`);
  await page.getByLabel("Password").fill(password);
  await page.keyboard.press("Enter");
  // The page that `/` leads to.
  await expect(page).toHaveURL(`http://localhost:${port}/chat`);
});

test("guesses are slowed down and recorded", async () => {
  const guess = (k: number) => ask({ path: "/login/session", method: "POST", headers: { "content-type": "application/json", "x-forwarded-for": `10.0.0.${k}` }, body: JSON.stringify({ password: `secret guess ${k}` }) });
  const answers: Answer[] = [];
  for (let k = 0; k < 12; k += 1) answers.push(await guess(k));
  const slowed = answers.filter(({ status }) => status === 429);
  expect(slowed.length).toBeGreaterThan(4);
  expect(Number(slowed.at(-1)?.headers["retry-after"])).toBeGreaterThan(0);
  const log = await readFile(path.join(home, "auth.log"), "utf8");
  expect(log).toContain('"event":"wrong-password","address":"127.0.0.1"');
  expect(log).not.toMatch(/secret|10\.0\.0\./);
});

test("another address of this machine reaches it too, and a changed password ends the session", async () => {
  const address = Object.values(networkInterfaces()).flat().find((entry) => entry?.family === "IPv4" && !entry.internal)?.address;
  test.skip(!address, "This machine has no address but loopback.");
  await stop();
  await start();
  const cookie = await signIn();
  const fetched = () => fetch(`http://${address}:${port}/bundles`, { headers: { cookie } });
  expect((await fetched()).status).toBe(200);
  await setPassword(home, password, cost);
  expect((await fetched()).status).toBe(401);
});

test("the server that listens on loopback asks for no password and refuses foreign names and pages", async ({ request, baseURL }: { request: APIRequestContext; baseURL?: string }) => {
  expect((await request.get("/bundles")).status()).toBe(200);
  expect((await request.get("/bundles", { headers: { host: "evil.example" } })).status()).toBe(403);
  expect((await request.post("/api/families/stories/fetch", { headers: { origin: "http://evil.example" } })).status()).toBe(403);
  expect((await request.delete("/nothing", { headers: { "sec-fetch-site": "cross-site" } })).status()).toBe(403);
  const page = await request.get("/", { headers: { accept: "text/html" } });
  expect(page.headers()["content-security-policy"]).toContain("'wasm-unsafe-eval'");
  expect(baseURL).toContain("localhost");
});
