import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeHome, trainerMissing, type TestHome } from "../testing/home";
import { startService, tinyConfig, tinyData, untilStep, waitFor } from "../testing/service";
import { trainStep } from "./job-steps";
import type { TrainingService } from "./service";

const launcher = { kind: "process", gpus: "none" } as const;

describe.skipIf(trainerMissing !== null)("what goes wrong with runs", { timeout: 180_000 }, () => {
  let home: TestHome;
  let service: TrainingService;
  let other: TrainingService;
  const closes: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    home = await makeHome();
    // Two servers of one home folder.
    for (const take of [(one: TrainingService) => (service = one), (one: TrainingService) => (other = one)]) {
      const started = startService(home.home);
      take(started.service);
      closes.push(started.close);
    }
  });
  afterAll(async () => {
    for (const close of closes) await close();
    await home.remove();
  });

  it("is told before anything is made, where the config says it", async () => {
    const launch = (config: Record<string, unknown>) => service.launches.launch({ node: "local", name: "x", config, launcher });
    await expect(launch({ ...tinyConfig(), layers: [2, 99] })).rejects.toMatchObject({ code: "config-invalid", status: 422, message: expect.stringContaining("there is no layer 99") });
    await expect(launch({ ...tinyConfig(), family: "nobody" })).rejects.toMatchObject({ code: "family-unknown" });
    await expect(service.launches.launch({ node: "nowhere", name: "x", config: tinyConfig(), launcher })).rejects.toMatchObject({ status: 404 });
    await expect(service.launches.launch({ node: "shipped", name: "x", config: tinyConfig(), launcher })).rejects.toMatchObject({ code: "read-only" });
    const steps = [trainStep(launcher), { name: "evil", title: "Evil", argv: ["-c", "import os"] }];
    await expect(service.launches.launch({ node: "local", name: "x", config: tinyConfig(), launcher, steps })).rejects.toMatchObject({ code: "step-unknown" });
    expect(await service.runs.list({ node: "local" })).toEqual([]);
  });

  it("stays visible in the run: data that nobody has, a step that fails", async () => {
    const { id } = await service.launches.launch({ node: "local", name: "No data", config: tinyConfig(), launcher });
    await expect(waitFor(service, "local", id, ["finished"])).rejects.toThrow("The data data/training/tiny/train are not there.");
    expect(await service.runs.summary("local", id)).toMatchObject({ state: "failed", action: expect.stringContaining("preset") });

    const bad = { name: "prepare", title: "Preparing rows", argv: ["prepare", "--bundle", "{shipped}/stories", "--source", "{root}/nothing.jsonl", "--out", "{root}/training/tiny", "--length", "65"] };
    const failing = await service.launches.launch({ node: "local", name: "Bad step", config: tinyConfig(), launcher, steps: [bad, trainStep(launcher)] });
    await expect(waitFor(service, "local", failing.id, ["finished"])).rejects.toThrow("nothing.jsonl");
    const run = await service.runs.summary("local", failing.id);
    expect(run).toMatchObject({ state: "failed", phase: "prepare" });
    expect(run.action).toBeTruthy();
  });

  it("a launch can be cancelled, also before the node has it", async () => {
    const { id } = await service.launches.launch({ node: "local", name: "Cancelled", config: tinyConfig(), launcher, steps: [...tinyData, trainStep(launcher)] });
    await service.launches.stop("local", id);
    expect(await waitFor(service, "local", id, ["stopped"])).toMatchObject({ state: "stopped" });
  });

  it("two servers see one run, and only one of them starts it", async () => {
    const config = tinyConfig({ steps: 4000, checkpointEvery: 4000 });
    const { id } = await service.launches.launch({ node: "local", name: "Shared", config, launcher, steps: [...tinyData, trainStep(launcher)] });
    await untilStep(service, "local", id, 1);
    expect(await waitFor(other, "local", id, ["running"])).toMatchObject({ name: "Shared", state: "running" });
    await expect(other.launches.resume("local", id)).rejects.toMatchObject({ code: "run-busy" });
    expect(await waitFor(service, "local", id, ["running"])).toMatchObject({ state: "running" });
    await other.launches.kill("local", id);
    // For a moment the other may see a run whose process is gone and whose status does not say so yet.
    await expect.poll(async () => (await service.runs.summary("local", id)).state, { timeout: 20_000 }).toBe("stopped");
  });

  it("a deleted run is in the trash until that is emptied, and comes back whole", async () => {
    const [run] = await service.runs.list({ state: "failed" });
    const id = run?.id ?? "";
    await service.runs.patch("local", id, { notes: "mine", tags: ["a", "a"] });
    const { entry } = await service.trash.remove("local", id);
    await expect(service.runs.summary("local", id)).rejects.toMatchObject({ status: 404 });
    expect(await service.trash.list()).toMatchObject([{ node: "local", entry, id, name: run?.name }]);
    await service.trash.restore("local", entry);
    expect(await service.runs.summary("local", id)).toMatchObject({ notes: "mine", tags: ["a"], state: "failed" });
    await expect(service.trash.restore("local", entry)).rejects.toMatchObject({ code: "not-found" });
    await service.trash.remove("local", id);
    expect(await service.trash.empty()).toMatchObject({ entries: 1 });
    expect(await service.trash.list()).toEqual([]);
    await expect(service.trash.purge("local", "../runs")).rejects.toThrow();
  });

  it("a launch whose server ended while it prepared is shown as cut off, and can be resumed", async () => {
    const id = "left-alone-20260101-0000-abcd";
    const folder = path.join(home.home, "runs", id);
    await mkdir(folder, { recursive: true });
    await writeFile(path.join(folder, "config.json"), JSON.stringify({ ...tinyConfig(), name: "Left alone" }));
    await writeFile(path.join(folder, "status.json"), JSON.stringify({ state: "queued", updated: Date.now() / 1000 - 20 }));
    expect(await service.runs.summary("local", id)).toMatchObject({ state: "queued" });
    await writeFile(path.join(folder, "status.json"), JSON.stringify({ state: "queued", updated: Date.now() / 1000 - 200 }));
    await service.follow.look("local");
    expect(await service.runs.summary("local", id)).toMatchObject({ state: "interrupted", action: "Resume it." });
    await service.launches.resume("local", id);
    expect(await service.runs.summary("local", id)).toMatchObject({ state: "queued", name: "Left alone" });
    await service.launches.stop("local", id);
    await waitFor(service, "local", id, ["stopped"]);
  });

  it("files that cannot be read hide nothing else", async () => {
    const runs = await service.runs.list({ node: "local" });
    const folder = path.join(home.home, "runs", runs[0]?.id ?? "");
    await writeFile(path.join(folder, "status.json"), '{"state": "fini');
    await writeFile(path.join(folder, "notes.json"), "\0\0");
    await service.follow.look("local");
    expect(await service.runs.list({ node: "local" })).toHaveLength(runs.length);
    expect((await service.runs.detail("local", runs[0]?.id ?? "")).config).not.toBeNull();
  });
});
