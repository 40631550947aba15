/** Runs a graph on WebGPU, with the key/value cache and the Mamba states in GPU buffers; only logits come back, and hidden states where the graph gives them. */
import type * as Ort from "onnxruntime-web/webgpu";
import { isInline } from "@/lib/onnx/graph-writer";
import { BYTES_PER_ELEMENT, FEATURES, type GraphPlan, HIDDEN_STATES, INPUT_IDS, type Initialiser, LOGIT_ROWS, LOGITS, rowWidth, SEQLENS_K, type StateTensor, TOTAL_SEQUENCE_LENGTH } from "@/lib/onnx/plan";
import { stepLengths } from "@/lib/onnx/unroll";
import { DeviceLostError, OutOfMemoryError, RuntimeError } from "./errors";
import { featuresOf, HiddenStates } from "./hidden-states";
import type { RollbackMemory, RollbackRunner, RunnerMemory, TentativeRead } from "./runner";
import type { PassKind } from "./wasm-rollback";
import { type Part, WebGpuParts } from "./webgpu-parts";
import { WebGpuRollback } from "./webgpu-rollback";

/** Tokens of a prompt read at a time. */
const LARGE_CHUNK = 128;
/**
 * From 32 tokens on the fused attention takes another kernel, which is wrong on adapters whose subgroups are narrower than eight
 * (seen with SwiftShader's four).
 */
const SAFE_CHUNK = 31;

/** The cache grows by this many tokens at a time. */
const CACHE_STEP = 256;

export type WebGpuRunnerOptions = {
  readonly plan: GraphPlan;
  readonly contextLength: number;
  readonly allLogits: boolean;
  /** Most tokens that can be taken back, for graphs built so. */
  readonly span?: number;
  readonly expand: (initialiser: Initialiser) => Uint8Array;
  /** Called when the device is lost, which ends the runner. */
  readonly onLost?: (error: DeviceLostError) => void;
};

type Slot = {
  readonly state: StateTensor;
  current: GPUBuffer | null;
  /** Where the next run writes; the same buffer for a cache, which is written behind what it holds. */
  next: GPUBuffer | null;
  snapshot: GPUBuffer | null;
};

const FOR_GOOD: PassKind = { tentative: false, more: false };
const ONE_PASS: PassKind = { tentative: true, more: false };

type Tensors = Record<string, Ort.Tensor>;

/** Tokens to read, with features for a feature draft. */
type Given = { readonly tokens: readonly number[]; readonly features?: Float32Array | undefined };

export class WebGpuRunner implements RollbackRunner {
  position = 0;
  snapshotPosition: number | null = null;
  chunk: number;
  readonly contextLength: number;
  readonly canTruncate: boolean;
  readonly span: number;
  readonly hiddenStates: HiddenStates | null;
  tentative = 0;
  readbackMs = 0;
  private readonly rollback: WebGpuRollback | null;
  private readonly parts: WebGpuParts;
  private readonly featureWidth: number | null;
  private capacity = 0;
  private lost: DeviceLostError | null = null;
  private disposed = false;
  private readonly slots: Slot[];

  private constructor(
    readonly ort: typeof Ort,
    private readonly session: Ort.InferenceSession,
    readonly device: GPUDevice,
    private readonly options: WebGpuRunnerOptions,
  ) {
    this.contextLength = options.contextLength;
    const { plan } = options;
    this.canTruncate = plan.state.every(isCache) && !plan.rollback?.length;
    this.span = plan.rollback ? (options.span ?? 1) : 0;
    this.rollback = plan.rollback && new WebGpuRollback(ort, device, plan.rollback, this.span);
    this.parts = new WebGpuParts(ort, device);
    this.featureWidth = rowWidth(plan.inputs, FEATURES);
    const width = rowWidth(plan.outputs, HIDDEN_STATES);
    this.hiddenStates = width === null ? null : new HiddenStates(this.contextLength, width);
    const narrow = device.features.has("subgroups") && (device.adapterInfo.subgroupMinSize ?? 8) < 8;
    this.chunk = plan.attentionLengths && narrow ? SAFE_CHUNK : LARGE_CHUNK;
    this.slots = plan.state.map((state) => {
      if (isCache(state)) return { state, current: null, next: null, snapshot: null };
      return { state, current: this.buffer(sizeOf(state, 0)), next: this.buffer(sizeOf(state, 0)), snapshot: null };
    });
    void device.lost.then(({ reason, message }) => {
      if (this.disposed || reason === "destroyed") return;
      this.lost = new DeviceLostError(message);
      options.onLost?.(this.lost);
    });
  }

