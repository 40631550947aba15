/** Runs a graph on WebAssembly, with the key/value cache and the Mamba states in the module's own heap. */
import { BYTES_PER_ELEMENT, type GraphPlan, INPUT_IDS, LOGITS, SEQLENS_K, type StateTensor, TOTAL_SEQUENCE_LENGTH } from "@/lib/onnx/plan";
import type { Runner, RunnerMemory } from "./runner";
import type { ExternalData, NamedTensor, OrtWasm } from "./wasm-module";

/** The cache grows by this many tokens at a time: the attention reads only what is filled, so slack costs memory alone. */
const CACHE_STEP = 256;

export type WasmRunnerOptions = {
  readonly plan: GraphPlan;
  readonly contextLength: number;
  readonly vocabularySize: number;
  readonly allLogits: boolean;
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

export class WasmRunner implements Runner {
  position = 0;
  snapshotPosition: number | null = null;
  /**
   * Throughput is flat from 16 tokens on (about 105 tokens/s at 135M parameters on one thread), so a small chunk costs nothing and lets
   * a stop through.
   */
  chunk = 32;
  readonly contextLength: number;
  readonly canTruncate: boolean;
  private readonly slots: Slot[];
  private readonly names: Readonly<Record<"ids" | "seqlens" | "total" | "logits", number>>;
  private capacity = 0;
  private scratch = { pointer: 0, tokens: 0 };
  private disposed = false;

  private constructor(
    private readonly runtime: OrtWasm,
    private readonly session: number,
    private readonly options: WasmRunnerOptions,
  ) {
    const { plan } = options;
    this.contextLength = options.contextLength;
    this.canTruncate = plan.state.every(isCache);
    this.names = {
      ids: runtime.string(INPUT_IDS),
      seqlens: runtime.string(SEQLENS_K),
      total: runtime.string(TOTAL_SEQUENCE_LENGTH),
      logits: runtime.string(LOGITS),
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

  async forward(tokens: readonly number[]): Promise<Float32Array> {
    const { runtime, options } = this;
    const count = tokens.length;
    const total = this.position + count;
    this.reserveCache(total);
    const { ids, seqlens, logits } = this.reserveScratch(count);
    const heap = runtime.bytes(ids, 8 * count + 8);
    const view = new DataView(heap.buffer, heap.byteOffset, heap.byteLength);
    tokens.forEach((token, index) => view.setBigInt64(8 * index, BigInt(token), true));
    view.setInt32(8 * count, total - 1, true);
    view.setInt32(8 * count + 4, total, true);

    const rows = options.allLogits ? count : 1;
    const inputs: NamedTensor[] = [{ name: this.names.ids, tensor: runtime.tensor("int64", ids, 8 * count, [1, count]) }];
    if (options.plan.attentionLengths) {
      inputs.push({ name: this.names.seqlens, tensor: runtime.tensor("int32", seqlens, 4, [1]) });
      inputs.push({ name: this.names.total, tensor: runtime.tensor("int32", seqlens + 4, 4, []) });
    }
    const bytes = 4 * rows * options.vocabularySize;
    const outputs: NamedTensor[] = [
      { name: this.names.logits, tensor: runtime.tensor("float32", logits, bytes, [1, rows, options.vocabularySize]) },
    ];
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
    for (const slot of this.slots) [slot.current, slot.next] = [slot.next, slot.current];
    this.position = total;
    return runtime.floats(logits, rows * options.vocabularySize);
  }

  async warmUp(): Promise<void> {
    await this.forward([0]);
    this.reset();
  }

  reset(): void {
    this.position = 0;
    for (const slot of this.slots) if (!isCache(slot.state)) this.runtime.bytes(slot.current, slot.bytes).fill(0);
  }

  /** The cache is only ever written behind what it holds, so a snapshot of it is its length; the Mamba states are copied. */
  saveSnapshot(): Promise<void> {
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
    return {
      weightBytes: this.options.plan.weightBytes,
      kvBytes: total(({ state }) => (isCache(state) ? sizeOf(state, this.position) : 0)),
      stateBytes: total(({ state, bytes }) => (isCache(state) ? 0 : bytes)),
      snapshotBytes: total(({ snapshot, bytes }) => (snapshot ? bytes : 0)),
      reservedBytes: total(({ state, snapshot, bytes }) => bytes * (isCache(state) ? 1 : snapshot ? 3 : 2)),
      heapBytes: this.runtime.heapBytes,
    };
  }

  dispose(): Promise<void> {
    if (this.disposed) return Promise.resolve();
    this.disposed = true;
    this.runtime.releaseSession(this.session);
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

  /** Memory for the ids, the two lengths and the logits of `count` tokens. */
  private reserveScratch(count: number): { ids: number; seqlens: number; logits: number } {
    const rows = this.options.allLogits ? count : 1;
    if (count > this.scratch.tokens) {
      if (this.scratch.pointer) this.runtime.free(this.scratch.pointer);
      this.scratch = { pointer: 0, tokens: 0 };
      this.scratch = { pointer: this.runtime.allocate(16 + 8 * count + 4 * rows * this.options.vocabularySize), tokens: count };
    }
    const { pointer } = this.scratch;
    return { ids: pointer, seqlens: pointer + 8 * count, logits: pointer + 16 + 8 * count };
  }
}

const isCache = ({ kind }: StateTensor): boolean => kind === "key" || kind === "value";
const shapeOf = (state: StateTensor, past: number): number[] => state.shape.map((size) => (typeof size === "number" ? size : past));
const sizeOf = (state: StateTensor, past: number): number =>
  shapeOf(state, past).reduce((product, size) => product * size, BYTES_PER_ELEMENT.float32);
