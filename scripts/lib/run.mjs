/** Child processes for the set-up scripts: arguments as arrays, never through a shell. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** @type {Set<import("node:child_process").ChildProcess>} */
const running = new Set();

for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) {
  process.on(signal, () => {
    for (const child of running) child.kill(signal);
    process.exitCode = 130;
    // Children that ignore the signal must not keep the script alive.
    setTimeout(() => process.exit(130), 3000).unref();
  });
}

/**
 * Runs a command to its end.
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, show?: boolean, onLine?: (line: string) => void }} [options]
 *   `show` passes the output through to the terminal; `onLine` gets each line of standard output.
 * @returns {Promise<{ code: number, stdout: string, stderr: string }>} Code 127 if the command cannot be started; the last 64 KiB of output.
 */
export function run(command, args, { cwd, env = process.env, show = false, onLine } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, stdio: show ? "inherit" : ["ignore", "pipe", "pipe"] });
    running.add(child);
    let stdout = "";
    let stderr = "";
    const keep = 65536;
    if (child.stdout) {
      createInterface({ input: child.stdout }).on("line", (line) => {
        stdout = `${stdout}${line}\n`.slice(-keep);
        onLine?.(line);
      });
    }
    child.stderr?.on("data", (chunk) => {
      stderr = `${stderr}${chunk}`.slice(-keep);
    });
    child.on("error", (error) => {
      running.delete(child);
      resolve({ code: 127, stdout, stderr: String(error.message) });
    });
    child.on("close", (code, signal) => {
      running.delete(child);
      resolve({ code: code ?? (signal ? 130 : 1), stdout, stderr });
    });
  });
}

/** A failure that a user can act on: `message` says what went wrong, `action` what to do. */
export class SetupError extends Error {
  /** @param {string} code @param {string} message @param {string} action */
  constructor(code, message, action) {
    super(message);
    this.code = code;
    this.action = action;
  }
}