  static async create(ort: typeof Ort, options: WebGpuRunnerOptions): Promise<WebGpuRunner> {
    const session = await createSession(ort, options.plan, options.expand);
    return new WebGpuRunner(ort, session, await ort.env.webgpu.device, options);
  }

  get takesFeatures(): boolean {
    return this.featureWidth !== null;
  }

  async forward(tokens: readonly number[], features?: Float32Array): Promise<Float32Array> {
    if (this.tentative > 0) throw new Error("Tentative tokens must be kept or taken back first.");
    return this.pass({ tokens, features }, 1, FOR_GOOD);
  }

  async read(tokens: readonly number[], { rows, more, features }: TentativeRead): Promise<Float32Array> {
    if (this.tentative + tokens.length > this.span) throw new Error(`${this.tentative + tokens.length} tentative tokens; the span is ${this.span}.`);
    const logits = await this.pass({ tokens, features }, rows === "all" ? tokens.length : 1, { tentative: true, more });
    this.tentative += tokens.length;
    return logits;
  }

  keep(count: number): void {
    this.rollback?.keep(count);
    this.position -= this.tentative - count;
    this.tentative = 0;
  }

  /** Reads tokens; a graph that takes tokens back gives the logits after the last `rows` of them. */
  private async pass(given: Given, rows: number, kind: PassKind): Promise<Float32Array> {
    const { hiddenStates, parts, position } = this;
    const count = given.tokens.length;
    const feeds = { ...this.passFeeds(count, rows), ...this.givenFeeds(given) };
    const own = hiddenStates && this.outputsWithHidden(this.rollback ? rows : this.options.allLogits ? count : 1, count, hiddenStates.width);
    return this.guard(async () => {
      const { [LOGITS]: output } = await this.submit(this.session, count, kind, feeds, own?.fetches ?? { [LOGITS]: null });
      // Tells the device's time from that of the way back; a moment's detour that only verifying takes.
      if (kind.tentative && !kind.more) await this.device.queue.onSubmittedWorkDone();
      const began = performance.now();
      const read = own && (await parts.read(own.parts));
      const logits = read ? new Float32Array(read.get(LOGITS)!) : ((await output?.getData(true)) as Float32Array);
      if (read) hiddenStates?.write(position, new Float32Array(read.get(HIDDEN_STATES)!));
      this.readbackMs = performance.now() - began;
      return logits;
    });
  }

  /** Buffers for `rows` rows of logits and `count` of hidden states, to be read back together. */
  private outputsWithHidden(rows: number, count: number, hiddenWidth: number): { readonly parts: readonly Part[]; readonly fetches: Tensors } {
    const { parts, width } = this;
    const [logits, hidden] = [parts.part(LOGITS, 4 * rows * width), parts.part(HIDDEN_STATES, 4 * count * hiddenWidth)];
    return { parts: [logits, hidden], fetches: { [LOGITS]: parts.tensor(logits, "float32", [1, rows, width]), [HIDDEN_STATES]: parts.tensor(hidden, "float32", [1, count, hiddenWidth]) } };
  }

  /** What a graph is given of the tokens that it reads: their ids, and features if it takes them. */
  private givenFeeds({ tokens, features: given }: Given): Tensors {
    const features = featuresOf(this.featureWidth, tokens.length, given);
    const ids = new this.ort.Tensor("int64", BigInt64Array.from(tokens, BigInt), [1, tokens.length]);
    if (!features) return { [INPUT_IDS]: ids };
    return { [INPUT_IDS]: ids, [FEATURES]: new this.ort.Tensor("float32", features, [1, tokens.length, features.length / tokens.length]) };
  }

