import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { connect, type AgentConnection } from "../hosts/connection";
import { findPython } from "../hosts/local-python";
import { makeWheel, torchStandIn } from "../testing/wheels";
import { checkNode, describeCuda, describeDisk, describeGpus } from "./check";
import { nodeFacts } from "./facts";
import { findEnvironment, prepareNode, sendTrainer } from "./prepare";
import { packTrainer, requirementText } from "./trainer-files";

const execute = promisify(execFile);
let base = "";
let project = "";
let node: AgentConnection;
const saved = { ...process.env };

/** A project with a trainer that needs two small packages, and a pip that knows no index but a folder. */
beforeAll(async () => {
  base = await mkdtemp(path.join(tmpdir(), "mambascope-prepare-"));
  project = path.join(base, "project");
  const python = await findPython();
  const wheels = path.join(base, "wheels");
  await makeWheel(python, wheels, "torch", "2.13.0", torchStandIn("2.13.0"));
  await makeWheel(python, wheels, "demo", "1.0", { "demo.py": "answer = 42\n" });
  await mkdir(path.join(project, "trainer", "mambascope_trainer", "__pycache__"), { recursive: true });
  await mkdir(path.join(project, "trainer", "recipes"));
  await writeFile(path.join(project, "trainer", "mambascope_trainer", "__main__.py"), "print('trainer')\n");
  await writeFile(path.join(project, "trainer", "mambascope_trainer", "__pycache__", "x.pyc"), "compiled");
  await writeFile(path.join(project, "trainer", "recipes", "one.json"), "{}");
  await writeFile(path.join(project, "trainer", "requirements-base.txt"), "# a comment\ndemo==1.0\n");
  await writeFile(path.join(project, "trainer", "requirements-run.txt"), "-r requirements-base.txt\ntorch==2.13.0\n");
  await writeFile(path.join(project, "trainer", "requirements.txt"), "-r requirements-run.txt\n");
  Object.assign(process.env, { PIP_NO_INDEX: "1", PIP_FIND_LINKS: wheels, PIP_CONFIG_FILE: "/dev/null" });
  delete process.env.PIP_INDEX_URL;
  delete process.env.PIP_EXTRA_INDEX_URL;
  node = await connect({ id: "local", kind: "local", root: path.join(base, "home") });
});

afterAll(async () => {
  node?.close();
  process.env = saved;
  await rm(base, { recursive: true, force: true });
});

const environments = async () => (await readdir(path.join(base, "home", "env")).catch(() => [])).filter((name) => !name.endsWith(".lock"));

