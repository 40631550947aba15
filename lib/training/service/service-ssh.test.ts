import { mkdir, readFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hybridConfigOf, parseManifest } from "@/lib/weights/manifest";
import { fillRoot, makeHome, trainerMissing, type TestHome } from "../testing/home";
import { exportOf, startService, tinyConfig, tinyData, untilStep, waitFor } from "../testing/service";
import { sshdMissing, startSshd, type TestServer } from "../testing/sshd";
import { trainStep } from "./job-steps";
import type { TrainingService } from "./service";

const launcher = { kind: "process", gpus: "none" } as const;

describe.skipIf(trainerMissing !== null || sshdMissing !== null)("a run on a node over SSH", { timeout: 180_000 }, () => {
  let home: TestHome;
  let server: TestServer;
  let service: TrainingService;
  let close: () => Promise<void>;

  beforeAll(async () => {
    [home, server] = await Promise.all([makeHome(), startSshd()]);
    await mkdir(path.join(server.folder, "root"));
    await fillRoot(path.join(server.folder, "root"));
    ({ service, close } = startService(home.home));
  });
  afterAll(async () => {
    await close();
    await server.stop();
    await home.remove();
  });

  it("goes on while the network is away, and its bundle comes to this machine", async () => {
    const node = service.nodes.add({ name: "GPU box", kind: "ssh", destination: "good", root: path.join(server.folder, "root") });
    expect(node).toMatchObject({ id: "gpu-box", kind: "ssh" });
    expect(() => service.nodes.add({ name: "Again", kind: "ssh", destination: "good", root: path.join(server.folder, "root") })).toThrow("is this machine already");
    const { id } = await service.launches.launch({ node: node.id, name: "Far away", config: tinyConfig({ steps: 40 }), launcher, steps: [...tinyData, trainStep(launcher), exportOf()] });
    await untilStep(service, node.id, id, 1);
    await server.halt();
    await expect.poll(async () => (await service.runs.summary(node.id, id)).stale, { timeout: 30_000 }).toBe(true);
    // What was seen of it stays readable.
    expect((await service.runs.metrics(node.id, id, { points: 10 })).rows).toBeGreaterThan(0);
    await server.resume();
    const run = await waitFor(service, node.id, id, ["finished"]);
    expect(run).toMatchObject({ step: 40, node: node.id });
    await expect.poll(async () => (await service.runs.summary(node.id, id)).exported, { timeout: 30_000 }).toEqual({ family: "stories", variant: id, draft: false });
    const manifest = parseManifest(JSON.parse(await readFile(path.join(home.home, "models", "stories", "manifest.json"), "utf8")));
    expect(hybridConfigOf(manifest, id).layers).toContain(`mamba2:${id}`);
    const { series } = await service.runs.metrics(node.id, id, { measures: "loss", kind: "train", points: 100 });
    expect(series[0]?.step).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    expect((await service.runs.detail(node.id, id)).config).toMatchObject({ bundle: ["data/models", "public/models"] });
    service.nodes.remove(node.id);
    await expect(service.runs.list({ node: node.id })).rejects.toMatchObject({ status: 404 });
    expect((await service.runs.list()).filter((one) => one.node === node.id)).toEqual([]);
  });
});
