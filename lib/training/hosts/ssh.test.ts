import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sshdMissing, startSshd, type TestServer, freePort } from "../testing/sshd";
import type { NodeAddressInput } from "./address";
import { remoteCommand, sshArguments } from "./channel";
import { connect } from "./connection";
import { listRuns, readPart, writeFile } from "./files";
import { NodeLink, type LinkState } from "./link";

const failure = (node: NodeAddressInput, timeoutMs?: number) =>
  connect(node, timeoutMs ? { timeoutMs } : {}).then(
    (connection) => {
      connection.close();
      throw new Error("it connected");
    },
    (error: { code: string; message: string; action: string }) => error,
  );

describe.skipIf(sshdMissing)(`over ssh${sshdMissing ? ` (${sshdMissing})` : ""}`, () => {
  let server: TestServer;

  beforeAll(async () => {
    server = await startSshd({
      banner: 'echo "Welcome to the cluster"; printf "no line end"; exec sh -c "$SSH_ORIGINAL_COMMAND"',
      junk: "echo Last login: yesterday; while echo more and more of what nobody asked for; do :; done",
      mute: "exec sleep 60",
      half: "echo; echo mambascope-agent 3.11; read -r length; echo 'not a frame'; exec sleep 60",
      endless: "echo; echo mambascope-agent 3.11; exec cat /dev/zero",
      quits: "echo Please change your password; exit 1",
      old: "echo; echo mambascope-agent 3.6; exit 3",
      none: "PATH=/nonexistent; export PATH; exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"",
    });
  });
  afterAll(() => server?.stop());

  it("connects by an alias of the ssh config and works on the node", async () => {
    const connection = await connect(server.node());
    expect(connection.hello.root).toBe(path.join(server.folder, "node"));
    await writeFile(connection, "runs/a/status.json", '{"state":"running"}');
    expect((await readPart(connection, "runs/a/status.json")).data.toString()).toBe('{"state":"running"}');
    expect((await listRuns(connection)).runs.map(({ id }) => id)).toEqual(["a"]);
    connection.close();
    expect((await connection.closed).code).toBe("closed");
  });

  it("passes over what a login script prints before the agent speaks", async () => {
    const connection = await connect(server.node("banner"));
    expect(await connection.call("stat", { path: "nothing" })).toBeNull();
    connection.close();
  });

  it.each([
    ["wrong-key", "permission-denied", /ssh-copy-id .*wrong-key/],
    ["unknown-host", "host-key-unknown", /`ssh unknown-host` once in a terminal/],
    ["changed-host", "host-key-changed", /ssh-keygen -f .*known_hosts_changed/],
    ["not-a-host.invalid", "unknown-host", /spelling/],
    ["junk", "garbage", /should print nothing/],
    ["half", "garbage", /should print nothing/],
    ["endless", "garbage", /should print nothing/],
    ["quits", "garbage", /should print nothing/],
    ["old", "python-old", /3\.11 or newer/],
    ["none", "python-missing", /path of one/],
  ])("says what is wrong with %s: %s", async (host, code, action) => {
    const error = await failure(server.node(host));
    expect(error).toMatchObject({ code, action: expect.stringMatching(action) });
    if (host === "junk") expect(error.message).toContain("Last login: yesterday");
    if (host === "quits") expect(error.message).toContain("change your password");
  });

  it("gives up on a node that never speaks", async () => {
    expect(await failure(server.node("mute"), 2500)).toMatchObject({ code: "timeout", action: expect.stringContaining("ssh mute") });
  });

  it("tells a refused connection, and a root that cannot be made", async () => {
    expect(await failure({ id: "x", kind: "ssh", destination: "127.0.0.1", port: await freePort() })).toMatchObject({ code: "refused" });
    expect(await failure(server.node("good", "/proc/nowhere"))).toMatchObject({ code: "root", action: expect.stringContaining("another folder") });
  });

  it("loses a call with its connection, and connects again", async () => {
    const link = new NodeLink(server.node(), { backoffMs: { first: 50, longest: 200 } });
    const states: LinkState["state"][] = [];
    link.subscribe(({ state }) => states.push(state));
    const release = link.keep();
    const first = await link.get();
    await writeFile(first, "runs/b/log.txt", "x".repeat(1_000_000));
    // The reader that never takes its bytes holds the call open.
    const call = first.call("read", { path: "runs/b/log.txt" }, { onData: () => new Promise(() => undefined) });
    await server.killConnections();
    await expect(call).rejects.toMatchObject({ code: "connection-lost" });
    const second = await link.get();
    expect(second).not.toBe(first);
    expect((await readPart(second, "runs/b/log.txt")).bytes).toBe(1_000_000);

    // While the server is away, attempts fail; when it is back, the link stands without anybody asking.
    await server.halt();
    await first.closed;
    await second.closed;
    await until(() => link.state.state === "failed");
    expect(link.state.error?.code).toBe("refused");
    await server.resume();
    await until(() => link.state.state === "connected");
    expect(states).toEqual(expect.arrayContaining(["connecting", "connected", "lost", "failed"]));
    release();
    link.close();
    expect(link.state.state).toBe("idle");
  });

  it("shares one connection among all who ask at once", async () => {
    const link = new NodeLink(server.node());
    const connections = await Promise.all(Array.from({ length: 20 }, () => link.get()));
    expect(new Set(connections).size).toBe(1);
    link.close();
  });
});

