/** How the agent is started on a node: a child process whose standard input and output reach it. */
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { readFile, readdir } from "node:fs/promises";
import path from "node:path";
import { homeFolder, projectRoot } from "@/lib/home/paths";
import type { NodeAddress } from "./address";
import { NodeError } from "./errors";
import { findPython } from "./local-python";

/** The line that the bootstrap prints before anything else, so that what a login script prints can be told from answers. */
export const bootMarker = /^mambascope-agent (\d+)\.(\d+)$/;
export const noPythonMarker = "mambascope-agent no-python";

// Reads a length and that many bytes from standard input, and runs them. Constant: nothing is ever put into it.
const bootstrap = [
  "import sys,json",
  'sys.stdout.write(chr(10)+"mambascope-agent %d.%d"%sys.version_info[:2]+chr(10))',
  "sys.stdout.flush()",
  "sys.version_info<(3,9) and sys.exit(3)",
  "s=sys.stdin.buffer",
  "p=json.loads(s.read(int(s.readline())))",
  'exec(compile(p["boot"],"boot","exec"),{"modules":p})',
].join(";");

// The first Python that the trainer can use, else the first that the agent can. `$1` is the bootstrap, the rest are names.
const chooser =
  'b="$1"; shift; for v in "3,11" "3,9"; do for p in "$@"; do ' +
  'if "$p" -c "import sys;sys.exit(sys.version_info<($v))" </dev/null >/dev/null 2>&1; then exec "$p" -u -c "$b"; fi; done; done; ' +
  'for p in "$@"; do if "$p" -c "" </dev/null >/dev/null 2>&1; then exec "$p" -u -c "$b"; fi; done; ' +
  `echo; echo "${noPythonMarker}"; exit 127`;

const pythonNames = ["python3", "python3.13", "python3.12", "python3.11", "python3.14", "python3.10", "python3.9"];

/** For a login shell of any kind: single quotes mean the same in all of them, and no value holds one. */
const quoted = (value: string) => {
  if (/['\\!\n]/.test(value)) throw new Error("a word of the remote command needs no quoting");
  return `'${value}'`;
};

/** What ssh runs on the node. The only part that varies is the name of the Python, which `nodeAddressSchema` limits to plain paths. */
export function remoteCommand(python: string | null): string {
  const words = ["/bin/sh", "-c", chooser, "sh", bootstrap, ...(python === null ? pythonNames : [python])];
  return `exec ${words.map(quoted).join(" ")}`;
}

/** The arguments of ssh for a node: the user's config, keys, agent and jump hosts count; nothing is ever asked. */
export function sshArguments(address: NodeAddress): string[] {
  const config = process.env.MAMBASCOPE_SSH_CONFIG;
  return [
    "-T",
    ...["BatchMode=yes", "ConnectTimeout=10", "ServerAliveInterval=10", "ServerAliveCountMax=3", "ClearAllForwardings=yes", "RemoteCommand=none", "LogLevel=INFO"].flatMap((option) => ["-o", option]),
    ...(config ? ["-F", config] : []),
    ...(address.port === null ? [] : ["-p", String(address.port)]),
    ...(address.identityFile === null ? [] : ["-o", "IdentitiesOnly=yes", "-i", address.identityFile]),
    "--",
    address.destination ?? "",
    remoteCommand(address.python),
  ];
}

/** The node's root folder as the agent gets it. */
export function rootOf(address: NodeAddress): string {
  return address.root ?? (address.kind === "local" ? homeFolder() : "~/.mambascope");
}

/** A program that reaches the agent by its standard input and output. */
export type ChannelCommand = { file: string; args: string[]; env: NodeJS.ProcessEnv };

/** What to start for a node. Rejects with NodeError `python` if this machine has none, `unsupported` on Windows. */
export async function channelCommand(address: NodeAddress): Promise<ChannelCommand> {
  if (address.kind === "local" && process.platform === "win32") {
    throw new NodeError("unsupported", "Runs on this machine need Linux or macOS.", "Start the dashboard inside WSL, or add another machine as a node.");
  }
  if (address.kind === "local") return { file: address.python ?? (await findPython()), args: ["-u", "-c", bootstrap], env: process.env };
  return { file: "ssh", args: sshArguments(address), env: process.env };
}

/** Starts it. The caller listens at once: a program that cannot start says so in the next tick. */
export function openChannel({ file, args, env }: ChannelCommand): ChildProcessWithoutNullStreams {
  return spawn(file, args, { stdio: "pipe", env });
}

let payload: Promise<Buffer> | null = null;

/** The agent's modules, with their length before them, as the bootstrap reads them. */
export function agentPayload(): Promise<Buffer> {
  // A file that changes under a development server counts at once.
  if (process.env.NODE_ENV !== "production") payload = null;
  payload ??= packAgent().catch((error: unknown) => {
    payload = null;
    throw error;
  });
  return payload;
}

async function packAgent(): Promise<Buffer> {
  const folder = path.join(/* turbopackIgnore: true */ projectRoot(), "lib", "training", "agent");
  const names = (await readdir(/* turbopackIgnore: true */ folder)).filter((name) => name.endsWith(".py")).sort();
  const entries = await Promise.all(names.map(async (name) => [name.slice(0, -3), await readFile(path.join(/* turbopackIgnore: true */ folder, name), "utf8")]));
  const text = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  return Buffer.concat([Buffer.from(`${text.byteLength}\n`), text]);
}
