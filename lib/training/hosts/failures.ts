/** Tells why a node cannot be reached, in words, with what to do about it: from what ssh and the node's shell print. */
import type { NodeAddress } from "./address";
import { NodeError } from "./errors";

type Notes = { noise: string; stderr: string };

const nameOf = (address: NodeAddress) => (address.kind === "local" ? "this machine" : (address.destination ?? "the node"));

/** The command by which the user reaches the node in a terminal. */
function sshCommand(address: NodeAddress): string {
  const port = address.port === null ? "" : ` -p ${address.port}`;
  const identity = address.identityFile === null ? "" : ` -i ${address.identityFile}`;
  return `ssh${port}${identity} ${address.destination ?? ""}`;
}

/** Why the agent never said its first word. `how`: the process could not start, it ended, or time ran out. */
export function startError(address: NodeAddress, notes: Notes, how: "spawn" | "exit" | "timeout", error?: NodeJS.ErrnoException, code?: number | null): NodeError {
  const name = nameOf(address);
  if (how === "spawn") {
    return address.kind === "ssh" && error?.code === "ENOENT"
      ? new NodeError("ssh-missing", "The program ssh was not found on this machine.", "Install the OpenSSH client (Debian, Ubuntu: apt-get install openssh-client), then try again.")
      : new NodeError("spawn", `${address.kind === "ssh" ? "ssh" : "Python"} could not be started: ${error?.message ?? "unknown reason"}.`, "Check that it is installed and may be run, then try again.");
  }
  const known = address.kind === "ssh" ? sshError(address, notes.stderr) : null;
  if (known) return known;
  if (notes.noise !== "") return garbageError(address, notes.noise);
  if (how === "timeout") {
    return new NodeError("timeout", `${name} accepted the connection, but did not answer in time.`, `See whether \`${sshCommand(address)}\` gives a prompt; its login script may be waiting for something.`);
  }
  const last = lastLine(notes.stderr);
  return new NodeError("start", `The node's helper could not be started on ${name}${last ? `: ${last}` : ` (exit code ${code ?? "none"})`}.`, address.kind === "ssh" ? `Try \`${sshCommand(address)} python3 --version\` in a terminal.` : "Check that Python runs on this machine, then try again.");
}

/** The connection ended after it had stood. */
export function lostError(address: NodeAddress, stderr: string): NodeError {
  const last = lastLine(stderr);
  return new NodeError("connection-lost", `The connection to ${nameOf(address)} was lost${last ? `: ${last}` : ""}.`, "Runs on the node go on; the connection is made again by itself.");
}

/** The node sends what is no answer. */
export function garbageError(address: NodeAddress, first: string): NodeError {
  const line = first.replace(/[^\x20-\x7e]+/g, " ").trim().slice(0, 120);
  return new NodeError(
    "garbage",
    `${nameOf(address)} sent something that is no answer${line ? `; it begins with: ${line}` : ""}.`,
    `See what \`${address.kind === "ssh" ? `${sshCommand(address)} true` : "python3"}\` prints: it should print nothing. A login script (.bashrc, .profile) must not print, wait or start a program without a terminal.`,
  );
}

export function noPythonError(address: NodeAddress): NodeError {
  return new NodeError("python-missing", `${address.python ?? "Python 3"} was not found on ${nameOf(address)}.`, "Install Python 3.11 or newer there, or give this node the path of one (an environment's bin/python, for example).");
}

export function oldPythonError(address: NodeAddress, version: string): NodeError {
  return new NodeError("python-old", `Python on ${nameOf(address)} is ${version}; 3.9 is needed to talk to it and 3.11 to train.`, "Install Python 3.11 or newer there, or give this node the path of one (an environment's bin/python, for example).");
}

type Rule = { pattern: RegExp; error: (address: NodeAddress, match: RegExpMatchArray, stderr: string) => NodeError };

const sshRules: Rule[] = [
  {
    pattern: /REMOTE HOST IDENTIFICATION HAS CHANGED/,
    error: (address, _match, stderr) => {
      const removal = /^\s*(ssh-keygen -f .*)$/m.exec(stderr)?.[1]?.trim() ?? `ssh-keygen -R ${hostOf(address)}`;
      return new NodeError("host-key-changed", `The host key of ${nameOf(address)} is not the one that was known: it is another machine, was installed anew, or someone is in between.`, `If you know why it changed, remove the old key with \`${removal}\`, then run \`${sshCommand(address)}\` once in a terminal and compare the fingerprint.`);
    },
  },
  {
    pattern: /Host key verification failed|No .* host key is known for/,
    error: (address) => new NodeError("host-key-unknown", `The host key of ${nameOf(address)} is not known on this machine yet.`, `Run \`${sshCommand(address)}\` once in a terminal, compare the fingerprint and say yes, then try again.`),
  },
  {
    pattern: /Permission denied|Too many authentication failures/,
    error: (address) =>
      new NodeError(
        "permission-denied",
        `${nameOf(address)} does not accept your key.`,
        `Copy it there with \`ssh-copy-id${address.port === null ? "" : ` -p ${address.port}`}${address.identityFile === null ? "" : ` -i ${address.identityFile}`} ${address.destination ?? ""}\`. A key with a passphrase must be in the ssh agent: \`ssh-add ${address.identityFile ?? ""}\`. Then \`${sshCommand(address)}\` must work without a question.`.replace(" `.", "`."),
      ),
  },
  {
    pattern: /Could not resolve hostname ([^:\s]+)|Name or service not known|nodename nor servname/,
    error: (address, match) => new NodeError("unknown-host", `The name ${match[1] ?? hostOf(address)} could not be resolved.`, "Check its spelling and your network (a VPN may be needed), or add it to your ssh config."),
  },
  {
    pattern: /Connection refused/,
    error: (address) => new NodeError("refused", `${nameOf(address)} refuses connections${address.port === null ? "" : ` on port ${address.port}`}.`, "Check that the machine runs an SSH server and that the port is right."),
  },
  {
    pattern: /timed out|No route to host|Network is unreachable|Host is down/i,
    error: (address) => new NodeError("unreachable", `${nameOf(address)} cannot be reached.`, "Check that the machine is on, and your network (a VPN may be needed)."),
  },
  {
    pattern: /Bad configuration option|Can't open user config file|terminating, \d+ bad configuration|Bad owner or permissions on \S+/,
    error: (_address, match) => new NodeError("ssh-config", `ssh cannot use its configuration: ${match[0]}.`, "Mend the ssh config file, then try again."),
  },
  {
    pattern: /kex_exchange_identification|Connection closed by|Connection reset by|banner exchange/,
    error: (address) => new NodeError("closed-by-node", `${nameOf(address)} closed the connection at once.`, "Check that the port belongs to an SSH server and that it takes connections from here (it may limit how many)."),
  },
  {
    pattern: /no matching (host key type|key exchange method|cipher)[^\n]*/,
    error: (_address, match) => new NodeError("ssh-algorithms", `ssh and the node have no method in common: ${match[0]}.`, "Update the older of the two, or allow the method in your ssh config."),
  },
];

function sshError(address: NodeAddress, stderr: string): NodeError | null {
  for (const { pattern, error } of sshRules) {
    const match = stderr.match(pattern);
    if (match) return error(address, match, stderr);
  }
  return null;
}

const hostOf = (address: NodeAddress) => (address.destination ?? "").replace(/^.*@/, "");

const lastLine = (text: string) => text.split("\n").map((line) => line.trim()).filter(Boolean).at(-1)?.slice(0, 200) ?? "";
