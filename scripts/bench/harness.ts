/** The built app, a page of benchmarks beside it on the same origin, and a real Chromium that opens it. */
import { type ChildProcess, spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import { createServer as createProbe } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright";
import { build as bundle } from "vite";
import { ensureChromium } from "../lib/chromium.mjs";
import { say } from "../lib/console.mjs";
import { root } from "../lib/paths.mjs";
import { SetupError } from "../lib/run.mjs";
import { build, copyRuntime, nextBinary } from "../lib/setup.mjs";
import { keepingNodeEnv } from "./node-env.mjs";
import type { BenchPage } from "./page/api";

const host = "127.0.0.1";
const types: Record<string, string> = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".wasm": "application/wasm" };
/** WebGPU on the CPU. */
const swiftShader = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan,WebGPU", "--ignore-gpu-blocklist"];

type Calls = { [K in keyof BenchPage]: (...args: Parameters<BenchPage[K]>) => Promise<Awaited<ReturnType<BenchPage[K]>>> };

/** One Chromium with a fresh profile on disk, so that the weights' cache is what a visitor has. */
export type Browser = { version: string; page: Page; bench: Calls; reload(): Promise<void>; close(): Promise<void> };
export type Lab = { browser(options?: { webgpu?: boolean }): Promise<Browser>; close(): Promise<void> };

/** Starts everything; MAMBASCOPE_APP names the port of an app that runs already, in place of building and starting one. `files` are served as `/bench/<name>`, `folders` under `/bench/<name>/`. Throws SetupError. */
export async function openLab({ files = {}, folders = {} }: { files?: Record<string, string>; folders?: Record<string, string> } = {}): Promise<Lab> {
  const running = Number(process.env.MAMBASCOPE_APP ?? 0);
  if (!running) {
    await copyRuntime();
    await build();
  }
  const executablePath = await ensureChromium();
  const temporary = await mkdtemp(path.join(tmpdir(), "mambascope-bench-"));
  const site = path.join(temporary, "site");
  await bundlePage(site);
  const appPort = running || (await freePort());
  const start = [nextBinary(), "start", "--hostname", host, "--port", String(appPort)];
  const app = running ? null : spawn(process.execPath, start, { cwd: root, env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1" }, stdio: "ignore" });
  const server = createServer((incoming, outgoing) => {
    const { pathname } = new URL(incoming.url ?? "/", "http://localhost");
    const file = benchFile(pathname, site, files, folders);
    if (file) void sendFile(file, outgoing);
    else pass(incoming, outgoing, appPort);
  });
  const port = await new Promise<number>((resolve) => server.listen(0, host, () => resolve((server.address() as { port: number }).port)));
  const origin = `http://${host}:${port}`;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    app?.kill();
    await rm(temporary, { recursive: true, force: true });
  };
  try {
    await answers(`${origin}/bundles`, app);
  } catch (error) {
    await close();
    throw error;
  }
  let profiles = 0;
  return {
    close,
    browser: async ({ webgpu = false } = {}) => {
      const args = ["--no-sandbox", ...(webgpu ? swiftShader : [])];
      const context = await chromium.launchPersistentContext(path.join(temporary, `profile-${profiles++}`), { executablePath, args });
      return openBrowser(context, `${origin}/bench/index.html`);
    },
  };
}

async function bundlePage(outDir: string): Promise<void> {
  await keepingNodeEnv(() =>
    bundle({
      configFile: false,
      root: path.join(root, "scripts", "bench", "page"),
      base: "/bench/",
      logLevel: "error",
      resolve: { alias: { "@": root } },
      build: { outDir, target: "esnext", modulePreload: { polyfill: false } },
      worker: { format: "es" },
    }),
  );
}

async function openBrowser(context: BrowserContext, url: string): Promise<Browser> {
  const page = context.pages()[0] ?? (await context.newPage());
  page.on("console", (message) => message.type() === "error" && say(`  [page] ${message.text()}`));
  page.on("pageerror", (error) => say(`  [page] ${error.message}`));
  const open = async (): Promise<void> => {
    await page.goto(url);
    await page.waitForFunction(() => "bench" in window && crossOriginIsolated);
  };
  await open();
  const session = await context.newCDPSession(page);
  const { product } = await session.send("Browser.getVersion");
  const call = (name: string, args: unknown[]): Promise<unknown> =>
    page.evaluate(({ name, args }) => (window.bench as unknown as Record<string, (...args: unknown[]) => unknown>)[name]?.(...args), { name, args });
  const bench = new Proxy({} as Calls, { get: (_, name) => (...args: unknown[]) => call(String(name), args) });
  return { version: product, page, bench, reload: open, close: () => context.close() };
}

function benchFile(pathname: string, site: string, files: Record<string, string>, folders: Record<string, string>): string | null {
  if (!pathname.startsWith("/bench/")) return null;
  const name = path.posix.normalize(pathname.slice("/bench/".length));
  if (name === "wllama.wasm") return path.join(root, "node_modules", "@wllama", "wllama", "esm", "wasm", "wllama.wasm");
  if (files[name]) return files[name];
  const [folder = "", ...rest] = name.split("/");
  if (folders[folder] && rest.length === 1) return path.join(folders[folder], ...rest);
  return path.join(site, name);
}

async function sendFile(file: string, outgoing: ServerResponse): Promise<void> {
  const info = await stat(file).catch(() => null);
  if (!info?.isFile()) return void outgoing.writeHead(404).end();
  outgoing.writeHead(200, {
    "Content-Type": types[path.extname(file)] ?? "application/octet-stream",
    "Content-Length": info.size,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
  });
  createReadStream(file).pipe(outgoing);
}

/** The app's own answer, headers and all. */
function pass(incoming: IncomingMessage, outgoing: ServerResponse, port: number): void {
  const forward = request({ host, port, path: incoming.url, method: incoming.method, headers: incoming.headers }, (answer) => {
    outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(outgoing);
  });
  forward.on("error", () => outgoing.headersSent || outgoing.writeHead(502).end());
  incoming.pipe(forward);
}

/** @returns A port that nothing listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createProbe();
    probe.once("error", reject);
    probe.listen(0, host, () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}

/** Waits until the app answers. Throws SetupError if it ends or stays silent. */
async function answers(url: string, app: ChildProcess | null): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline && (app?.exitCode ?? null) === null) {
    if (await fetch(url).then(({ ok }) => ok, () => false)) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new SetupError("app", "The built app does not answer.", "Start it with `npm start` to see why.");
}
