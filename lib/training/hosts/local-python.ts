/** Finds the Python of this machine that runs the agent and makes environments; the same choice as scripts/lib/python.mjs. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { NodeError } from "./errors";

const execute = promisify(execFile);
let found: string | null = null;

/** A Python of at least 3.11. Rejects with NodeError `python`. */
export async function findPython(): Promise<string> {
  if (found) return found;
  const seen: string[] = [];
  for (const candidate of [process.env.MAMBASCOPE_PYTHON, "python3", "python3.13", "python3.12", "python3.11", "python"]) {
    if (!candidate) continue;
    const version = await execute(candidate, ["-c", "import sys; print(*sys.version_info[:2])"], { timeout: 20_000 }).then(
      ({ stdout }) => stdout.trim().split(" ").map(Number),
      () => null,
    );
    if (!version) continue;
    const [major = 0, minor = 0] = version;
    if (major === 3 && minor >= 11) {
      found = candidate;
      return candidate;
    }
    seen.push(`${candidate} is ${version.join(".")}`);
  }
  throw new NodeError(
    "python",
    seen.length ? `Python 3.11 or newer is needed on this machine; ${seen.join(", ")}.` : "Python was not found on this machine.",
    "Install Python 3.11 or newer (Debian, Ubuntu: apt-get install python3 python3-venv), or name one in MAMBASCOPE_PYTHON, then try again.",
  );
}
