/** Starting runs, stopping them, going on with them. What goes wrong on the way is written into the run, where it stays visible. */
import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { checkConfig, hasErrors, type PlannedStage } from "../config/validate";
import { findPreset } from "../config/presets";
import { listRuns, writeFile } from "../hosts/files";
import type { AgentConnection } from "../hosts/connection";
import { killRun, launchRun, stopRun } from "../launchers/launch";
import { configDocumentSchema, jobSchema, launchRequestSchema, type ConfigDocument, type Job, type JobStep, type LaunchProgress, type LaunchRequest } from "../types";
import { configOnNode, dataPaths, portableConfig, textOf } from "./config-folders";
import { manifestOf, nodeRow, now, writableNode, type Core } from "./core";
import { errorBody, notFound, ServiceError } from "./errors";
import { newRunId } from "./ids";
import { launchedSteps, stepsOf, trainStep } from "./job-steps";
import { provideData, provideFamily, shippedOn } from "./node-work";
import type { Nodes } from "./nodes";
import { putFolder, readJson, writeJson } from "./run-files";

type RunRef = { node: string; id: string };
type Pending = { abort: AbortController; progress: LaunchProgress; ended: Promise<void> };
type Plan = { config: ConfigDocument; stages: readonly PlannedStage[]; family: string };

/** Between two writes of the status while a launch is prepared, so that other servers see that someone is at it. */
const beatMs = 15_000;
/** Pauses between attempts to write a failure into a run whose node is away. */
const retrySeconds = [2, 5, 15, 30, 60, 120, 300];
const statusSchema = z.looseObject({ state: z.string() });

export class Launches {
  private readonly pending = new Map<string, Pending>();
  private readonly stopping = new Set<string>();
  /** Failures that could not be written into their run, as its node was gone. */
  private readonly unwritten = new Map<string, { message: string; action: string }>();

  /** changed: told when a run's directory was changed from here. */
  constructor(
    private readonly core: Core,
    private readonly nodes: Nodes,
    private readonly changed: (node: string, id: string) => Promise<void>,
  ) {}

  progressOf(node: string, id: string): LaunchProgress | null {
    return this.pending.get(`${node}/${id}`)?.progress ?? null;
  }

  failureOf(node: string, id: string): { message: string; action: string } | null {
    return this.unwritten.get(`${node}/${id}`) ?? null;
  }

  isStopping(node: string, id: string): boolean {
    return this.stopping.has(`${node}/${id}`);
  }

  /** Told by whoever reads runs: a run that has ended is not stopping any more. */
  ended(node: string, id: string): void {
    this.stopping.delete(`${node}/${id}`);
  }

  /** Makes the run's directory and prepares and starts it in the background. Throws ServiceError or NodeError if it cannot even be made. */
  async launch(request: LaunchRequest): Promise<RunRef> {
    const wanted = launchRequestSchema.parse(request);
    writableNode(this.core, wanted.node);
    const plan = await this.plan(wanted.config);
    const connection = await this.core.links.get(wanted.node);
    const id = newRunId(wanted.name);
    const last = lastOf(plan);
    const given = wanted.steps ?? stepsOf(last, id, wanted.name, wanted.launcher, presetData(wanted.preset ?? null, plan.config));
    const job: Job = {
      ...{ version: 1, id, name: wanted.name, created: now(), family: plan.family, preset: wanted.preset ?? null },
      ...{ steps: launchedSteps(given, last, id, wanted.name, wanted.launcher), launcher: wanted.launcher },
    };
    const places = { root: connection.hello.root, shipped: shippedOn(this.core, connection) };
    await putFolder(connection, `runs/${id}`, {
      "config.json": configOnNode({ ...plan.config, name: wanted.name }, places),
      "job.json": job,
      "notes.json": { notes: wanted.notes ?? "", tags: wanted.tags ?? [] },
      "status.json": { state: "queued", updated: now(), step: 0, steps: stepsIn(plan), tokens: 0, phases: job.steps.length, phase_index: 0, launcher: job.launcher.kind },
    });
    this.begin(wanted.node, job, plan.config);
    return { node: wanted.node, id };
  }

