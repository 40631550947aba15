/** One text as the teacher read it, and as the hybrid that was compared last. */
import { Distributions, divergence } from "@/lib/evaluation/distributions";
import { rotaryTables } from "@/lib/onnx/attention";
import { HIDDEN, MIXED, NEXT } from "@/lib/onnx/parts";
import { COSINE, MASK, SINE } from "@/lib/onnx/parts-attention";
import { INPUT_IDS, LOGITS } from "@/lib/onnx/plan";
import type { Manifest } from "@/lib/weights/manifest";
import type { Call } from "./call";
import type { Device, DeviceTensor, Feeds } from "./device";
import type { PartStore } from "./part-store";

const ATTENTION = "attention";
/** Positions whose logits are held at a time. */
const HEAD_CHUNK = 64;
/** The teacher's logits are kept up to this size; beyond, each comparison computes them again. */
const KEPT_LOGITS_BYTES = 128 * 2 ** 20;

/** Hidden states of a hybrid: `hidden[i]` is layer i's input; those that are the teacher's belong to it. */
type Trace = { specs: string[]; hidden: DeviceTensor[] };

export class Reading {
  readonly teacher: Distributions;
  private readonly hidden: DeviceTensor[] = [];
  private trace: Trace = { specs: [], hidden: [] };
  private readonly shared: DeviceTensor[] = [];
  private readonly mixed: DeviceTensor;
  private readonly attentionInputs: Feeds;
  private logits: Float32Array<ArrayBuffer> | null = null;
  private disposed = false;

  private constructor(
    private readonly device: Device,
    private readonly parts: PartStore,
    private readonly manifest: Manifest,
    readonly tokens: readonly number[],
  ) {
    const { architecture } = manifest;
    const count = tokens.length;
    this.teacher = new Distributions(tokens);
    const { cosine, sine } = rotaryTables(architecture, count);
    const half = [count, 1, architecture.head_dim / 2];
    const keep = (tensor: DeviceTensor): DeviceTensor => (this.shared.push(tensor), tensor);
    this.attentionInputs = {
      [COSINE]: keep(device.floats(half, cosine)),
      [SINE]: keep(device.floats(half, sine)),
      [MASK]: keep(device.floats([count, count], causalMask(count))),
    };
    this.mixed = keep(this.hiddenState());
  }

  /** Reads a text with the teacher. On failure nothing is left on the device. */
  static async read(device: Device, parts: PartStore, manifest: Manifest, tokens: readonly number[], call: Call): Promise<Reading> {
    const reading = new Reading(device, parts, manifest, tokens);
    try {
      await reading.readTeacher(call);
      return reading;
    } catch (error) {
      reading.dispose();
      throw error;
    }
  }

  get layers(): number {
    return this.manifest.architecture.num_hidden_layers;
  }

  /** The teacher's hidden state at the input of `layer` (or after the last one). */
  teacherInput(layer: number): DeviceTensor {
    this.check();
    return this.hidden[layer] ?? outOfRange(layer);
  }

  /**
   * Brings the trace to the hybrid `layers` and returns the first layer that was computed again. What was computed before a failure or a
   * cancellation stays, and is a valid trace of fewer layers.
   */
  async follow(layers: readonly string[], call: Call): Promise<number> {
    const same = commonPrefix(this.trace.specs, layers);
    const teacher = commonPrefix(new Array<string>(layers.length).fill(ATTENTION), layers);
    const from = Math.max(same, teacher);
    if (teacher >= same) {
      this.cut(0);
      this.trace = { specs: layers.slice(0, teacher), hidden: this.hidden.slice(0, teacher + 1) };
    } else this.cut(same);
    const total = layers.length - from + 1;
    for (let layer = from; layer < layers.length; layer++) {
      call.onProgress?.({ phase: "layers", done: layer - from, total, unit: "layers", message: `Layer ${layer + 1} of ${layers.length}` });
      await call.checkpoint();
      const spec = layers[layer]!;
      const next = await this.layer(layer, spec, this.trace.hidden[layer]!);
      this.trace.specs.push(spec);
      this.trace.hidden.push(next);
    }
    call.onProgress?.({ phase: "layers", done: total - 1, total, unit: "layers", message: "Predictions" });
    return from;
  }

  /** The distributions that follow from the trace's last hidden state, and KL(teacher || student) at each position. */
  compareTrace(call: Call): Promise<{ student: Distributions; kl: Float32Array }> {
    return this.compare(this.trace.hidden[this.layers] ?? outOfRange(this.layers), call);
  }

  /** The same for the teacher with one layer replaced, without touching the trace. */
  async compareReplaced(layer: number, spec: string, call: Call): Promise<{ student: Distributions; kl: Float32Array }> {
    let hidden = this.teacherInput(layer);
    const release = (): void => {
      if (!this.hidden.includes(hidden)) hidden.free();
    };
    try {
      for (let index = layer; index < this.layers; index++) {
        await call.checkpoint();
        const next = await this.layer(index, index === layer ? spec : ATTENTION, hidden);
        release();
        hidden = next;
      }
      return await this.compare(hidden, call);
    } finally {
      release();
    }
  }

  /** Runs a layer's mixer on the teacher's hidden state; `outputs` are those of the part. */
  mix(layer: number, spec: string, outputs: Feeds): Promise<void> {
    return this.runMixer(layer, spec, this.teacherInput(layer), outputs);
  }

  /** A new hidden state (1, T, D), owned by the caller. */
  hiddenState(): DeviceTensor {
    return this.device.zeros([1, this.tokens.length, this.manifest.architecture.hidden_size]);
  }

