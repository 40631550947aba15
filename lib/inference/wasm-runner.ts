/** Runs a graph on WebAssembly, with the key/value cache and the Mamba states in the module's own heap. */
import { BYTES_PER_ELEMENT, FEATURES, type GraphPlan, HIDDEN_STATES, INPUT_IDS, LOGIT_ROWS, LOGITS, rowWidth, SEQLENS_K, type StateTensor, TOTAL_SEQUENCE_LENGTH } from "@/lib/onnx/plan";
import { featuresOf, HiddenStates } from "./hidden-states";
import type { RollbackMemory, RollbackRunner, RunnerMemory, TentativeRead } from "./runner";
import type { ExternalData, NamedTensor, OrtWasm } from "./wasm-module";
import { type PassKind, WasmRollback } from "./wasm-rollback";

/** The cache grows by this many tokens at a time: the attention reads only what is filled, so slack costs memory alone. */
const CACHE_STEP = 256;

export type WasmRunnerOptions = {
  readonly plan: GraphPlan;
  readonly contextLength: number;
  /** Logits a row: the vocabulary, or as many of its tokens as the graph's head has. */
  readonly vocabularySize: number;
  readonly allLogits: boolean;
  /** Most tokens that can be taken back, for graphs built so. */
  readonly span?: number;
  /** Bytes of an initialiser that is not in the model itself, by name; called once for each, when the session reads it. */
  readonly files: ReadonlyMap<string, ExternalData>;
};

type Slot = {
  readonly state: StateTensor;
  readonly inputName: number;
  readonly outputName: number;
  /** Bytes of the whole tensor (cache: at the present capacity). */
  bytes: number;
  /** Where the state lies, and where the next run writes it: the same place for a cache, which is written behind what it holds. */
  current: number;
  next: number;
  snapshot: number;
};

const FOR_GOOD: PassKind = { tentative: false, more: false };

export class WasmRunner implements RollbackRunner {
  position = 0;
  snapshotPosition: number | null = null;
  /**
   * Throughput is flat from 16 tokens on (about 105 tokens/s at 135M parameters on one thread), so a small chunk costs nothing and lets
   * a stop through.
   */
  chunk = 32;
  readonly contextLength: number;
  readonly canTruncate: boolean;
  readonly span: number;
  readonly hiddenStates: HiddenStates | null;
  tentative = 0;
  readonly readbackMs = 0;
  private readonly slots: Slot[];
  private readonly rollback: WasmRollback | null;
  private readonly names: Readonly<Record<"ids" | "seqlens" | "total" | "rows" | "logits" | "features" | "hidden", number>>;
  private readonly featureWidth: number | null;
  private capacity = 0;
  private scratch = { pointer: 0, bytes: 0 };
  private disposed = false;

  private constructor(
    private readonly runtime: OrtWasm,
    private readonly session: number,
    private readonly options: WasmRunnerOptions,
  ) {
    const { plan } = options;
    this.contextLength = options.contextLength;
    this.canTruncate = plan.state.every(isCache) && !plan.rollback?.length;
    this.span = plan.rollback ? (options.span ?? 1) : 0;
    this.rollback = plan.rollback && new WasmRollback(runtime, plan.rollback, this.span);
    this.featureWidth = rowWidth(plan.inputs, FEATURES);
    const width = rowWidth(plan.outputs, HIDDEN_STATES);
    this.hiddenStates = width === null ? null : new HiddenStates(this.contextLength, width);
    this.names = {
      ids: runtime.string(INPUT_IDS),
      seqlens: runtime.string(SEQLENS_K),
      total: runtime.string(TOTAL_SEQUENCE_LENGTH),
      rows: runtime.string(LOGIT_ROWS),
      logits: runtime.string(LOGITS),
      features: runtime.string(FEATURES),
      hidden: runtime.string(HIDDEN_STATES),
    };
    this.slots = plan.state.map((state) => {
      const names = { inputName: runtime.string(state.input), outputName: runtime.string(state.output) };
      if (isCache(state)) return { state, ...names, bytes: 0, current: 0, next: 0, snapshot: 0 };
      const bytes = sizeOf(state, 0);
      return { state, ...names, bytes, current: runtime.allocate(bytes), next: runtime.allocate(bytes), snapshot: 0 };
    });
  }

  static async create(runtime: OrtWasm, options: WasmRunnerOptions): Promise<WasmRunner> {
    const session = await runtime.createSession({ model: options.plan.model, files: options.files });
    return new WasmRunner(runtime, session, options);
  }

  get takesFeatures(): boolean {
    return this.featureWidth !== null;
  }

  async forward(tokens: readonly number[], features?: Float32Array): Promise<Float32Array> {
    if (this.tentative > 0) throw new Error("Tentative tokens must be kept or taken back first.");
    return this.pass(tokens, features, this.options.allLogits && !this.rollback ? tokens.length : 1, FOR_GOOD);
  }