  /** Logits a row. */
  get width(): number {
    return rowWidth(this.options.plan.outputs, LOGITS) ?? NaN;
  }

  /** What a pass over `count` tokens takes besides ids and states: the last `rows` positions, and the attention's lengths. */
  private passFeeds(count: number, rows: number): Tensors {
    const { ort } = this;
    const total = this.position + count;
    const feeds: Tensors = {};
    if (this.rollback) feeds[LOGIT_ROWS] = new ort.Tensor("int64", BigInt64Array.from({ length: rows }, (_, row) => BigInt(count - rows + row)), [rows]);
    return this.options.plan.attentionLengths ? { ...feeds, ...this.lengths(total, SEQLENS_K, TOTAL_SEQUENCE_LENGTH) } : feeds;
  }

  private lengths(total: number, seqlens: string, all: string): Tensors {
    return { [seqlens]: new this.ort.Tensor("int32", Int32Array.of(total - 1), [1]), [all]: new this.ort.Tensor("int32", Int32Array.of(total), []) };
  }

  /**
   * Submits a pass over `count` tokens whose ids are on the device, which may be taken back, and reads nothing: the outputs named in `fetches` are
   * in the buffers given there. Logits are those after each token.
   */
  async verifyOnDevice(ids: GPUBuffer, count: number, fetches: Tensors): Promise<void> {
    await this.tentatively(count, () => {
      const tensor = this.ort.Tensor.fromGpuBuffer(ids, { dataType: "int64", dims: [1, count] });
      return this.submit(this.session, count, ONE_PASS, { ...this.passFeeds(count, count), [INPUT_IDS]: tensor }, fetches);
    });
  }

  /**
   * Submits the steps of an unrolled graph of this model over this model's state: it reads the tokens of `given`, which may be taken back, and then all
   * that it chooses but the last. `weights` are the graph's inputs that are none of the runner's. Nothing is read, so that the hidden states of these
   * tokens are not held; `fetches` as for `verifyOnDevice`.
   */
  async draftOnDevice(session: Ort.InferenceSession, steps: number, given: Given, weights: Tensors, fetches: Tensors): Promise<void> {
    const { tokens } = given;
    const count = tokens.length + steps - 1;
    const feeds: Tensors = { ...weights, ...this.givenFeeds(given) };
    await this.tentatively(count, () => {
      for (let step = 1; step <= steps && this.options.plan.attentionLengths; step++) {
        const { seqlens, total } = stepLengths(step);
        Object.assign(feeds, this.lengths(this.position + tokens.length + step - 1, seqlens, total));
      }
      return this.submit(session, count, ONE_PASS, feeds, fetches);
    });
  }

  private async tentatively(count: number, submit: () => Promise<unknown>): Promise<void> {
    if (this.tentative > 0 || count > this.span) throw new Error(`${count} tentative tokens behind ${this.tentative}; the span is ${this.span}.`);
    await this.guard(submit);
    this.tentative = count;
  }

  private async guard<T>(work: () => Promise<T>): Promise<T> {
    if (this.lost) throw this.lost;
    try {
      return await work();
    } catch (error) {
      throw this.lost ?? translate(error);
    }
  }

  /** Runs a graph over `count` tokens on this runner's state, which it moves on. */
  private async submit(session: Ort.InferenceSession, count: number, kind: PassKind, feeds: Tensors, fetches: Record<string, Ort.Tensor | null>): Promise<Readonly<Record<string, Ort.Tensor>>> {
    this.reserveCache(this.position + count);
    const recurrent = this.rollback?.bind(count, kind);
    const inputs: Tensors = { ...feeds, ...recurrent?.feeds };
    const outputs: Record<string, Ort.Tensor | null> = { ...fetches, ...recurrent?.fetches };
    for (const { state, current, next } of this.slots) {
      if (!current || !next) throw new Error(`No buffer for ${state.input}.`);
      const dims = shapeOf(state, this.capacity);
      inputs[state.input] = this.ort.Tensor.fromGpuBuffer(current, { dataType: "float32", dims });
      outputs[state.output] = this.ort.Tensor.fromGpuBuffer(next, { dataType: "float32", dims });
    }
    const results = await session.run(inputs, outputs);
    recurrent?.done();
    for (const slot of this.slots) [slot.current, slot.next] = [slot.next, slot.current];
    this.position += count;
    return results;
  }