describe("preparing a node", () => {
  it("leaves nothing behind when it is cancelled, Python and pip included", async () => {
    const stop = new AbortController();
    const cancelled = prepareNode(node, { project, signal: stop.signal, onProgress: ({ phase }) => phase === "venv" && setTimeout(() => stop.abort(), 300) });
    await expect(cancelled).rejects.toMatchObject({ code: "cancelled" });
    await until(async () => (await environments()).length === 0);
    // Neither Python nor pip goes on in the background.
    await until(async () => !(await execute("ps", ["-A", "-o", "args="])).stdout.includes(path.join(base, "home", "env")));
    expect(await findEnvironment(node, { project })).toBeNull();
  });

  it("makes an environment once, with the node's words for each step", { timeout: 120_000 }, async () => {
    const messages: string[] = [];
    const prepared = await prepareNode(node, { project, onProgress: ({ message }) => messages.push(message) });
    expect(prepared.detail).toBe("PyTorch 2.13.0, of this environment, on the processor");
    expect(messages).toEqual(expect.arrayContaining(["Finding demo", "Installing 2 packages; this takes a while", "Trying the environment"]));
    const { stdout } = await execute(prepared.python, ["-m", "mambascope_trainer"], { env: { ...process.env, PYTHONPATH: prepared.trainer } });
    expect(stdout).toBe("trainer\n");
    expect(await findEnvironment(node, { project })).toMatchObject({ python: prepared.python });

    const again: string[] = [];
    expect(await prepareNode(node, { project, onProgress: ({ message }) => again.push(message) })).toMatchObject({ python: prepared.python, trainer: prepared.trainer });
    expect(again).toEqual([]);
  });

  it("tells pip's lines in words, and why it failed", async () => {
    const lines = ["Looking in links: /x", "Collecting torch==2.13.0 (from -r r.txt (line 2))", "  Downloading https://index/torch-2.13.0-cp311-cp311-linux.whl (150.2 MB)", "Progress 1048576 of 150200000", "  Using cached jinja2-3.1.6-py3-none-any.whl (134 kB)", "Installing collected packages: a, b, c"];
    const failures = ["OSError: [Errno 28] No space left on device", "WARNING: Retrying: NewConnectionError('<pip...>')\nERROR: No matching distribution found for torch==2.13.0", "ERROR: Could not find a version that satisfies the requirement demo==2.0\nERROR: No matching distribution found for demo==2.0"];
    const script = "import json, sys; from agent.environment import PipProgress, pip_error; p = PipProgress(); a = json.loads(sys.argv[1]); print(json.dumps([[p.take(x) for x in a[0]], [[pip_error(x).code, pip_error(x).message] for x in a[1]]]))";
    const { stdout } = await execute(await findPython(), ["-B", "-c", script, JSON.stringify([lines, failures])], { cwd: path.resolve("lib/training") });
    expect(JSON.parse(stdout)).toEqual([
      [null, ["Finding torch", 0, 0], ["Downloading torch (150.2 MB)", 0, 0], ["Downloading torch (150.2 MB)", 1048576, 150200000], ["Taking from pip's cache: jinja2 (134 kB)", 0, 0], ["Installing 3 packages; this takes a while", 0, 0]],
      [["disk-full", expect.any(String)], ["offline", expect.any(String)], ["pip", "The packages could not be installed: No matching distribution found for demo==2.0"]],
    ]);
  });

  it("uses a PyTorch that the node's Python has, if it fits", { timeout: 120_000 }, async () => {
    const [own] = await environments();
    const python = path.join(base, "home", "env", own ?? "", "bin", "python");
    const other = await connect({ id: "local", kind: "local", root: path.join(base, "other"), python });
    const messages: string[] = [];
    const prepared = await prepareNode(other, { project, onProgress: ({ message }) => messages.push(message) });
    expect(prepared.detail).toBe("PyTorch 2.13.0, the node's own, on the processor");
    expect(messages).toContain("Using the node's own PyTorch 2.13.0");
    const { stdout } = await execute(prepared.python, ["-c", "import torch, demo; print(torch.__file__, demo.answer)"]);
    expect(stdout).toBe(`${path.dirname(path.dirname(python))}/lib/${pythonFolder(stdout)}/site-packages/torch/__init__.py 42\n`);
    other.close();
  });

  it("takes the home folder's environment when its stamp is that of the same packages", async () => {
    const home = path.join(base, "stamped");
    await mkdir(path.join(home, "venv", "bin"), { recursive: true });
    const [own] = await environments();
    await symlink(path.join(base, "home", "env", own ?? "", "bin", "python"), path.join(home, "venv", "bin", "python"));
    const local = await connect({ id: "local", kind: "local", root: home });
    const stamp = path.join(home, "venv", ".installed-requirements.txt");
    await writeFile(stamp, "of other packages");
    expect(await findEnvironment(local, { project })).toBeNull();
    await writeFile(stamp, createHash("sha256").update("demo==1.0\ntorch==2.13.0").digest("hex"));
    expect((await prepareNode(local, { project })).python).toBe(path.join(home, "venv", "bin", "python"));
    local.close();
  });
});