  async read(tokens: readonly number[], { rows, more, features }: TentativeRead): Promise<Float32Array> {
    if (this.tentative + tokens.length > this.span) throw new Error(`${this.tentative + tokens.length} tentative tokens; the span is ${this.span}.`);
    const logits = await this.pass(tokens, features, rows === "all" ? tokens.length : 1, { tentative: true, more });
    this.tentative += tokens.length;
    return logits;
  }

  keep(count: number): void {
    this.rollback?.keep(count);
    this.position -= this.tentative - count;
    this.tentative = 0;
  }

  /** Reads tokens; returns the logits after the last `rows` of them. */
  private async pass(tokens: readonly number[], given: Float32Array | undefined, rows: number, kind: PassKind): Promise<Float32Array> {
    const { runtime, options, hiddenStates } = this;
    const count = tokens.length;
    const total = this.position + count;
    const features = featuresOf(this.featureWidth, count, given);
    this.reserveCache(total);
    const hiddenFloats = count * (hiddenStates?.width ?? 0);
    const { ids, seqlens, wanted, logits, hidden, featureRows } = this.reserveScratch(count, rows, hiddenFloats);
    const recurrent = this.rollback?.bind(count, kind);
    const heap = runtime.bytes(ids, 16 * count + 8);
    const view = new DataView(heap.buffer, heap.byteOffset, heap.byteLength);
    tokens.forEach((token, index) => view.setBigInt64(8 * index, BigInt(token), true));
    for (let row = 0; row < rows; row++) view.setBigInt64(8 * (count + row), BigInt(count - rows + row), true);
    view.setInt32(16 * count, total - 1, true);
    view.setInt32(16 * count + 4, total, true);
    if (features) runtime.floats(featureRows, features.length).set(features);

    const inputs: NamedTensor[] = [{ name: this.names.ids, tensor: runtime.tensor("int64", ids, 8 * count, [1, count]) }];
    if (options.plan.attentionLengths) {
      inputs.push({ name: this.names.seqlens, tensor: runtime.tensor("int32", seqlens, 4, [1]) });
      inputs.push({ name: this.names.total, tensor: runtime.tensor("int32", seqlens + 4, 4, []) });
    }
    if (features) inputs.push({ name: this.names.features, tensor: runtime.tensor("float32", featureRows, 4 * features.length, [1, count, features.length / count]) });
    if (recurrent) inputs.push({ name: this.names.rows, tensor: runtime.tensor("int64", wanted, 8 * rows, [rows]) }, ...recurrent.inputs);
    const bytes = 4 * rows * options.vocabularySize;
    const outputs: NamedTensor[] = [
      { name: this.names.logits, tensor: runtime.tensor("float32", logits, bytes, [1, rows, options.vocabularySize]) },
      ...(recurrent?.outputs ?? []),
    ];
    if (hiddenStates) outputs.push({ name: this.names.hidden, tensor: runtime.tensor("float32", hidden, 4 * hiddenFloats, [1, count, hiddenStates.width]) });
    for (const slot of this.slots) {
      const shape = shapeOf(slot.state, this.capacity);
      inputs.push({ name: slot.inputName, tensor: runtime.tensor("float32", slot.current, slot.bytes, shape) });
      outputs.push({ name: slot.outputName, tensor: runtime.tensor("float32", slot.next, slot.bytes, shape) });
    }
    try {
      await runtime.run(this.session, inputs, outputs);
    } finally {
      for (const { tensor } of [...inputs, ...outputs]) runtime.releaseTensor(tensor);
    }
    recurrent?.done();
    hiddenStates?.write(this.position, runtime.floats(hidden, hiddenFloats));
    for (const slot of this.slots) [slot.current, slot.next] = [slot.next, slot.current];
    this.position = total;
    return runtime.floats(logits, rows * options.vocabularySize);
  }

  async warmUp(): Promise<void> {
    await this.forward([0], this.featureWidth === null ? undefined : new Float32Array(this.featureWidth));
    this.reset();
  }

  reset(): void {
    this.position = this.tentative = 0;
    this.rollback?.reset();
    this.hiddenStates?.reset();
    for (const slot of this.slots) if (!isCache(slot.state)) this.runtime.bytes(slot.current, slot.bytes).fill(0);
  }

  /** The cache is only ever written behind what it holds, so a snapshot of it is its length; the Mamba states are copied. */
  saveSnapshot(): Promise<void> {
    this.rollback?.save();
    this.hiddenStates?.saveSnapshot(this.position);
    for (const slot of this.slots) {
      if (isCache(slot.state)) continue;
      slot.snapshot ||= this.runtime.allocate(slot.bytes);
      this.runtime.copy(slot.current, slot.snapshot, slot.bytes);
    }
    this.snapshotPosition = this.position;
    return Promise.resolve();
  }