  /**
   * Reads a few made-up tokens, which compiles the shaders, and leaves the empty state. Long chunks are held against short ones on
   * this very device: where they disagree, short ones are used from then on.
   */
  async warmUp(): Promise<void> {
    const { width } = this;
    const tokens = Array.from({ length: 48 }, (_, index) => (index * 7919 + 1) % width);
    const read = async (sizes: readonly number[]): Promise<Float32Array> => {
      this.reset();
      let logits = new Float32Array();
      for (let begin = 0, turn = 0; turn < sizes.length; begin += sizes[turn++] ?? 0) {
        const some = tokens.slice(begin, begin + (sizes[turn] ?? 0));
        logits = Float32Array.from(await this.forward(some, this.featureWidth === null ? undefined : new Float32Array(some.length * this.featureWidth)));
      }
      return logits.subarray(-width);
    };
    if (this.chunk > SAFE_CHUNK && this.contextLength >= tokens.length) {
      const [long, short] = [await read([48]), await read([24, 24])];
      const spread = Math.max(...short) - Math.min(...short);
      if (long.some((value, index) => !(Math.abs(value - (short[index] ?? NaN)) < 0.05 * spread))) this.chunk = SAFE_CHUNK;
    }
    await read([1]);
    this.reset();
  }

  reset(): void {
    this.position = this.tentative = 0;
    this.rollback?.reset();
    this.hiddenStates?.reset();
    const encoder = this.device.createCommandEncoder();
    for (const { state, current } of this.slots) if (current && !isCache(state)) encoder.clearBuffer(current);
    this.device.queue.submit([encoder.finish()]);
  }

  /** The cache is only ever written behind what it holds, so a snapshot of it is its length; the Mamba states are copied. */
  saveSnapshot(): Promise<void> {
    this.rollback?.save();
    this.hiddenStates?.saveSnapshot(this.position);
    for (const slot of this.slots) if (!isCache(slot.state)) slot.snapshot ??= this.buffer(sizeOf(slot.state, 0));
    this.copyStates(({ current, snapshot }) => [current, snapshot]);
    this.snapshotPosition = this.position;
    return Promise.resolve();
  }

  restoreSnapshot(): Promise<void> {
    if (this.snapshotPosition === null) throw new Error("There is no snapshot.");
    this.copyStates(({ current, snapshot }) => [snapshot, current]);
    this.rollback?.restore();
    this.hiddenStates?.restoreSnapshot();
    this.tentative = 0;
    this.position = this.snapshotPosition;
    return Promise.resolve();
  }

  truncate(position: number): void {
    if (!this.canTruncate) throw new Error("A recurrent state cannot be cut back.");
    this.position = Math.min(this.position, position);
    if (this.snapshotPosition !== null && this.snapshotPosition > position) this.snapshotPosition = null;
  }

  memory(): RunnerMemory {
    const total = (value: (slot: Slot) => number): number => this.slots.reduce((sum, slot) => sum + value(slot), 0);
    const recurrent = this.rollback?.memory();
    const { snapshotBytes = 0, reservedBytes = 0 } = this.hiddenStates ?? {};
    const held = ({ current, next, snapshot }: Slot): number =>
      (current?.size ?? 0) + (next && next !== current ? next.size : 0) + (snapshot?.size ?? 0);
    return {
      weightBytes: this.options.plan.weightBytes,
      kvBytes: total(({ state }) => (isCache(state) ? sizeOf(state, this.position) : 0)),
      stateBytes: total(({ state }) => (isCache(state) ? 0 : sizeOf(state, 0))) + (recurrent ? recurrent.checkpointBytes : 0),
      snapshotBytes: total(({ snapshot }) => snapshot?.size ?? 0) + (recurrent ? recurrent.snapshotBytes : 0) + snapshotBytes,
      reservedBytes: total(held) + (recurrent ? recurrent.reservedBytes : 0) + reservedBytes,
      heapBytes: null,
    };
  }

