import { readFile } from "node:fs/promises";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hybridConfigOf, parseManifest } from "@/lib/weights/manifest";
import { makeHome, trainerMissing, type TestHome } from "../testing/home";
import { exportOf, startService, tinyConfig, tinyData, untilStep, waitFor } from "../testing/service";
import type { TrainingEvent } from "../types";
import { trainStep } from "./job-steps";
import type { TrainingService } from "./service";

const launcher = { kind: "process", gpus: "none" } as const;

describe.skipIf(trainerMissing !== null)("runs on this machine", { timeout: 180_000 }, () => {
  let home: TestHome;
  let service: TrainingService;
  let close: () => Promise<void>;

  beforeAll(async () => {
    home = await makeHome();
    ({ service, close } = startService(home.home));
  });
  afterAll(async () => {
    await close();
    await home.remove();
  });

  it("go from their launch to a bundle that the pages open", async () => {
    const events: TrainingEvent[] = [];
    const steps = [...tinyData, trainStep(launcher), exportOf()];
    const { id } = await service.launches.launch({ node: "local", name: "Tiny run", config: tinyConfig(), launcher, steps, tags: ["test"] });
    const leave = service.follow.subscribe({ node: "local", run: id }, null, ({ event }) => events.push(event));
    const run = await waitFor(service, "local", id, ["finished"]);
    leave();
    expect(run).toMatchObject({ name: "Tiny run", step: 3, steps: 3, tags: ["test"], family: "stories", readOnly: false, stale: false });
    expect([...new Set(events.map(({ type }) => type))]).toEqual(expect.arrayContaining(["hello", "run", "launch", "metrics", "log"]));

    const metrics = await service.runs.metrics("local", id, { points: 100 });
    expect(metrics.series.find(({ measure, kind }) => measure === "loss" && kind === "train")?.step).toEqual([1, 2, 3]);
    expect((await service.runs.log("local", id, 0)).text).toContain("train 3/3");
    await expect.poll(async () => (await service.runs.summary("local", id)).exported, { timeout: 20_000 }).toEqual({ family: "stories", variant: id, draft: false });
    const manifest = parseManifest(JSON.parse(await readFile(path.join(home.home, "models", "stories", "manifest.json"), "utf8")));
    expect(hybridConfigOf(manifest, id).layers.filter((layer) => layer.startsWith("mamba2"))).toEqual([`mamba2:${id}`, `mamba2:${id}`]);
    expect(manifest.variants[id]?.title).toBe("Tiny run");
    await expect.poll(() => service.configs.benchmarks("local"), { timeout: 20_000 }).toMatchObject([{ device: "cpu", devices: 1, run: "Tiny run" }]);

    const detail = await service.runs.detail("local", id);
    expect(detail.config).toMatchObject({ name: "Tiny run", bundle: ["data/models", "public/models"], data: { train: "data/training/tiny/train" } });
    expect(detail.links).toEqual({ explore: `/explore?family=stories&a=a2.m~${id}.a2.m~${id}.a2&set=${id}`, chat: `/chat?family=stories&variant=${id}`, speculate: null });
    expect(detail.commands.join("\n")).toContain("mambascope_trainer train");
    await service.runs.patch("local", id, { notes: "kept" });
    expect(await service.runs.summary("local", id)).toMatchObject({ notes: "kept", tags: ["test"] });
    const packed = await new Response(await service.runs.download("local", id, false, new AbortController().signal)).arrayBuffer();
    const names = gunzipSync(packed).toString("latin1");
    expect(names).toContain(`${id}/metrics.jsonl`);
    expect(names).not.toContain(`${id}/checkpoints/`);
  });

  it("stop with a checkpoint and go on from it", async () => {
    const config = tinyConfig({ steps: 60, checkpointEvery: 1000 });
    const { id } = await service.launches.launch({ node: "local", name: "Long run", config, launcher, steps: [...tinyData, trainStep(launcher)] });
    await untilStep(service, "local", id, 2);
    await expect(service.trash.remove("local", id)).rejects.toMatchObject({ code: "running" });
    await service.launches.stop("local", id);
    const stopped = await waitFor(service, "local", id, ["stopped"]);
    expect(stopped.step).toBeLessThan(60);
    expect((await service.runs.detail("local", id)).checkpoints).toHaveLength(1);
    await service.launches.resume("local", id);
    const finished = await waitFor(service, "local", id, ["finished"]);
    expect(finished.step).toBe(60);
    const { series } = await service.runs.metrics("local", id, { measures: "loss", kind: "train", points: 100 });
    expect(series[0]?.step).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
  });

  it("are restarted as new runs of the same config", async () => {
    const [first] = await service.runs.list({ tag: "test" });
    const { id } = await service.launches.restart("local", first?.id ?? "", { name: "Again" });
    await service.launches.stop("local", id);
    const run = await waitFor(service, "local", id, ["stopped", "finished"]);
    expect(run.name).toBe("Again");
    const detail = await service.runs.detail("local", id);
    expect(detail.job?.steps.map(({ name }) => name)).toEqual(["stories", "prepare", "train", "export"]);
    expect(detail.job?.steps.at(-1)?.argv).toEqual(expect.arrayContaining(["--set", id]));
  });
});