  restoreSnapshot(): Promise<void> {
    if (this.snapshotPosition === null) throw new Error("There is no snapshot.");
    for (const slot of this.slots) if (!isCache(slot.state)) this.runtime.copy(slot.snapshot, slot.current, slot.bytes);
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
    return {
      weightBytes: this.options.plan.weightBytes,
      kvBytes: total(({ state }) => (isCache(state) ? sizeOf(state, this.position) : 0)),
      stateBytes: total(({ state, bytes }) => (isCache(state) ? 0 : bytes)) + (recurrent ? recurrent.checkpointBytes : 0),
      snapshotBytes: total(({ snapshot, bytes }) => (snapshot ? bytes : 0)) + (recurrent ? recurrent.snapshotBytes : 0) + snapshotBytes,
      reservedBytes: total(({ state, snapshot, bytes }) => bytes * (isCache(state) ? 1 : snapshot ? 3 : 2)) + (recurrent ? recurrent.reservedBytes : 0) + reservedBytes,
      heapBytes: this.runtime.heapBytes,
    };
  }

  rollbackMemory(): RollbackMemory {
    const { checkpointBytes = 0, inputBytes = 0 } = this.rollback?.memory() ?? {};
    return { checkpointBytes, inputBytes, statePerTokenBytes: this.span * checkpointBytes };
  }

  dispose(): Promise<void> {
    if (this.disposed) return Promise.resolve();
    this.disposed = true;
    this.runtime.releaseSession(this.session);
    this.rollback?.dispose();
    for (const { state, current, next, snapshot, inputName, outputName } of this.slots) {
      for (const pointer of [current, isCache(state) ? 0 : next, snapshot, inputName, outputName]) if (pointer) this.runtime.free(pointer);
    }
    for (const pointer of [...Object.values(this.names), this.scratch.pointer]) if (pointer) this.runtime.free(pointer);
    return Promise.resolve();
  }

  /** Makes room for `total` tokens: new buffers, with the heads' rows copied to their new places. */
  private reserveCache(total: number): void {
    if (!this.options.plan.attentionLengths || total <= this.capacity) return;
    const capacity = Math.max(total, Math.min(this.contextLength, Math.ceil(total / CACHE_STEP) * CACHE_STEP));
    for (const slot of this.slots) {
      if (!isCache(slot.state)) continue;
      const [, groups, , width] = shapeOf(slot.state, capacity) as [number, number, number, number];
      const bytes = sizeOf(slot.state, capacity);
      const pointer = this.runtime.allocate(bytes);
      const row = 4 * width;
      for (let group = 0; group < groups && this.position > 0; group++) {
        this.runtime.copy(slot.current + group * this.capacity * row, pointer + group * capacity * row, this.position * row);
      }
      if (slot.current) this.runtime.free(slot.current);
      Object.assign(slot, { bytes, current: pointer, next: pointer });
    }
    this.capacity = capacity;
  }

  /**
   * Memory for the ids and the wanted rows of `count` tokens, the two lengths, the logits of `rows` of them, and `hiddenFloats` numbers of hidden states
   * and as many of features.
   */
  private reserveScratch(count: number, rows: number, hiddenFloats: number): Readonly<Record<"ids" | "wanted" | "seqlens" | "logits" | "hidden" | "featureRows", number>> {
    const hiddenAt = 16 + 16 * count + Math.ceil((4 * rows * this.options.vocabularySize) / 16) * 16;
    const featuresAt = hiddenAt + Math.ceil((4 * hiddenFloats) / 16) * 16;
    const bytes = featuresAt + (this.takesFeatures ? 4 * hiddenFloats : 0);
    if (bytes > this.scratch.bytes) {
      if (this.scratch.pointer) this.runtime.free(this.scratch.pointer);
      this.scratch = { pointer: 0, bytes: 0 };
      this.scratch = { pointer: this.runtime.allocate(bytes), bytes };
    }
    const { pointer } = this.scratch;
    return { ids: pointer, wanted: pointer + 8 * count, seqlens: pointer + 16 * count, logits: pointer + 16 + 16 * count, hidden: pointer + hiddenAt, featureRows: pointer + featuresAt };
  }
}

const isCache = ({ kind }: StateTensor): boolean => kind === "key" || kind === "value";
const shapeOf = (state: StateTensor, past: number): number[] => state.shape.map((size) => (typeof size === "number" ? size : past));
const sizeOf = (state: StateTensor, past: number): number =>
  shapeOf(state, past).reduce((product, size) => product * size, BYTES_PER_ELEMENT.float32);
