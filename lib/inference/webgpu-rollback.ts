/** Recurrent states in GPU buffers whose last tokens can be taken back by replay: as on WebAssembly, with copies where that has pointers. */
import type * as Ort from "onnxruntime-web/webgpu";
import { BYTES_PER_ELEMENT, type RollbackLayer } from "@/lib/onnx/plan";
import type { PassKind } from "./wasm-rollback";

const FLOAT = BYTES_PER_ELEMENT.float32;

type Rows = { readonly input: string; readonly output: string; readonly width: number; current: GPUBuffer; next: GPUBuffer; passing: GPUBuffer | null };

type Window = {
  readonly input: string;
  readonly output: string;
  readonly width: number;
  readonly rows: number;
  /** The rows before the span, and the span's own. */
  base: GPUBuffer;
  baseNext: GPUBuffer;
  own: GPUBuffer;
  /** The rows before a later pass of a span, and what that pass writes. */
  work: GPUBuffer | null;
  passing: GPUBuffer | null;
};

type Layer = {
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly names: RollbackLayer["state"];
  checkpoint: GPUBuffer;
  spare: GPUBuffer;
  work: GPUBuffer | null;
  workNext: GPUBuffer | null;
  readonly inputs: readonly Rows[];
  readonly window: Window | null;
  snapshot: { readonly state: GPUBuffer; readonly window: GPUBuffer | null } | null;
};

type Tensors = Record<string, Ort.Tensor>;

export class WebGpuRollback {
  private readonly layers: Layer[];
  private kept = 0;
  private written = 0;
  private readonly identity: GPUBuffer;
  /** Convolution inputs of a pass for good, one buffer a layer, as long as the longest so far. */
  private scratch: { tokens: number; readonly buffers: GPUBuffer[] } = { tokens: 0, buffers: [] };
  private readonly buffers = new Set<GPUBuffer>();

  constructor(
    private readonly ort: typeof Ort,
    private readonly device: GPUDevice,
    layers: readonly RollbackLayer[],
    private readonly span: number,
  ) {
    this.identity = this.buffer(Math.max(1, ...layers.flatMap(({ inputs }) => inputs.map(({ width }) => width))));
    this.layers = layers.map(({ state, inputs, window }): Layer => ({
      shape: state.shape,
      bytes: FLOAT * state.elements,
      names: state,
      checkpoint: this.buffer(state.elements),
      spare: this.buffer(state.elements),
      work: null,
      workNext: null,
      inputs: inputs.map((rows) => ({ ...rows, current: this.buffer(span * rows.width), next: this.buffer(span * rows.width), passing: null })),
      window: window && {
        ...window,
        base: this.buffer(window.rows * window.width),
        baseNext: this.buffer(window.rows * window.width),
        own: this.buffer(span * window.width),
        work: null,
        passing: null,
      },
      snapshot: null,
    }));
  }

  /** The tensors of a pass over `count` tokens; `done` must be called when it was submitted. */
  bind(count: number, { tentative, more }: PassKind): { feeds: Tensors; fetches: Tensors; done: () => void } {
    const first = this.written === 0;
    if (!first && !tentative) throw new Error("Tentative tokens must be kept or taken back first.");
    if (!tentative) this.reserveScratch(count);
    const [feeds, fetches]: [Tensors, Tensors] = [{}, {}];
    this.encode((encoder) => {
      this.layers.forEach((layer, index) => {
        const { names, window } = layer;
        feeds[names.input] = this.tensor(first ? layer.checkpoint : layer.work!, layer.shape);
        for (const rows of layer.inputs) {
          const replayed = first ? this.kept : 0;
          feeds[rows.input] = this.tensor(replayed > 0 ? rows.current : this.identity, [1, Math.max(1, replayed), rows.width]);
          if (!first) rows.passing ??= this.buffer(this.span * rows.width);
          if (tentative) fetches[rows.output] = this.tensor(first ? rows.next : rows.passing!, [1, count, rows.width]);
        }
        if (tentative && first) fetches[names.replayed] = this.tensor(layer.spare, layer.shape);
        if (!tentative) fetches[names.output] = this.tensor(layer.spare, layer.shape);
        else if (more || !first) {
          layer.work ??= this.buffer(names.elements);
          layer.workNext ??= this.buffer(names.elements);
          fetches[names.output] = this.tensor(layer.workNext, layer.shape);
        }
        if (window) this.bindWindow(window, encoder, { first, tentative, count, scratch: this.scratch.buffers[index], feeds, fetches });
      });
    });
    return { feeds, fetches, done: () => this.advance(count, tentative, more) };
  }

  private bindWindow(
    window: Window,
    encoder: GPUCommandEncoder,
    { first, tentative, count, scratch, feeds, fetches }: { first: boolean; tentative: boolean; count: number; scratch: GPUBuffer | undefined; feeds: Tensors; fetches: Tensors },
  ): void {
    if (first) {
      this.slide(encoder, window, this.kept, window.own, window.baseNext);
      [window.base, window.baseNext] = [window.baseNext, window.base];
    } else {
      window.work ??= this.buffer(window.rows * window.width);
      window.passing ??= this.buffer(this.span * window.width);
      this.slide(encoder, window, this.written, window.own, window.work);
    }
    feeds[window.input] = this.tensor(first ? window.base : window.work!, [1, window.rows, window.width]);
    const into = !tentative ? scratch! : first ? window.own : window.passing!;
    fetches[window.output] = this.tensor(into, [1, count, window.width]);
  }

