/** A real SSH server for tests: on a free loopback port, with host keys, user keys and configuration of its own. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, connect as connectTo } from "node:net";
import { tmpdir, userInfo } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import type { NodeAddressInput } from "../hosts/address";

const execute = promisify(execFile);
const program = "/usr/sbin/sshd";

/** Why the tests with a server cannot run here; null if they can. */
export const sshdMissing: string | null = existsSync(program) ? null : `${program} is missing: install openssh-server`;

/** What a key may do instead of a login: the server runs this in place of what was asked (`$SSH_ORIGINAL_COMMAND`). */
export type Behaviours = Record<string, string>;

export type TestServer = {
  port: number;
  /** The ssh config that knows the server; MAMBASCOPE_SSH_CONFIG names it while the server runs. */
  configFile: string;
  /** A folder that `stop` deletes. */
  folder: string;
  /** A node on this server. `host`: an alias of the config: `good`, `wrong-key`, `unknown-host`, `changed-host` or one of the behaviours. */
  node: (host?: string, root?: string) => NodeAddressInput;
  /** Kills what the server started for its connections, as when a machine fails. The server goes on. */
  killConnections: () => Promise<void>;
  /** Ends the server and its connections, then takes connections again on the same port. */
  halt: () => Promise<void>;
  resume: () => Promise<void>;
  stop: () => Promise<void>;
};

/** Starts the server. Rejects if it does not listen within five seconds. */
export async function startSshd(behaviours: Behaviours = {}): Promise<TestServer> {
  const folder = await mkdtemp(path.join(tmpdir(), "mambascope-sshd-"));
  const at = (name: string) => path.join(folder, name);
  const key = (name: string) => execute("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", at(name)]);
  const keys = ["user", ...Object.keys(behaviours).map((name) => `user-${name}`)];
  await Promise.all(["host", "other", ...keys].map(key));
  const publicKey = async (name: string) => (await readFile(at(`${name}.pub`), "utf8")).trim();

  const lines = [await publicKey("user")];
  for (const [name, command] of Object.entries(behaviours)) lines.push(`command="${command.replaceAll('"', '\\"')}" ${await publicKey(`user-${name}`)}`);
  await writeFile(at("authorized_keys"), `${lines.join("\n")}\n`, { mode: 0o600 });

  const port = await freePort();
  const hostKey = (await publicKey("host")).split(" ").slice(0, 2).join(" ");
  const otherKey = (await publicKey("other")).split(" ").slice(0, 2).join(" ");
  await writeFile(at("known_hosts"), `[127.0.0.1]:${port} ${hostKey}\n`);
  await writeFile(at("known_hosts_changed"), `[127.0.0.1]:${port} ${otherKey}\n`);
  await writeFile(at("known_hosts_empty"), "");
  await writeFile(
    at("sshd_config"),
    [`Port ${port}`, "ListenAddress 127.0.0.1", `HostKey ${at("host")}`, `AuthorizedKeysFile ${at("authorized_keys")}`, "UsePAM no", "StrictModes no", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password", "PidFile none", "MaxStartups 100", "UseDNS no", "PrintMotd no"].join("\n"),
  );
  const host = (alias: string, identity: string, knownHosts = "known_hosts") =>
    [`Host ${alias}`, "  HostName 127.0.0.1", `  Port ${port}`, `  User ${userInfo().username}`, `  IdentityFile ${at(identity)}`, "  IdentitiesOnly yes", `  UserKnownHostsFile ${at(knownHosts)}`, "  GlobalKnownHostsFile /dev/null", "  StrictHostKeyChecking yes"].join("\n");
  const aliases = [host("good", "user"), host("wrong-key", "other"), host("unknown-host", "user", "known_hosts_empty"), host("changed-host", "user", "known_hosts_changed"), ...Object.keys(behaviours).map((name) => host(name, `user-${name}`))];
  await writeFile(at("ssh_config"), `${aliases.join("\n")}\n`);
  // Where the server separates privileges; a machine that never ran one lacks it.
  if (process.getuid?.() === 0) await mkdir("/run/sshd", { recursive: true });

  let server = await listen(at("sshd_config"), port);
  const before = process.env.MAMBASCOPE_SSH_CONFIG;
  process.env.MAMBASCOPE_SSH_CONFIG = at("ssh_config");

  const halt = async () => {
    await killConnections(server);
    const ended = new Promise((resolve) => server.once("close", resolve));
    server.kill("SIGKILL");
    await ended;
  };
  return {
    port,
    folder,
    configFile: at("ssh_config"),
    node: (alias = "good", root = at("node")) => ({ id: alias, kind: "ssh", destination: alias, root }),
    killConnections: () => killConnections(server),
    halt,
    resume: async () => {
      server = await listen(at("sshd_config"), port);
    },
    stop: async () => {
      if (before === undefined) delete process.env.MAMBASCOPE_SSH_CONFIG;
      else process.env.MAMBASCOPE_SSH_CONFIG = before;
      if (server.exitCode === null && server.signalCode === null) await halt();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A port that nothing listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => (typeof address === "object" && address ? resolve(address.port) : reject(new Error("no port"))));
    });
  });
}

async function listen(config: string, port: number): Promise<ChildProcess> {
  const server = spawn(program, ["-D", "-e", "-f", config], { stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  server.stderr.on("data", (chunk: Buffer) => {
    log = (log + chunk.toString("utf8")).slice(-4000);
  });
  for (let attempt = 0; attempt < 100; attempt++) {
    if (server.exitCode !== null) break;
    const open = await new Promise<boolean>((resolve) => {
      const socket = connectTo(port, "127.0.0.1");
      socket.once("connect", () => (socket.destroy(), resolve(true)));
      socket.once("error", () => resolve(false));
    });
    if (open) return server;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  server.kill("SIGKILL");
  throw new Error(`sshd does not listen: ${log}`);
}

/** Kills the server's children: one process a connection, with a child of its own where privileges are separated. */
async function killConnections(server: ChildProcess): Promise<void> {
  const { stdout } = await execute("ps", ["-A", "-o", "pid=,ppid="]);
  const rows = stdout.trim().split("\n").map((row) => row.trim().split(/\s+/).map(Number) as [number, number]);
  const direct = rows.filter(([, parent]) => parent === server.pid).map(([pid]) => pid);
  const sessions = rows.filter(([, parent]) => direct.includes(parent)).map(([pid]) => pid);
  for (const pid of [...sessions, ...direct]) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself meanwhile.
    }
  }
}