  dispose(): void {
    this.disposed = true;
    this.cut(0);
    for (const tensor of [...this.hidden, ...this.shared]) tensor.free();
    this.logits = null;
  }

  private async readTeacher(call: Call): Promise<void> {
    const { layers } = this;
    const progress = (done: number, message: string): void =>
      call.onProgress?.({ phase: "teacher", done, total: layers + 1, unit: "layers", message });
    const ids = this.device.ids(this.tokens);
    const first = this.hiddenState();
    this.hidden.push(first);
    try {
      await this.parts.run({ kind: "embed" }, { [INPUT_IDS]: ids }, { [HIDDEN]: first });
    } finally {
      ids.free();
    }
    for (let layer = 0; layer < layers; layer++) {
      progress(layer, `Teacher, layer ${layer + 1} of ${layers}`);
      await call.checkpoint();
      this.hidden.push(await this.layer(layer, ATTENTION, this.teacherInput(layer)));
    }
    progress(layers, "Teacher's predictions");
    const width = this.manifest.architecture.vocab_size;
    if (4 * this.tokens.length * width <= KEPT_LOGITS_BYTES) this.logits = new Float32Array(this.tokens.length * width);
    await this.eachLogits(this.teacherInput(layers), call, (begin, rows) => {
      this.logits?.set(rows, begin * width);
      for (let row = 0; row * width < rows.length; row++) this.teacher.set(begin + row, rows.subarray(row * width, (row + 1) * width));
    });
    this.trace = { specs: [], hidden: this.hidden.slice(0, 1) };
  }

  /** A sweep that stepped aside may find its text replaced. */
  private check(): void {
    if (this.disposed) throw new DOMException("The text was replaced.", "AbortError");
  }

  /** The next layer's input: a new tensor. */
  private async layer(layer: number, spec: string, input: DeviceTensor): Promise<DeviceTensor> {
    this.check();
    const next = this.hiddenState();
    try {
      await this.runMixer(layer, spec, input, { [MIXED]: this.mixed });
      await this.parts.run({ kind: "mlp", layer, spec }, { [HIDDEN]: input, [MIXED]: this.mixed }, { [NEXT]: next });
      return next;
    } catch (error) {
      next.free();
      throw error;
    }
  }

  private runMixer(layer: number, spec: string, input: DeviceTensor, outputs: Feeds): Promise<void> {
    const inputs = { [HIDDEN]: input, ...(spec === ATTENTION ? this.attentionInputs : {}) };
    return this.parts.run({ kind: "mixer", layer, spec }, inputs, outputs);
  }

  private async compare(last: DeviceTensor, call: Call): Promise<{ student: Distributions; kl: Float32Array }> {
    const student = new Distributions(this.tokens);
    const kl = new Float32Array(this.tokens.length);
    const width = this.manifest.architecture.vocab_size;
    const take = (begin: number, own: Float32Array, teacher: Float32Array): void => {
      for (let row = 0; row * width < own.length; row++) {
        const [mine, theirs] = [own, teacher].map((all) => all.subarray(row * width, (row + 1) * width)) as [Float32Array, Float32Array];
        const position = begin + row;
        student.set(position, mine);
        kl[position] = divergence(theirs, this.teacher.logNormaliser[position]!, mine, student.logNormaliser[position]!);
      }
    };
    await this.eachLogits(last, call, async (begin, rows) => {
      if (this.logits) return take(begin, rows, this.logits.subarray(begin * width, begin * width + rows.length));
      const own = rows.slice(); // the teacher's pass may move the memory that they lie in
      await this.someLogits(this.teacherInput(this.layers), begin, rows.length / width, (teacher) => take(begin, own, teacher));
    });
    return { student, kl };
  }

  private async eachLogits(hidden: DeviceTensor, call: Call, take: (begin: number, rows: Float32Array) => void | Promise<void>): Promise<void> {
    for (let begin = 0; begin < this.tokens.length; begin += HEAD_CHUNK) {
      await call.checkpoint();
      await this.someLogits(hidden, begin, Math.min(HEAD_CHUNK, this.tokens.length - begin), (rows) => take(begin, rows));
    }
  }

  /** Logits at `count` positions; `take` must not keep them. */
  private async someLogits(hidden: DeviceTensor, begin: number, count: number, take: (logits: Float32Array) => void | Promise<void>): Promise<void> {
    this.check();
    const rows = this.device.rows(hidden, begin, count);
    const logits = this.device.zeros([1, count, this.manifest.architecture.vocab_size]);
    try {
      await this.parts.run({ kind: "head" }, { [HIDDEN]: rows }, { [LOGITS]: logits });
      await take(await this.device.read(logits));
    } finally {
      rows.free();
      logits.free();
    }
  }

  /** Leaves the first `length` layers of the trace. */
  private cut(length: number): void {
    const { specs, hidden } = this.trace;
    for (const tensor of hidden.slice(length + 1)) if (!this.hidden.includes(tensor)) tensor.free();
    this.trace = { specs: specs.slice(0, length), hidden: hidden.slice(0, length + 1) };
  }
}

/** Added to the scores: its exponential is zero. Finite, since shaders need not respect infinities. */
function causalMask(count: number): Float32Array<ArrayBuffer> {
  const mask = new Float32Array(count * count);
  for (let t = 0; t < count; t++) mask.fill(-1e30, t * count + t + 1, (t + 1) * count);
  return mask;
}

function commonPrefix(a: readonly string[], b: readonly string[]): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length++;
  return length;
}

function outOfRange(layer: number): never {
  throw new Error(`There is no hidden state of layer ${layer}.`);
}