describe("the command line of ssh", () => {
  it("holds nothing of the node but its checked address", () => {
    const address = { id: "n", kind: "ssh" as const, destination: "me@gpu.example", port: 2222, identityFile: "~/.ssh/id", root: "~/it's; rm -rf x", python: "/opt/my env/bin/python" };
    const words = sshArguments(address);
    expect(words.slice(-3, -1)).toEqual(["--", "me@gpu.example"]);
    expect(words).toContain("BatchMode=yes");
    expect(words.join(" ")).not.toContain("rm -rf");
    expect(remoteCommand(null)).not.toMatch(/[\n\\!]/);
    expect(remoteCommand("/opt/my env/bin/python")).toContain("'/opt/my env/bin/python'");
  });

  it.each(["-oProxyCommand=touch x", "a b", "me@-x", "$(x)", "host;x", "", "me@", "a\nb"])("refuses %j as a destination", async (destination) => {
    expect(await failure({ id: "n", kind: "ssh", destination })).toMatchObject({ code: "bad-address" });
  });

  it.each([{ identityFile: "-x" }, { identityFile: "relative" }, { identityFile: "~/%h" }, { python: "python3; x" }, { python: "/bin/x'y" }, { port: 0 }, { root: "../x" }])("refuses %j", async (field) => {
    expect(await failure({ id: "n", kind: "ssh", destination: "host", ...field })).toMatchObject({ code: "bad-address" });
  });
});

describe("a node that is this machine", () => {
  it("says which Python cannot be started, and when it speaks no Python", async () => {
    const root = await mkdtemp(path.join(tmpdir(), "mambascope-node-"));
    expect(await failure({ id: "local", kind: "local", root, python: "/nonexistent/python" })).toMatchObject({ code: "spawn" });
    expect(await failure({ id: "local", kind: "local", root, python: "/bin/echo" })).toMatchObject({ code: "garbage" });
    expect(await failure({ id: "local", kind: "local", root, python: "/bin/false" })).toMatchObject({ code: "start" });
    await rm(root, { recursive: true });
  });
});

describe("a link", () => {
  it("does not knock again at once, and lets one who waits leave", async () => {
    const root = await mkdtemp(path.join(tmpdir(), "mambascope-node-"));
    const broken = new NodeLink({ id: "local", kind: "local", root, python: "/bin/false" }, { backoffMs: { first: 400, longest: 1000 } });
    await expect(broken.get()).rejects.toMatchObject({ code: "start" });
    await Promise.all(Array.from({ length: 50 }, () => expect(broken.get()).rejects.toMatchObject({ code: "start" })));
    expect(broken.state).toMatchObject({ state: "failed", attempts: 1, error: { code: "start" } });
    await new Promise((resolve) => setTimeout(resolve, 450));
    await expect(broken.get()).rejects.toMatchObject({ code: "start" });
    expect(broken.state.attempts).toBe(2);
    broken.close();

    const link = new NodeLink({ id: "local", kind: "local", root });
    const stop = new AbortController();
    const leaving = link.get(stop.signal);
    const staying = link.get();
    stop.abort();
    await expect(leaving).rejects.toMatchObject({ code: "cancelled" });
    expect((await staying).hello.root).toBe(root);
    link.close();
    await rm(root, { recursive: true });
  });
});

async function until(check: () => boolean): Promise<void> {
  for (let waited = 0; waited < 15_000; waited += 20) {
    if (check()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("it did not become so within 15 seconds");
}