describe("the trainer's copy", () => {
  it("has the package and the recipes, and a place of its own for each content", async () => {
    const first = await sendTrainer(node, { project });
    expect(await readFile(path.join(first, "recipes", "one.json"), "utf8")).toBe("{}");
    expect(existsSync(path.join(first, "mambascope_trainer", "__pycache__"))).toBe(false);
    await writeFile(path.join(project, "trainer", "recipes", "one.json"), '{"changed": true}');
    const second = await sendTrainer(node, { project });
    expect(second).not.toBe(first);
    expect(await readFile(path.join(first, "recipes", "one.json"), "utf8")).toBe("{}");
  });

  it("of this project holds all that a run imports, and pins what pip installs", async () => {
    const { files } = await packTrainer(process.cwd());
    const names = files.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["mambascope_trainer/__main__.py", "mambascope_trainer/schemas/manifest.schema.json", "recipes/stories-demo.json", "requirements-run.txt"]));
    expect(names.filter((name) => /pycache|(^|\/)tests\//.test(name))).toEqual([]);
    const run = (await requirementText(process.cwd(), "requirements-run.txt")).split("\n");
    const all = (await requirementText(process.cwd(), "requirements.txt")).split("\n");
    expect(all).toEqual(expect.arrayContaining(run));
    expect(run.filter((line) => !/^[a-z0-9-]+(==|>=)[\d.,<>=]+$/.test(line))).toEqual([]);
    expect(run.filter((line) => /pytest|ruff|mypy|hypothesis/.test(line))).toEqual([]);
  });
});

describe("checking a node", () => {
  it("tells each step as it ends", async () => {
    const told: string[] = [];
    const steps = await checkNode(async () => node, { project, onStep: ({ name, state }) => told.push(`${name} ${state}`) });
    expect(steps.map(({ name }) => name)).toEqual(["connection", "gpus", "python", "torch", "cuda", "disk", "write", "slurm"]);
    expect(told.slice(0, 2)).toEqual(["connection running", "connection ok"]);
    expect(steps.filter(({ state }) => state === "fail")).toEqual([]);
    expect(steps.find(({ name }) => name === "torch")?.detail).toContain("2.13.0");
    const full = await checkNode(async () => node, { project, neededBytes: 1e18 });
    expect(full.find(({ name }) => name === "disk")).toMatchObject({ state: "fail", action: expect.stringContaining("Free some space") });
  });

  it("says why there is no connection, and passes over the rest", async () => {
    const steps = await checkNode(() => connect({ id: "x", kind: "local", root: "/proc/nowhere" }), { project });
    expect(steps[0]).toMatchObject({ name: "connection", state: "fail", action: expect.stringContaining("another folder") });
    expect(new Set(steps.slice(1).map(({ state }) => state))).toEqual(new Set(["skipped"]));
  });

  it("judges GPUs, CUDA and the disk", () => {
    const gib = 1024 ** 3;
    const gpu = { index: 0, name: "H100", memoryBytes: 80 * gib, memoryFreeBytes: 79 * gib, utilisation: 0 };
    const torch = { version: "2.11.0", cuda: "13.0", available: true, devices: 1 };
    expect(describeGpus([gpu])).toMatchObject({ state: "ok", detail: "0: H100, 79 GiB of 80 GiB free" });
    expect(describeGpus([gpu, { ...gpu, index: 1, memoryFreeBytes: gib }])).toMatchObject({ state: "warn", action: expect.stringContaining("GPU 1") });
    expect(describeGpus([]).state).toBe("skipped");
    expect(describeCuda([gpu], torch).state).toBe("ok");
    expect(describeCuda([gpu], { ...torch, available: false })).toMatchObject({ state: "fail", action: expect.stringContaining("driver") });
    expect(describeCuda([gpu], { ...torch, available: false, cuda: null })).toMatchObject({ state: "fail", detail: "PyTorch 2.11.0 has no CUDA." });
    expect(describeDisk(4 * gib, 100 * gib, gib).state).toBe("warn");
    expect(describeDisk(4 * gib, 100 * gib, 9 * gib)).toMatchObject({ state: "fail", detail: expect.stringContaining("9.0 GiB are needed") });
    expect(describeDisk(40 * gib, 100 * gib, 9 * gib).state).toBe("ok");
  });

  it("asks what the machine has now", async () => {
    const facts = await nodeFacts(node, "2.13.0");
    expect(facts).toMatchObject({ host: node.hello.hostname, torch: "2.13.0", diskFreeBytes: expect.any(Number) });
    expect(Math.abs(facts.clockSkewSeconds)).toBeLessThan(5);
  });
});

const pythonFolder = (text: string) => /python3\.\d+/.exec(text)?.[0] ?? "";

async function until(check: () => Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < 15_000; waited += 50) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("it did not become so within 15 seconds");
}