  rollbackMemory(): RollbackMemory {
    const { checkpointBytes = 0, inputBytes = 0 } = this.rollback?.memory() ?? {};
    return { checkpointBytes, inputBytes, statePerTokenBytes: this.span * checkpointBytes };
  }

  async dispose(): Promise<void> {
    if (this.disposed) return;
    this.disposed = true;
    this.rollback?.dispose();
    this.parts.dispose();
    for (const { current, next, snapshot } of this.slots) for (const buffer of [current, next, snapshot]) buffer?.destroy();
    if (!this.lost) await this.session.release();
  }

  private buffer(bytes: number): GPUBuffer {
    return this.device.createBuffer({ size: Math.ceil(bytes / 16) * 16, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
  }

  private copyStates(between: (slot: Slot) => [GPUBuffer | null, GPUBuffer | null]): void {
    const encoder = this.device.createCommandEncoder();
    for (const slot of this.slots) {
      if (isCache(slot.state)) continue;
      const [from, to] = between(slot);
      if (from && to) encoder.copyBufferToBuffer(from, 0, to, 0, from.size);
    }
    this.device.queue.submit([encoder.finish()]);
  }

  /** Makes room for `total` tokens: new buffers, with the heads' rows copied to their new places. */
  private reserveCache(total: number): void {
    if (!this.options.plan.attentionLengths || total <= this.capacity) return;
    const capacity = Math.max(total, Math.min(this.contextLength, Math.ceil(total / CACHE_STEP) * CACHE_STEP));
    const encoder = this.device.createCommandEncoder();
    const old: GPUBuffer[] = [];
    for (const slot of this.slots) {
      if (!isCache(slot.state)) continue;
      const [, groups, , width] = shapeOf(slot.state, capacity) as [number, number, number, number];
      const grown = this.buffer(sizeOf(slot.state, capacity));
      const row = 4 * width;
      for (let group = 0; slot.current && group < groups && this.position > 0; group++) {
        encoder.copyBufferToBuffer(slot.current, group * this.capacity * row, grown, group * capacity * row, this.position * row);
      }
      if (slot.current) old.push(slot.current);
      slot.current = slot.next = grown;
    }
    this.device.queue.submit([encoder.finish()]);
    for (const buffer of old) buffer.destroy(); // the submitted copies still complete
    this.capacity = capacity;
  }
}

const isCache = ({ kind }: StateTensor): boolean => kind === "key" || kind === "value";
const shapeOf = (state: StateTensor, past: number): number[] => state.shape.map((size) => (typeof size === "number" ? size : past));
const sizeOf = (state: StateTensor, past: number): number =>
  shapeOf(state, past).reduce((product, size) => product * size, BYTES_PER_ELEMENT.float32);

/** A session of a plan whose outputs stay on the device. Throws RuntimeError, OutOfMemoryError and DeviceLostError. */
export async function createSession(ort: typeof Ort, { model, outputs, initialisers }: Pick<GraphPlan, "model" | "outputs" | "initialisers">, expand: (initialiser: Initialiser) => Uint8Array): Promise<Ort.InferenceSession> {
  try {
    return await ort.InferenceSession.create(model, {
      executionProviders: [{ name: "webgpu" }],
      externalData: initialisers.filter((initialiser) => !isInline(initialiser)).map((initialiser) => ({ path: initialiser.name, data: expand(initialiser) })),
      preferredOutputLocation: Object.fromEntries(outputs.map(({ name }) => [name, "gpu-buffer" as const])),
    });
  } catch (error) {
    throw translate(error);
  }
}

/** A runtime's error as one of ours. */
export function translate(error: unknown): unknown {
  const text = error instanceof Error ? error.message : String(error);
  if (/device (is |was )?lost/i.test(text)) return new DeviceLostError(text);
  if (error instanceof RangeError || /bad_alloc|out of memory|allocation|failed to allocate/i.test(text)) return new OutOfMemoryError(null, null, { cause: error });
  return new RuntimeError(`The WebGPU runtime failed: ${text}`, { cause: error });
}