  /** Writes to `to` the rows before the token `count` places behind the span's begin, whose own rows are `own`. */
  private slide(encoder: GPUCommandEncoder, { rows, width, base }: Window, count: number, own: GPUBuffer, to: GPUBuffer): void {
    const row = FLOAT * width;
    const old = Math.max(0, rows - count);
    if (old > 0) encoder.copyBufferToBuffer(base, row * (rows - old), to, 0, row * old);
    if (old < rows) encoder.copyBufferToBuffer(own, row * (count - rows + old), to, row * old, row * (rows - old));
  }

  private advance(count: number, tentative: boolean, more: boolean): void {
    const first = this.written === 0;
    this.encode((encoder) => {
      this.layers.forEach((layer, index) => {
        const { window } = layer;
        if (first) {
          [layer.checkpoint, layer.spare] = [layer.spare, layer.checkpoint];
          if (tentative) for (const rows of layer.inputs) [rows.current, rows.next] = [rows.next, rows.current];
          if (window && !tentative) {
            this.slide(encoder, window, count, this.scratch.buffers[index]!, window.baseNext);
            [window.base, window.baseNext] = [window.baseNext, window.base];
          }
        } else {
          const parts = [...layer.inputs.map(({ passing, current, width }) => [passing, current, width] as const), ...(window ? [[window.passing, window.own, window.width] as const] : [])];
          for (const [from, to, width] of parts) if (from) encoder.copyBufferToBuffer(from, 0, to, FLOAT * width * this.written, FLOAT * width * count);
        }
        if (tentative && (more || !first)) [layer.work, layer.workNext] = [layer.workNext, layer.work];
      });
    });
    if (first) this.kept = 0;
    if (tentative) this.written += count;
  }

  keep(count: number): void {
    if (count < 0 || count > this.written) throw new Error(`${count} of ${this.written} tentative tokens cannot be kept.`);
    this.kept = count;
    this.written = 0;
  }

  reset(): void {
    this.kept = this.written = 0;
    this.encode((encoder) => {
      for (const { checkpoint, window } of this.layers) {
        encoder.clearBuffer(checkpoint);
        if (window) encoder.clearBuffer(window.base);
      }
    });
  }

  /** Only right after a pass for good: the checkpoint is then the state. */
  save(): void {
    if (this.kept + this.written > 0) throw new Error("There are tokens that the checkpoint does not hold yet.");
    this.encode((encoder) => {
      for (const layer of this.layers) {
        const { checkpoint, window, names } = layer;
        layer.snapshot ??= { state: this.buffer(names.elements), window: window && this.buffer(window.rows * window.width) };
        copyAll(encoder, checkpoint, layer.snapshot.state);
        if (window && layer.snapshot.window) copyAll(encoder, window.base, layer.snapshot.window);
      }
    });
  }

  restore(): void {
    this.kept = this.written = 0;
    this.encode((encoder) => {
      for (const { checkpoint, window, snapshot } of this.layers) {
        if (!snapshot) throw new Error("There is no snapshot.");
        copyAll(encoder, snapshot.state, checkpoint);
        if (window && snapshot.window) copyAll(encoder, snapshot.window, window.base);
      }
    });
  }

  memory(): { checkpointBytes: number; inputBytes: number; snapshotBytes: number; reservedBytes: number } {
    const total = (of: (layer: Layer) => number): number => this.layers.reduce((sum, layer) => sum + of(layer), 0);
    const windowBytes = ({ window }: Layer): number => (window ? FLOAT * window.rows * window.width : 0);
    return {
      checkpointBytes: total(({ bytes }) => bytes),
      inputBytes: total((layer) => windowBytes(layer) + this.span * FLOAT * [...layer.inputs, ...(layer.window ? [layer.window] : [])].reduce((sum, { width }) => sum + width, 0)),
      snapshotBytes: total((layer) => (layer.snapshot ? layer.bytes + windowBytes(layer) : 0)),
      reservedBytes: [...this.buffers].reduce((sum, { size }) => sum + size, 0),
    };
  }

  dispose(): void {
    for (const buffer of this.buffers) buffer.destroy();
    this.buffers.clear();
  }

  private reserveScratch(tokens: number): void {
    if (tokens <= this.scratch.tokens) return;
    for (const buffer of this.scratch.buffers) {
      this.buffers.delete(buffer);
      buffer.destroy(); // submitted copies still complete
    }
    this.scratch = { tokens, buffers: this.layers.map(({ window }) => this.buffer(window ? tokens * window.width : 1)) };
  }

  private tensor(buffer: GPUBuffer, dims: readonly number[]): Ort.Tensor {
    return this.ort.Tensor.fromGpuBuffer(buffer, { dataType: "float32", dims });
  }

  private buffer(elements: number): GPUBuffer {
    const size = Math.ceil((FLOAT * elements) / 16) * 16;
    const buffer = this.device.createBuffer({ size, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST });
    this.buffers.add(buffer);
    return buffer;
  }

  private encode(work: (encoder: GPUCommandEncoder) => void): void {
    const encoder = this.device.createCommandEncoder();
    work(encoder);
    this.device.queue.submit([encoder.finish()]);
  }
}

const copyAll = (encoder: GPUCommandEncoder, from: GPUBuffer, to: GPUBuffer): void => encoder.copyBufferToBuffer(from, 0, to, 0, Math.min(from.size, to.size));