  /** Goes on with a run from its last checkpoint, or from the step it failed in. */
  async resume(node: string, id: string): Promise<RunRef> {
    writableNode(this.core, node);
    if (this.pending.has(`${node}/${id}`)) throw new ServiceError(409, "run-busy", "The run is being started already.", "Wait for it, or stop it.");
    const connection = await this.core.links.get(node);
    const [listed] = (await listRuns(connection, [id])).runs;
    if (listed?.alive === "alive") throw new ServiceError(409, "run-busy", "The run goes on already.", "Stop it first, or wait until it has ended.");
    const { config, job } = await this.documents(connection, id);
    const whole = job ?? (await this.jobOf(connection, id, config));
    await this.writeStatus(connection, id, "queued", {});
    this.unwritten.delete(`${node}/${id}`);
    this.begin(node, whole, config);
    return { node, id };
  }

  /** A new run with the config, the steps and the launcher of another one. */
  async restart(node: string, id: string, { name }: { name?: string | undefined } = {}): Promise<RunRef> {
    const row = nodeRow(this.core, node);
    if (row.kind === "shipped") throw new ServiceError(409, "read-only", "The runs that ship cannot be started from here.", "Duplicate it with changes instead.");
    const { config, job } = await this.documents(await this.core.links.get(node), id);
    const launcher = job?.launcher ?? { kind: "process" as const, gpus: "all" as const };
    const preset = job?.preset ?? null;
    return this.launch({ node, name: name ?? job?.name ?? textOf(config, "name") ?? id, config, launcher, preset, ...(job && { steps: job.steps }) });
  }

  /** Asks a run to checkpoint and end; one that is still prepared is cancelled. */
  async stop(node: string, id: string): Promise<RunRef> {
    return this.end(node, id, "stop");
  }

  /** Ends a run at once; it can be resumed from its last checkpoint. */
  async kill(node: string, id: string): Promise<RunRef> {
    return this.end(node, id, "kill");
  }

  /** Cancels what is being prepared, and waits until that is written into the runs. */
  async close(): Promise<void> {
    const pending = [...this.pending.values()];
    for (const { abort } of pending) abort.abort();
    await Promise.all(pending.map(({ ended }) => ended));
  }

  private async end(node: string, id: string, op: "stop" | "kill"): Promise<RunRef> {
    writableNode(this.core, node);
    const pending = this.pending.get(`${node}/${id}`);
    if (pending) pending.abort.abort();
    else {
      const connection = await this.core.links.get(node);
      await (op === "stop" ? stopRun : killRun)(connection, id);
      if (op === "stop") this.stopping.add(`${node}/${id}`);
    }
    await this.changed(node, id);
    return { node, id };
  }

  private begin(node: string, job: Job, config: ConfigDocument): void {
    const key = `${node}/${job.id}`;
    const pending: Pending = { abort: new AbortController(), progress: { phase: "prepare", message: "Preparing the node", done: 0, total: 0 }, ended: Promise.resolve() };
    this.pending.set(key, pending);
    this.core.hub.publish({ type: "launch", node, id: job.id, progress: pending.progress });
    void this.changed(node, job.id);
    pending.ended = this.work(node, job, config, pending).finally(() => {
      this.pending.delete(key);
      this.core.hub.publish({ type: "launch", node, id: job.id, progress: null });
      void this.changed(node, job.id);
    });
  }

  private async work(node: string, job: Job, config: ConfigDocument, pending: Pending): Promise<void> {
    const { signal } = pending.abort;
    const tell = (progress: LaunchProgress) => {
      pending.progress = { phase: progress.phase, message: progress.message, done: progress.done, total: progress.total };
      this.core.hub.publish({ type: "launch", node, id: job.id, progress: pending.progress });
    };
    const beat = setInterval(() => void this.beat(node, job.id), beatMs);
    beat.unref();
    try {
      const prepared = await this.nodes.ready(node, tell, signal);
      const connection = await this.core.links.get(node, signal);
      await provideFamily(this.core, connection, job.family, signal, tell);
      await provideData(this.core, connection, dataPaths(config), job.steps, signal, tell);
      tell({ phase: "launch", message: "Starting the run", done: 0, total: 0 });
      clearInterval(beat);
      const { python, trainer, shipped } = prepared;
      await launchRun(connection, { run: job.id, python, trainer, shipped, launcher: job.launcher }, signal);
    } catch (error) {
      await this.failed(node, job.id, error);
    } finally {
      clearInterval(beat);
    }
  }

