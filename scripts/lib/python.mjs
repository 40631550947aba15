/** Finds Python, makes the project's virtual environment in the home folder and installs requirement files into it. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { root } from "./paths.mjs";
import { run, SetupError } from "./run.mjs";

const minimum = { major: 3, minor: 11 };

/** @param {string} python @returns {Promise<number[] | null>} Major and minor version, or null if it does not run. */
async function versionOf(python) {
  const { code, stdout } = await run(python, ["-c", "import sys; print(*sys.version_info[:2])"]);
  return code === 0 ? stdout.trim().split(" ").map(Number) : null;
}

/** @returns {Promise<string>} A Python of at least 3.11. Throws SetupError `python`. */
export async function findPython() {
  const candidates = [process.env.MAMBASCOPE_PYTHON, "python3", "python3.13", "python3.12", "python3.11", "python"];
  const seen = [];
  for (const candidate of candidates) {
    if (!candidate) continue;
    const version = await versionOf(candidate);
    if (!version) continue;
    const [major = 0, minor = 0] = version;
    if (major === minimum.major && minor >= minimum.minor) return candidate;
    seen.push(`${candidate} is ${version.join(".")}`);
  }
  throw new SetupError(
    "python",
    seen.length ? `Python ${minimum.major}.${minimum.minor} or newer is needed; ${seen.join(", ")}.` : "Python was not found.",
    "Install Python 3.11 or newer (Debian, Ubuntu: apt-get install python3 python3-venv), or name one in MAMBASCOPE_PYTHON, then try again.",
  );
}

/**
 * The interpreter of `<home>/venv`, made if it is not there or does not run.
 * @param {string} home
 */
export async function ensureVenv(home) {
  const folder = path.join(home, "venv");
  const python = process.platform === "win32" ? path.join(folder, "Scripts", "python.exe") : path.join(folder, "bin", "python");
  if (existsSync(python) && (await run(python, ["-m", "pip", "--version"])).code === 0) return python;
  const base = await findPython();
  await mkdir(home, { recursive: true });
  const made = await run(base, ["-m", "venv", "--clear", folder]);
  if (made.code !== 0) {
    await rm(folder, { recursive: true, force: true });
    throw new SetupError(
      "venv",
      `Python could not make a virtual environment in ${folder}.`,
      "Install the venv module (Debian, Ubuntu: apt-get install python3-venv), check that the folder can be written, then try again.",
    );
  }
  return python;
}

/**
 * A requirement file's text with those that it includes in their places, as in lib/training/nodes/trainer-files.ts.
 * @param {string} file Path relative to the project. @returns {Promise<string>}
 */
async function requirementText(file) {
  const lines = (await readFile(path.join(root, file), "utf8")).split("\n").map((line) => {
    const included = /^-r\s+(\S+)$/.exec(line.trim())?.[1];
    return included ? requirementText(path.posix.join(path.posix.dirname(file), included)) : line;
  });
  return (await Promise.all(lines)).filter((line) => line.trim() !== "" && !line.startsWith("#")).join("\n");
}

/**
 * Installs a requirement file unless the environment already has this very file's content.
 * @param {string} python @param {string} home @param {string} file Path relative to the project.
 */
export async function installRequirements(python, home, file) {
  const stamp = path.join(home, "venv", `.installed-${path.basename(file)}`);
  const hash = createHash("sha256").update(await requirementText(file)).digest("hex");
  if ((await readFile(stamp, "utf8").catch(() => "")) === hash) return;
  const { code, stderr } = await run(python, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "-r", path.join(root, file)]);
  if (code !== 0) throw pipError(`The Python packages of ${file} could not be installed`, stderr);
  await writeFile(stamp, hash);
}

/** @param {string} what @param {string} stderr */
export function pipError(what, stderr) {
  const offline = /NewConnectionError|NameResolutionError|Temporary failure|Network is unreachable|ProxyError|ConnectTimeout|Connection refused|Max retries/i.test(stderr);
  const reason = stderr.split("\n").filter((line) => line.startsWith("ERROR")).at(-1)?.replace(/^ERROR:\s*/, "");
  if (offline) {
    return new SetupError("offline", `${what}: the package index cannot be reached.`, "Check the network connection, then try again.");
  }
  return new SetupError("pip", `${what}${reason ? `: ${reason}` : ""}.`, "Check the network connection and the disk's free space, then try again.");
}
