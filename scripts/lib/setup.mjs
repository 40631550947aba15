/** The steps that make a fresh clone ready to run, each a no-op when its work is done. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { copyFile, mkdir, readFile, readdir, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { createRequire } from "node:module";
import { megabytes, progress, say, seconds, endProgress } from "./console.mjs";
import { root } from "./paths.mjs";
import { run, SetupError } from "./run.mjs";

/** Throws SetupError if this Node is too old. */
export function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 9)) return;
  throw new SetupError("node", `Node ${process.versions.node} is too old.`, "Install Node 20.9 or newer.");
}

/** Installs npm packages if they are missing or the lock file changed since they were installed. */
export async function installPackages() {
  const lock = await readFile(path.join(root, "package-lock.json"));
  const hash = createHash("sha256").update(lock).digest("hex");
  const stamp = path.join(root, "node_modules", ".mambascope-lock");
  if ((await readFile(stamp, "utf8").catch(() => "")) === hash) return say("npm packages: installed");
  if (!existsSync(path.join(root, "node_modules", ".package-lock.json")) || (await lockDiffers())) {
    say("npm packages: installing (a few minutes the first time)");
    const begun = Date.now();
    const npm = process.platform === "win32" ? "npm.cmd" : "npm";
    const flags = ["--no-audit", "--no-fund", "--loglevel=error"];
    const exact = await run(npm, ["ci", ...flags], { cwd: root });
    // A registry that lacks another platform's optional packages fails the exact install; the versions here are locked all the same.
    const { code } = exact.code === 0 ? exact : await run(npm, ["install", "--no-save", ...flags], { cwd: root, show: true });
    if (code !== 0) throw new SetupError("npm", "The npm packages could not be installed.", "Check the network connection and the message above, then run the command again.");
    say(`npm packages: installed in ${seconds(Date.now() - begun)}`);
  } else say("npm packages: installed");
  await writeFile(stamp, hash);
}

/** Whether node_modules was installed from another lock file: npm's own record names each package's version. */
async function lockDiffers() {
  const versions = async (/** @type {string} */ file) => {
    const { packages } = JSON.parse(await readFile(path.join(root, file), "utf8"));
    return packages;
  };
  const [wanted, present] = await Promise.all([versions("package-lock.json"), versions("node_modules/.package-lock.json")]);
  return Object.entries(wanted).some(([name, { version, optional, peer }]) => name !== "" && !optional && !peer && present[name]?.version !== version);
}

/** Copies onnxruntime-web's WebAssembly files to where the page loads them from. */
export async function copyRuntime() {
  const dist = path.dirname(createRequire(path.join(root, "package.json")).resolve("onnxruntime-web"));
  const target = path.join(root, "public", "ort");
  await mkdir(target, { recursive: true });
  let copied = 0;
  for (const name of (await readdir(dist)).filter((file) => /^ort-wasm-simd-threaded(\.asyncify)?\.(mjs|wasm)$/.test(file))) {
    const [from, to] = [path.join(dist, name), path.join(target, name)];
    const [source, present] = await Promise.all([stat(from), stat(to).catch(() => null)]);
    if (present?.size === source.size && present.mtimeMs >= source.mtimeMs) continue;
    await copyFile(from, to);
    copied += source.size;
  }
  say(`onnxruntime: ${copied ? `copied ${megabytes(copied)}` : "in place"}`);
}

/** Fetches the teachers' weights that do not ship. A failure is told and passed over: the other families work without them. */
export async function fetchTeachers() {
  const models = path.join(root, "public", "models");
  for (const entry of (await readdir(models, { withFileTypes: true }).catch(() => [])).filter((item) => item.isDirectory())) {
    const manifest = await readFile(path.join(models, entry.name, "manifest.json"), "utf8").catch(() => "");
    if (!/"kind":\s*"gguf-package"/.test(manifest)) continue;
    say(`${entry.name}: fetching what does not ship`);
    let last = { type: "", message: "", action: "" };
    await run(process.execPath, [path.join(root, "scripts", "fetch-base.mjs"), entry.name, "--json"], {
      onLine: (line) => {
        last = JSON.parse(line);
        if (last.type === "progress") progress(last.message, Number(Reflect.get(last, "done")), Number(Reflect.get(last, "total")));
      },
    });
    endProgress();
    if (last.type === "done") say(`  ${last.message}`);
    else {
      say(`  Not fetched. ${last.message}`);
      say(`  ${last.action} The page offers it too; everything else works without it.`);
    }
  }
}

const sourceFolders = ["app", "components", "lib", "workers"];
const sourceFiles = ["instrumentation.ts", "proxy.ts", "next.config.js", "package-lock.json", "postcss.config.mjs", "tsconfig.json"];

/** Hash of everything that the build reads. */
async function sourceHash() {
  const hash = createHash("sha256");
  const files = [...sourceFiles];
  for (const folder of sourceFolders) {
    const entries = await readdir(path.join(root, folder), { recursive: true, withFileTypes: true });
    files.push(...entries.filter((entry) => entry.isFile()).map((entry) => path.relative(root, path.join(entry.parentPath ?? entry.path, entry.name))));
  }
  for (const file of files.sort()) hash.update(file).update(await readFile(path.join(root, file)).catch(() => ""));
  return hash.digest("hex");
}

/** Builds the app unless the last build was of these very sources. Throws SetupError `build`. */
export async function build() {
  const hash = await sourceHash();
  const stamp = path.join(root, ".next", "mambascope-sources");
  if (existsSync(path.join(root, ".next", "BUILD_ID")) && (await readFile(stamp, "utf8").catch(() => "")) === hash) return say("build: up to date");
  say("build: compiling (about a minute)");
  const begun = Date.now();
  const { code, stdout, stderr } = await run(process.execPath, [nextBinary(), "build"], { cwd: root, env: { ...process.env, NEXT_TELEMETRY_DISABLED: "1", NODE_ENV: "production" } });
  if (code !== 0) {
    say(stdout + stderr);
    throw new SetupError("build", "The app could not be built.", "See the messages above; a fresh clone at a released commit builds.");
  }
  await writeFile(stamp, hash);
  say(`build: done in ${seconds(Date.now() - begun)}`);
}

export function nextBinary() {
  return path.join(root, "node_modules", "next", "dist", "bin", "next");
}
