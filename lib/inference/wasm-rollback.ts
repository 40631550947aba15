/** Recurrent states on the WebAssembly heap whose last tokens can be taken back by replay. */
import { BYTES_PER_ELEMENT, type RollbackLayer } from "@/lib/onnx/plan";
import type { NamedTensor, OrtWasm } from "./wasm-module";

const FLOAT = BYTES_PER_ELEMENT.float32;

/** Rows (tokens) of one tensor: those of the last tentative pass, and where the next one's go. */
type Rows = { readonly input: number; readonly output: number; readonly width: number; current: number; next: number };

type Layer = {
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly names: { readonly input: number; readonly replayed: number; readonly output: number };
  /** The state before the kept tokens, and the place of the next one. */
  checkpoint: number;
  spare: number;
  /** The state after all tentative tokens; allocated when a span has more than one pass. */
  work: number;
  workNext: number;
  readonly inputs: readonly Rows[];
  /** Begins with the `rows` before the span. */
  readonly window: (Rows & { readonly rows: number }) | null;
  snapshot: { readonly state: number; readonly window: number } | null;
};

/** How a pass is read: for good, or so that it can be taken back; `more`: other passes of the same span may follow. */
export type PassKind = { readonly tentative: boolean; readonly more: boolean };

/**
 * One checkpoint a layer and the inputs of at most `span` tokens. Tokens are kept by their count: the replay is given the first rows of what the
 * pass wrote, and the convolution's window begins as many rows later, so taking back costs nothing.
 */
export class WasmRollback {
  private readonly layers: Layer[];
  /** Rows to replay before the next span. */
  private kept = 0;
  /** Tentative rows written. */
  private written = 0;
  private readonly identity: number;
  private scratch = { pointer: 0, bytes: 0 };

  constructor(
    private readonly runtime: OrtWasm,
    layers: readonly RollbackLayer[],
    private readonly span: number,
  ) {
    const widest = Math.max(0, ...layers.flatMap(({ inputs }) => inputs.map(({ width }) => width)));
    this.identity = runtime.allocate(FLOAT * widest); // zeros: value 0, log decay 0
    this.layers = layers.map(({ state, inputs, window }): Layer => {
      const bytes = FLOAT * state.elements;
      const rows = (input: string, output: string, width: number, count: number): Rows => {
        const [current, next] = [runtime.allocate(FLOAT * width * count), runtime.allocate(FLOAT * width * count)];
        return { input: runtime.string(input), output: runtime.string(output), width, current, next };
      };
      return {
        shape: state.shape,
        bytes,
        names: { input: runtime.string(state.input), replayed: runtime.string(state.replayed), output: runtime.string(state.output) },
        checkpoint: runtime.allocate(bytes),
        spare: runtime.allocate(bytes),
        work: 0,
        workNext: 0,
        inputs: inputs.map(({ input, output, width }) => rows(input, output, width, span)),
        window: window && { ...rows(window.input, window.output, window.width, window.rows + span), rows: window.rows },
        snapshot: null,
      };
    });
  }

  /** The tensors of a pass over `count` tokens; `done` must be called when it has run. Memory is allocated here, so views taken before die. */
  bind(count: number, { tentative, more }: PassKind): { inputs: NamedTensor[]; outputs: NamedTensor[]; done: () => void } {
    const { runtime, written } = this;
    const first = written === 0;
    if (!first && !tentative) throw new Error("Tentative tokens must be kept or taken back first.");
    if (tentative && written + count > this.span) throw new Error(`${written + count} tentative tokens; the span is ${this.span}.`);
    if (tentative && (more || !first)) for (const layer of this.layers) this.reserveWork(layer);
    let passing = tentative ? 0 : this.reserveScratch(count);
    const tensor = (pointer: number, rows: number, width: number): number => runtime.tensor("float32", pointer, FLOAT * rows * width, [1, rows, width]);
    const inputs: NamedTensor[] = [];
    const outputs: NamedTensor[] = [];
    for (const layer of this.layers) {
      const { names, shape, bytes, window } = layer;
      const state = (pointer: number): number => runtime.tensor("float32", pointer, bytes, shape);
      inputs.push({ name: names.input, tensor: state(first ? layer.checkpoint : layer.work) });
      const replayed = first ? this.kept : 0;
      for (const rows of layer.inputs) {
        inputs.push({ name: rows.input, tensor: replayed > 0 ? tensor(rows.current, replayed, rows.width) : tensor(this.identity, 1, rows.width) });
        const into = (first ? rows.next : rows.current) + FLOAT * written * rows.width;
        if (tentative) outputs.push({ name: rows.output, tensor: tensor(into, count, rows.width) });
      }
      if (tentative && first) outputs.push({ name: names.replayed, tensor: state(layer.spare) });
      if (!tentative) outputs.push({ name: names.output, tensor: state(layer.spare) });
      else if (more || !first) outputs.push({ name: names.output, tensor: state(layer.workNext) });
      if (!window) continue;
      const row = FLOAT * window.width;
      inputs.push({ name: window.input, tensor: tensor(window.current + row * (first ? this.kept : written), window.rows, window.width) });
      const into = tentative ? (first ? window.next : window.current) + row * (window.rows + written) : passing;
      outputs.push({ name: window.output, tensor: tensor(into, count, window.width) });
      if (!tentative) passing += row * count;
      else if (first) runtime.copy(window.current + row * this.kept, window.next, row * window.rows);
    }
    return { inputs, outputs, done: () => this.advance(count, tentative, more) };
  }