  /** Writes why a launch failed into the run; while its node is away the server itself keeps it, and tries again for some minutes. */
  private async failed(node: string, id: string, error: unknown): Promise<void> {
    const { code, message, action } = errorBody(error);
    const state = code === "cancelled" ? "stopped" : "failed";
    const fields = code === "cancelled" ? { message: "It was cancelled before it began.", action: "Resume it when you like." } : { code, message, action };
    const write = async () => {
      const connection = await this.core.links.get(node);
      const [listed] = (await listRuns(connection, [id])).runs;
      // The answer was lost, not the launch; or another server started it first.
      if (listed?.alive !== "alive") await this.writeStatus(connection, id, state, fields);
      this.unwritten.delete(`${node}/${id}`);
    };
    try {
      await write();
    } catch {
      this.unwritten.set(`${node}/${id}`, { message: fields.message, action: fields.action });
      void this.writeLater(node, id, write);
    }
  }

  private async writeLater(node: string, id: string, write: () => Promise<void>): Promise<void> {
    for (const wait of retrySeconds) {
      await pause(wait * 1000, undefined, { ref: false });
      // A resume has taken it up meanwhile.
      if (!this.unwritten.has(`${node}/${id}`)) return;
      const written = await write().then(
        () => true,
        () => false,
      );
      if (written) return this.changed(node, id);
    }
  }

  private async beat(node: string, id: string): Promise<void> {
    const connection = this.core.links.of(node).connection;
    if (connection) await this.writeStatus(connection, id, "queued", {}).catch(() => undefined);
  }

  /** Replaces the state and what it says; how far the run is stays. */
  private async writeStatus(connection: AgentConnection, id: string, state: string, fields: Record<string, unknown>): Promise<void> {
    const before = await readJson(connection, `runs/${id}/status.json`, statusSchema);
    const kept = Object.entries(before ?? {}).filter(([field]) => !["message", "action", "code"].includes(field));
    await writeFile(connection, `runs/${id}/status.json`, JSON.stringify({ ...Object.fromEntries(kept), ...fields, state, updated: now() }));
  }

  /** The run's config, portable, and its job; null for a run that was started on a command line. */
  private async documents(connection: AgentConnection, id: string): Promise<{ config: ConfigDocument; job: Job | null }> {
    const [config, job] = await Promise.all([readJson(connection, `runs/${id}/config.json`, configDocumentSchema), readJson(connection, `runs/${id}/job.json`, jobSchema)]);
    if (!config) throw notFound(`run ${id} with a config on this node`);
    return { config: portableConfig(config, { root: connection.hello.root, shipped: shippedOn(this.core, connection) }), job };
  }

  /** A job for a run that has none. */
  private async jobOf(connection: AgentConnection, id: string, config: ConfigDocument): Promise<Job> {
    const { family } = await this.plan(config);
    const launcher = { kind: "process", gpus: "all" } as const;
    const job: Job = { version: 1, id, name: textOf(config, "name") ?? id, created: now(), family, preset: null, steps: [trainStep(launcher)], launcher };
    await writeJson(connection, `runs/${id}/job.json`, job);
    return job;
  }

  /** The config, checked as the trainer would. Throws ServiceError `config-invalid`, `family-unknown`. */
  private async plan(config: ConfigDocument): Promise<Plan> {
    const family = textOf(config, "family");
    const manifest = family === null ? null : await manifestOf(this.core, family);
    const { problems, stages } = checkConfig(config, manifest?.architecture ?? null);
    if (hasErrors(problems) || !stages) {
      const first = problems.filter(({ severity }) => severity === "error").slice(0, 5);
      const told = first.map(({ path, message }) => (path ? `${path}: ${message}` : message)).join("; ");
      throw new ServiceError(422, "config-invalid", `The config cannot be used: ${told}.`, "Correct these fields, then launch again.");
    }
    const last = stages.at(-1)?.config;
    if (!manifest && last?.method !== "pretrain") {
      throw new ServiceError(422, "family-unknown", `There is no family "${family ?? ""}" here.`, "Choose one of the models page, or import it first.");
    }
    return { config, stages, family: family ?? "" };
  }
}

function lastOf({ stages }: Plan): PlannedStage["config"] {
  const last = stages.at(-1);
  if (!last) throw new ServiceError(422, "config-invalid", "The config has no stage.", "Add one.");
  return last.config;
}

const stepsIn = ({ stages }: Plan): number => stages.reduce((sum, { config }) => sum + config.optimiser.steps, 0);

/** The preset's data steps, if the config still reads the preset's data. */
function presetData(id: string | null, config: ConfigDocument): readonly JobStep[] {
  const preset = id === null ? undefined : findPreset(id);
  if (!preset) return [];
  const own = new Set(dataPaths(preset.config));
  return dataPaths(config).every((path) => own.has(path)) ? preset.data : [];
}
