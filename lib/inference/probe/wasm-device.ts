/** Parts on WebAssembly, with all tensors in the module's heap. */
import type { GraphPlan, Initialiser } from "@/lib/onnx/plan";
import { lazyFiles } from "../external-files";
import type { NamedTensor, OrtWasm } from "../wasm-module";
import { type Device, type DeviceTensor, elements, type Feeds, type PartSession } from "./device";

class HeapTensor implements DeviceTensor {
  private freed = false;
  constructor(
    private readonly runtime: OrtWasm,
    readonly shape: readonly number[],
    readonly type: "float32" | "int64",
    readonly pointer: number,
    private readonly owned: boolean,
  ) {}

  get bytes(): number {
    return elements(this.shape) * (this.type === "float32" ? 4 : 8);
  }

  free(): void {
    if (this.owned && !this.freed) this.runtime.free(this.pointer);
    this.freed = true;
  }
}

const heap = (tensor: DeviceTensor): HeapTensor => {
  if (!(tensor instanceof HeapTensor)) throw new Error("A tensor of another device.");
  return tensor;
};

export class WasmDevice implements Device {
  readonly provider = "wasm";
  private readonly names = new Map<string, number>();

  constructor(private readonly runtime: OrtWasm) {}

  get heapBytes(): number {
    return this.runtime.heapBytes;
  }

  async open(plan: GraphPlan, expand: (initialiser: Initialiser) => Uint8Array): Promise<PartSession> {
    const { runtime } = this;
    const session = await runtime.createSession({ model: plan.model, files: lazyFiles(plan, expand), arena: false });
    return {
      weightBytes: plan.weightBytes,
      run: async (inputs, outputs) => {
        const [from, to] = [this.bind(inputs), this.bind(outputs)];
        try {
          await runtime.run(session, from, to);
        } finally {
          for (const { tensor } of [...from, ...to]) runtime.releaseTensor(tensor);
        }
      },
      dispose: () => Promise.resolve(runtime.releaseSession(session)),
    };
  }

  zeros(shape: readonly number[]): DeviceTensor {
    return this.allocate("float32", shape);
  }

  floats(shape: readonly number[], data: Float32Array<ArrayBuffer>): DeviceTensor {
    const tensor = this.allocate("float32", shape);
    this.runtime.floats(tensor.pointer, data.length).set(data);
    return tensor;
  }

  ids(tokens: readonly number[]): DeviceTensor {
    const tensor = this.allocate("int64", [1, tokens.length]);
    const { buffer, byteOffset } = this.runtime.bytes(tensor.pointer, tensor.bytes);
    new BigInt64Array(buffer, byteOffset, tokens.length).set(tokens.map(BigInt));
    return tensor;
  }

  rows(tensor: DeviceTensor, begin: number, count: number): DeviceTensor {
    const { pointer, shape } = heap(tensor);
    const width = shape.at(-1) ?? 1;
    return new HeapTensor(this.runtime, [1, count, width], "float32", pointer + 4 * begin * width, false);
  }

  read(tensor: DeviceTensor): Promise<Float32Array> {
    const { pointer, shape } = heap(tensor);
    return Promise.resolve(this.runtime.floats(pointer, elements(shape)));
  }

  dispose(): Promise<void> {
    for (const name of this.names.values()) this.runtime.free(name);
    this.names.clear();
    return Promise.resolve();
  }

  private allocate(type: "float32" | "int64", shape: readonly number[]): HeapTensor {
    const bytes = elements(shape) * (type === "float32" ? 4 : 8);
    return new HeapTensor(this.runtime, shape, type, this.runtime.allocate(bytes), true);
  }

  private bind(tensors: Feeds): NamedTensor[] {
    return Object.entries(tensors).map(([name, tensor]) => {
      const { type, pointer, bytes, shape } = heap(tensor);
      return { name: this.name(name), tensor: this.runtime.tensor(type, pointer, bytes, shape) };
    });
  }

  private name(text: string): number {
    const known = this.names.get(text) ?? this.runtime.string(text);
    this.names.set(text, known);
    return known;
  }
}