  private advance(count: number, tentative: boolean, more: boolean): void {
    const first = this.written === 0;
    let passed = this.scratch.pointer;
    for (const layer of this.layers) {
      if (first) {
        [layer.checkpoint, layer.spare] = [layer.spare, layer.checkpoint];
        if (layer.window && !tentative) {
          this.moveWindow(layer.window, passed, count);
          passed += FLOAT * layer.window.width * count;
        }
        for (const rows of [...(tentative ? layer.inputs : []), ...(layer.window ? [layer.window] : [])]) [rows.current, rows.next] = [rows.next, rows.current];
      }
      if (tentative && (more || !first)) [layer.work, layer.workNext] = [layer.workNext, layer.work];
    }
    if (first) this.kept = 0;
    if (tentative) this.written += count;
  }

  /** The next window after `count` tokens read for good, whose rows lie at `passed`. */
  private moveWindow({ rows, width, current, next }: Rows & { readonly rows: number }, passed: number, count: number): void {
    const row = FLOAT * width;
    const old = Math.max(0, rows - count);
    this.runtime.copy(current + row * (this.kept + rows - old), next, row * old);
    this.runtime.copy(passed + row * (count - rows + old), next + row * old, row * (rows - old));
  }

  /** Keeps the first `count` tentative tokens. */
  keep(count: number): void {
    if (count < 0 || count > this.written) throw new Error(`${count} of ${this.written} tentative tokens cannot be kept.`);
    this.kept = count;
    this.written = 0;
  }

  get tentative(): number {
    return this.written;
  }

  reset(): void {
    this.kept = this.written = 0;
    for (const { checkpoint, bytes, window } of this.layers) {
      this.runtime.bytes(checkpoint, bytes).fill(0);
      if (window) this.runtime.bytes(window.current, FLOAT * window.rows * window.width).fill(0);
    }
  }

  /** Only right after a pass for good: the checkpoint is then the state. */
  save(): void {
    if (this.kept + this.written > 0) throw new Error("There are tokens that the checkpoint does not hold yet.");
    for (const layer of this.layers) {
      const windowBytes = layer.window ? FLOAT * layer.window.rows * layer.window.width : 0;
      layer.snapshot ??= { state: this.runtime.allocate(layer.bytes), window: this.runtime.allocate(windowBytes) };
      this.runtime.copy(layer.checkpoint, layer.snapshot.state, layer.bytes);
      if (layer.window) this.runtime.copy(layer.window.current, layer.snapshot.window, windowBytes);
    }
  }

  restore(): void {
    this.kept = this.written = 0;
    for (const { snapshot, checkpoint, bytes, window } of this.layers) {
      if (!snapshot) throw new Error("There is no snapshot.");
      this.runtime.copy(snapshot.state, checkpoint, bytes);
      if (window) this.runtime.copy(snapshot.window, window.current, FLOAT * window.rows * window.width);
    }
  }

  /** Bytes: the checkpoints, the inputs of a whole span (with the windows), and all that is allocated. */
  memory(): { checkpointBytes: number; inputBytes: number; snapshotBytes: number; reservedBytes: number } {
    const total = (of: (layer: Layer) => number): number => this.layers.reduce((sum, layer) => sum + of(layer), 0);
    const windowBytes = ({ window }: Layer): number => (window ? FLOAT * window.rows * window.width : 0);
    const checkpointBytes = total(({ bytes }) => bytes);
    const inputBytes = total((layer) => windowBytes(layer) + this.span * FLOAT * [...layer.inputs, ...(layer.window ? [layer.window] : [])].reduce((sum, { width }) => sum + width, 0));
    const snapshotBytes = total((layer) => (layer.snapshot ? layer.bytes + windowBytes(layer) : 0));
    const workBytes = total(({ work, bytes }) => (work ? 2 * bytes : 0));
    return { checkpointBytes, inputBytes, snapshotBytes, reservedBytes: 2 * (checkpointBytes + inputBytes) + workBytes + snapshotBytes + this.scratch.bytes };
  }

  dispose(): void {
    const free = (pointer: number): void => void (pointer && this.runtime.free(pointer));
    for (const { names, checkpoint, spare, work, workNext, inputs, window, snapshot } of this.layers) {
      for (const pointer of [...Object.values(names), checkpoint, spare, work, workNext, snapshot?.state ?? 0, snapshot?.window ?? 0]) free(pointer);
      for (const { input, output, current, next } of [...inputs, ...(window ? [window] : [])]) for (const pointer of [input, output, current, next]) free(pointer);
    }
    free(this.identity);
    free(this.scratch.pointer);
  }

  private reserveWork(layer: Layer): void {
    layer.work ||= this.runtime.allocate(layer.bytes);
    layer.workNext ||= this.runtime.allocate(layer.bytes);
  }

  /** Room for all layers' convolution inputs of a pass for good, of which the next window takes the last rows. */
  private reserveScratch(count: number): number {
    const bytes = FLOAT * count * this.layers.reduce((sum, { window }) => sum + (window?.width ?? 0), 0);
    if (bytes > this.scratch.bytes) {
      if (this.scratch.pointer) this.runtime.free(this.scratch.pointer);
      this.scratch = { pointer: 0, bytes: 0 };
      this.scratch = { pointer: this.runtime.allocate(bytes), bytes };
    }
    return this.scratch.pointer;
  }
}
