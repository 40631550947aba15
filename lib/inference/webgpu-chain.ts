/**
 * A draft's steps and the target's pass over them, submitted together on WebGPU: what was drafted goes from one to the other on the device, and a
 * cycle reads back once, some kilobytes unless logits are wanted.
 */
import type * as Ort from "onnxruntime-web/webgpu";
import { CHOICE_COLUMNS, CHOICE_MAXIMA, choiceSegment, HIDDEN_STATES, type Initialiser, LOGITS } from "@/lib/onnx/plan";
import { DRAFT_IDS, DRAFT_PROBABILITIES, type UnrolledPlan } from "@/lib/onnx/unroll";
import type { Chain, ChainedCycle } from "./runner";
import { type Part, WebGpuParts } from "./webgpu-parts";
import { createSession, type WebGpuRunner } from "./webgpu-runner";

export type WebGpuChainOptions = {
  /** The draft's graph of so many steps, and its weights: those shared by all graphs are asked for once. */
  readonly unroll: (steps: number) => Promise<{ readonly plan: UnrolledPlan; readonly expand: (initialiser: Initialiser) => Uint8Array }>;
};

const MOST_STEPS = 8;

export class WebGpuChain implements Chain {
  private readonly graphs = new Map<number, { readonly session: Ort.InferenceSession; readonly weightBytes: number }>();
  /** Weights that all graphs have in common, as their inputs. */
  private readonly shared = new Map<string, { readonly tensor: Ort.Tensor; readonly buffer: GPUBuffer }>();
  private readonly parts: WebGpuParts;

  /** The target's graph must have been built with `choices`, and for a feature draft with `hidden`. */
  constructor(
    private readonly target: WebGpuRunner,
    private readonly draft: WebGpuRunner,
    private readonly options: WebGpuChainOptions,
  ) {
    this.parts = new WebGpuParts(target.ort, target.device);
  }

  get weightBytes(): number {
    const own = [...this.graphs.values()].reduce((sum, { weightBytes }) => sum + weightBytes, 0);
    return [...this.shared.values()].reduce((sum, { buffer }) => sum + buffer.size, own);
  }

  has(steps: number): boolean {
    return this.graphs.has(steps);
  }

  async prepare(steps: number): Promise<void> {
    if (steps < 1 || steps > MOST_STEPS) throw new Error(`${steps} steps; a chain has 1 to ${MOST_STEPS}.`);
    if (this.graphs.has(steps)) return;
    const { plan, expand } = await this.options.unroll(steps);
    for (const initialiser of plan.shared) if (!this.shared.has(initialiser.name)) this.shared.set(initialiser.name, this.upload(initialiser, expand(initialiser)));
    this.graphs.set(steps, { session: await createSession(this.target.ort, plan, expand), weightBytes: plan.weightBytes });
  }

