import { readFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { hybridConfigOf, parseManifest } from "@/lib/weights/manifest";
import { makeHome, trainerMissing, type TestHome } from "../testing/home";
import { startService, tinyConfig, tinyData, waitFor } from "../testing/service";
import { trainStep, exportStep } from "./job-steps";
import type { TrainingEvent } from "../types";
import type { TrainingService } from "./service";

describe.skipIf(trainerMissing !== null)("a run on this machine", () => {
  let home: TestHome;
  let service: TrainingService;
  let close: () => Promise<void>;
  const launcher = { kind: "process", gpus: "none" } as const;

  beforeAll(async () => {
    home = await makeHome();
    ({ service, close } = startService(home.home));
  });
  afterAll(async () => {
    await close();
    await home.remove();
  });

  it("goes from its launch to a bundle that the pages open", async () => {
    const events: TrainingEvent[] = [];
    const config = tinyConfig();
    const steps = [...tinyData, trainStep(launcher), exportStep({ family: "stories", method: "distill", train: "mixers", mixer: { codec: null } } as Parameters<typeof exportStep>[0], "x", "x")!];
    const { id } = await service.launches.launch({ node: "local", name: "Tiny run", config, launcher, steps, tags: ["test"] });
    const leave = service.follow.subscribe({ node: "local", run: id }, null, ({ event }) => events.push(event));
    const run = await waitFor(service, "local", id, ["finished"]);
    leave();
    expect(run).toMatchObject({ name: "Tiny run", step: 3, steps: 3, tags: ["test"], family: "stories" });
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(["hello", "run", "node", "launch", "metrics", "log"]));

    const metrics = await service.runs.metrics("local", id, { points: 100 });
    expect(metrics.series.find(({ measure, kind }) => measure === "loss" && kind === "train")?.step).toEqual([1, 2, 3]);
    await expect.poll(async () => (await service.runs.summary("local", id)).exported).toEqual({ family: "stories", variant: id, draft: false });
    const detail = await service.runs.detail("local", id);
    expect(detail.config?.data).toMatchObject({ train: "data/training/tiny/train" });
    expect(detail.links?.chat).toBe(`/chat?family=stories&variant=${id}`);
    const manifest = parseManifest(JSON.parse(await readFile(path.join(home.home, "models", "stories", "manifest.json"), "utf8")));
    expect(hybridConfigOf(manifest, id).layers.filter((layer) => layer.startsWith("mamba2"))).toEqual([`mamba2:${id}`, `mamba2:${id}`]);
  });
});
