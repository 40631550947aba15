import { appendFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { connect, type AgentConnection } from "../hosts/connection";
import { answerMetrics } from "./metrics-answer";
import { MirroredRunFiles } from "./mirror";
import { OpenedRuns } from "./opened-runs";
import { RemoteRunFiles, RemoteRunSource } from "./remote-files";
import { readLog } from "./tails";
import { metricsLine, randomNumbers, writeRun } from "./testing";

let home: string;
let node: AgentConnection;
const at = (...names: string[]) => path.join(home, "node", "runs", ...names);

beforeEach(async () => {
  home = mkdtempSync(path.join(tmpdir(), "mambascope-remote-"));
  node = await connect({ id: "box", kind: "local", root: path.join(home, "node") });
}, 30_000);
afterEach(async () => {
  node.close();
  await node.closed;
  rmSync(home, { recursive: true, force: true });
});

function sourceOf() {
  const connected = () => (node.error ? Promise.reject(node.error) : Promise.resolve(node));
  const mirror = new MirroredRunFiles(new RemoteRunFiles(connected), path.join(home, "mirror"));
  return new RemoteRunSource("box", mirror, connected, (runs) => mirror.listed(runs));
}

it("runs of a node are listed and followed through its agent, and opened when it is gone", async () => {
  expect(await sourceOf().list()).toEqual([]);
  writeRun(at("one"), 6000, { state: "running" });
  writeFileSync(at("one", "log.txt"), "first\nsecond\n");
  writeFileSync(at("one", "status.json"), JSON.stringify({ state: "running", step: 5 }));
  const source = sourceOf();
  const [run] = await source.list();
  expect(run?.id).toBe("one");
  expect(run?.files["metrics.jsonl"]?.size).toBeGreaterThan(1 << 20);
  const opened = new OpenedRuns().open("box", "one", source.files);
  const ask = (points: number) => answerMetrics(opened, "box", "one", { measures: "loss", kind: "train", points });
  const before = await ask(50);
  expect([before.rows, before.skipped, before.series[0]?.value.length]).toEqual([6000, 0, 50]);
  expect((await readLog(source.files, "one", 0)).text).toBe("first\nsecond\n");

  const random = randomNumbers(5);
  appendFileSync(at("one", "metrics.jsonl"), Array.from({ length: 10 }, (_, i) => metricsLine(6000 + i, 6010, random)).join(""));
  await source.list();
  expect((await ask(50)).rows).toBe(6010);

  node.close();
  const later = sourceOf();
  await expect(later.list()).rejects.toMatchObject({ code: "closed" });
  const again = new OpenedRuns().open("box", "one", later.files);
  expect((await answerMetrics(again, "box", "one", { points: 10 })).rows).toBe(6010);
  expect((await readLog(later.files, "one", 0)).text).toBe("first\nsecond\n");
});

it("what leads out of the node's folder is not read", async () => {
  writeRun(at("one"), 5);
  writeFileSync(path.join(home, "secret"), "secret\n");
  symlinkSync(path.join(home, "secret"), at("one", "log.txt"));
  const files = new RemoteRunFiles(() => Promise.resolve(node));
  await expect(files.read("one", "log.txt", 0, 10)).rejects.toMatchObject({ code: "path" });
  expect(await files.read("one", "samples.jsonl", 0, 10)).toBeNull();
  expect(await files.stat("one", "samples.jsonl")).toBeNull();
});