  async cycle(news: readonly number[], features: Float32Array | null, steps: number, logits: boolean): Promise<ChainedCycle> {
    const { target, draft, parts } = this;
    const { device, hiddenStates } = target;
    const graph = this.graphs.get(steps);
    const last = news.at(-1);
    if (!graph || last === undefined) throw new Error(`There is no graph of ${steps} steps, or nothing to begin with.`);
    const began = performance.now();
    const [ids, shares] = [parts.part("ids", 4 * steps), parts.part("shares", 4 * steps)];
    const weights = Object.fromEntries([...this.shared].map(([name, { tensor }]) => [name, tensor]));
    const choices = { [DRAFT_IDS]: parts.tensor(ids, "int32", [1, steps]), [DRAFT_PROBABILITIES]: parts.tensor(shares, "float32", [1, steps]) };
    await draft.draftOnDevice(graph.session, steps, { tokens: news, features: features ?? undefined }, weights, choices);

    // The drafts behind the last token, as int64: their upper halves stay zero.
    const pass = parts.part("pass", 8 * (MOST_STEPS + 1));
    device.queue.writeBuffer(pass.buffer, 0, Int32Array.of(last, 0));
    this.encode((encoder) => {
      for (let step = 0; step < steps; step++) encoder.copyBufferToBuffer(ids.buffer, 4 * step, pass.buffer, 8 * (step + 1), 4);
    });
    const draftedAt = performance.now();

    const rows = steps + 1;
    const vocabularySize = target.width;
    const segments = vocabularySize / choiceSegment(vocabularySize);
    const [columns, maxima] = [parts.part("columns", 8 * rows * segments), parts.part("maxima", 4 * rows * segments)];
    const wanted: Part[] = [];
    const fetches: Record<string, Ort.Tensor> = {
      [CHOICE_COLUMNS]: parts.tensor(columns, "int64", [1, rows, segments]),
      [CHOICE_MAXIMA]: parts.tensor(maxima, "float32", [1, rows, segments]),
    };
    const want = (name: string, width: number): void => {
      const part = parts.part(name, 4 * rows * width);
      fetches[name] = parts.tensor(part, "float32", [1, rows, width]);
      wanted.push(part);
    };
    if (logits) want(LOGITS, vocabularySize);
    if (hiddenStates) want(HIDDEN_STATES, hiddenStates.width);
    const { position } = target;
    await target.verifyOnDevice(pass.buffer, rows, fetches);
    const computed = device.queue.onSubmittedWorkDone().then(() => performance.now());
    const read = await parts.read([ids, shares, columns, maxima, ...wanted]);
    const ended = performance.now();
    const verifiedAt = Math.min(await computed, ended);
    hiddenStates?.write(position, new Float32Array(read.get(HIDDEN_STATES)!));
    return {
      drafts: Array.from(new Int32Array(read.get("ids")!)),
      probabilities: Array.from(new Float32Array(read.get("shares")!)),
      choices: choicesOf(new BigInt64Array(read.get("columns")!), new Float32Array(read.get("maxima")!), segments, choiceSegment(vocabularySize)),
      logits: logits ? new Float32Array(read.get(LOGITS)!) : null,
      timings: { draftMs: draftedAt - began, verifyMs: verifiedAt - draftedAt, readbackMs: ended - verifiedAt },
      readbackBytes: [...read.values()].reduce((sum, { byteLength }) => sum + byteLength, 0),
    };
  }

  async dispose(): Promise<void> {
    this.parts.dispose();
    for (const { buffer } of this.shared.values()) buffer.destroy();
    this.shared.clear();
    const graphs = [...this.graphs.values()];
    this.graphs.clear();
    for (const { session } of graphs) await session.release();
  }

  private upload({ type, shape }: Initialiser, bytes: Uint8Array): { tensor: Ort.Tensor; buffer: GPUBuffer } {
    const { device, ort } = this.target;
    const buffer = device.createBuffer({ size: Math.ceil(bytes.byteLength / 16) * 16, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST, mappedAtCreation: true });
    new Uint8Array(buffer.getMappedRange()).set(bytes);
    buffer.unmap();
    return { buffer, tensor: ort.Tensor.fromGpuBuffer(buffer, { dataType: type, dims: shape }) };
  }

  private encode(work: (encoder: GPUCommandEncoder) => void): void {
    const { device } = this.target;
    const encoder = device.createCommandEncoder();
    work(encoder);
    device.queue.submit([encoder.finish()]);
  }
}

/** Each row's greatest logit's token, from those of its segments; of equals the first. */
export function choicesOf(columns: BigInt64Array, maxima: Float32Array, segments: number, segment: number): number[] {
  return Array.from({ length: maxima.length / segments }, (_, row) => {
    let best = row * segments;
    for (let at = best + 1; at < (row + 1) * segments; at++) if (maxima[at]! > maxima[best]!) best = at;
    return (best - row * segments) * segment + Number(columns[best]);
  });
}
