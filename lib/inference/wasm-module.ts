/**
 * The C interface of onnxruntime-web's WebAssembly module, as far as this project drives it itself.
 *
 * The package's own session object copies every input into the heap and every output out of it, at each run. For a decoder that
 * carries its state, that is the whole key/value cache twice a token: at 1000 tokens of context it takes longer than the
 * arithmetic. Driving the module directly keeps the state where it is.
 */
import { OutOfMemoryError, RuntimeError } from "./errors";

/** What the module of `ort-wasm-simd-threaded.mjs` offers (onnxruntime-web 1.30, `lib/wasm/wasm-types.ts`). */
export interface OrtWasmModule {
  readonly HEAPU8: Uint8Array<ArrayBuffer>;
  readonly PTR_SIZE: number;
  _malloc(bytes: number): number;
  _free(pointer: number): void;
  stackSave(): number;
  stackRestore(stack: number): void;
  stackAlloc(bytes: number): number;
  getValue(pointer: number, type: string): number;
  setValue(pointer: number, value: number, type: string): void;
  UTF8ToString(pointer: number): string;
  lengthBytesUTF8(text: string): number;
  stringToUTF8(text: string, pointer: number, bytes: number): void;
  mountExternalData(path: string, data: ExternalData): void;
  unmountExternalData(): void;
  _OrtInit(threads: number, loggingLevel: number): number;
  _OrtGetLastError(code: number, message: number): number;
  _OrtCreateSessionOptions(
    optimisation: number,
    arena: boolean,
    memoryPattern: boolean,
    mode: number,
    profiling: boolean,
    profilePrefix: number,
    logId: number,
    logSeverity: number,
    logVerbosity: number,
    optimisedPath: number,
  ): number;
  _OrtAddSessionConfigEntry(options: number, key: number, value: number): number;
  _OrtReleaseSessionOptions(options: number): number;
  _OrtCreateSession(data: number, bytes: number, options: number): number | Promise<number>;
  _OrtReleaseSession(session: number): number;
  _OrtCreateTensor(type: number, data: number, bytes: number, dims: number, rank: number, location: number): number;
  _OrtReleaseTensor(tensor: number): number;
  _OrtRun(
    session: number,
    inputNames: number,
    inputs: number,
    inputCount: number,
    outputNames: number,
    outputCount: number,
    outputs: number,
    options: number,
  ): number | Promise<number>;
}

/** What the module reads of a mounted file: it need not exist before it is asked for. */
export type ExternalData = { readonly byteLength: number; subarray(begin: number, end: number): Uint8Array };

export type OrtWasmFactory = (config: { numThreads: number; locateFile?: (file: string) => string }) => Promise<OrtWasmModule>;

const LOG_ERRORS = 3;
const ALL_OPTIMISATIONS = 99;
const LOCATION_CPU = 1;
const TYPE = { float32: 1, uint8: 2, int32: 6, int64: 7 } as const;
export type HeapTensorType = keyof typeof TYPE;

export type SessionSource = {
  readonly model: Uint8Array;
  /** External data by path. */
  readonly files: ReadonlyMap<string, ExternalData>;
  /** ONNX Runtime's session configuration entries. */
  readonly config?: Readonly<Record<string, string>>;
  /** Keeps freed memory for the session's next run. Many sessions do better without: each would keep its own. Default true. */
  readonly arena?: boolean;
};

/** A thin, typed hold on the module: memory, tensors on that memory, sessions. Throws RuntimeError and OutOfMemoryError. */
export class OrtWasm {
  private constructor(private readonly module: OrtWasmModule) {}

  static async start(factory: OrtWasmFactory, threads: number, locateFile?: (file: string) => string): Promise<OrtWasm> {
    const module = await factory({ numThreads: threads, ...(locateFile ? { locateFile } : {}) });
    const runtime = new OrtWasm(module);
    runtime.check(module._OrtInit(threads, LOG_ERRORS), "start the WebAssembly runtime");
    return runtime;
  }

  /** Bytes of the WebAssembly heap. It grows, and never shrinks. */
  get heapBytes(): number {
    return this.heap().byteLength;
  }

  /** Zeroed memory. */
  allocate(bytes: number): number {
    const pointer = this.module._malloc(Math.max(bytes, 16));
    if (pointer === 0) throw new OutOfMemoryError(bytes, this.heapBytes);
    this.heap().fill(0, pointer, pointer + bytes);
    return pointer;
  }

  free(pointer: number): void {
    this.module._free(pointer);
  }

  /** A view of heap memory; it dies when the heap grows, so it must not be kept over a run or an allocation. */
  bytes(pointer: number, bytes: number): Uint8Array<ArrayBuffer> {
    return this.heap().subarray(pointer, pointer + bytes);
  }

  floats(pointer: number, count: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.heap().buffer, pointer, count);
  }

  copy(from: number, to: number, bytes: number): void {
    this.heap().copyWithin(to, from, from + bytes);
  }

  /** A tensor on heap memory that the caller owns. */
  tensor(type: HeapTensorType, pointer: number, bytes: number, shape: readonly number[]): number {
    const { module } = this;
    const stack = module.stackSave();
    try {
      const dims = module.stackAlloc(4 * shape.length);
      shape.forEach((size, index) => module.setValue(dims + 4 * index, size, "i32"));
      const handle = module._OrtCreateTensor(TYPE[type], pointer, bytes, dims, shape.length, LOCATION_CPU);
      if (handle === 0) this.fail("create a tensor");
      return handle;
    } finally {
      module.stackRestore(stack);
    }
  }

  releaseTensor(handle: number): void {
    this.module._OrtReleaseTensor(handle);
  }

  async createSession({ model, files, config = {}, arena = true }: SessionSource): Promise<number> {
    const { module } = this;
    const allocations: number[] = [];
    const text = (value: string): number => {
      const pointer = this.string(value);
      allocations.push(pointer);
      return pointer;
    };
    let options = 0;
    try {
      options = module._OrtCreateSessionOptions(ALL_OPTIMISATIONS, arena, arena, 0, false, 0, text("mambascope"), LOG_ERRORS, 0, 0);
      if (options === 0) this.fail("create session options");
      for (const [key, value] of Object.entries(config)) {
        this.check(module._OrtAddSessionConfigEntry(options, text(key), text(value)), `set ${key}`);
      }
      for (const [path, data] of files) module.mountExternalData(path, data);
      const pointer = this.allocate(model.byteLength);
      allocations.push(pointer);
      this.bytes(pointer, model.byteLength).set(model);
      const session = await module._OrtCreateSession(pointer, model.byteLength, options);
      if (session === 0) this.fail("create the session");
      return session;
    } catch (error) {
      throw this.translate(error);
    } finally {
      module.unmountExternalData();
      if (options !== 0) module._OrtReleaseSessionOptions(options);
      for (const pointer of allocations) this.free(pointer);
    }
  }

  releaseSession(session: number): void {
    this.module._OrtReleaseSession(session);
  }

  /** A NUL-terminated string on the heap, owned by the caller. */
  string(value: string): number {
    const bytes = this.module.lengthBytesUTF8(value) + 1;
    const pointer = this.allocate(bytes);
    this.module.stringToUTF8(value, pointer, bytes);
    return pointer;
  }

  /** Runs a session; names are strings on the heap, values tensors, outputs bound to memory that the caller owns. */
  async run(session: number, inputs: readonly NamedTensor[], outputs: readonly NamedTensor[]): Promise<void> {
    const { module } = this;
    const stack = module.stackSave();
    try {
      const pointers = (values: readonly number[]): number => {
        const array = module.stackAlloc(4 * values.length);
        values.forEach((value, index) => module.setValue(array + 4 * index, value, "*"));
        return array;
      };
      const code = await module._OrtRun(
        session,
        pointers(inputs.map(({ name }) => name)),
        pointers(inputs.map(({ tensor }) => tensor)),
        inputs.length,
        pointers(outputs.map(({ name }) => name)),
        outputs.length,
        pointers(outputs.map(({ tensor }) => tensor)),
        0,
      );
      this.check(code, "run the model");
    } catch (error) {
      throw this.translate(error);
    } finally {
      module.stackRestore(stack);
    }
  }

  private heap(): Uint8Array<ArrayBuffer> {
    this.module.getValue(0, "i8"); // makes the module renew its views if another thread grew the heap
    return this.module.HEAPU8;
  }

  private check(code: number, doing: string): void {
    if (code !== 0) this.fail(doing);
  }

  private fail(doing: string): never {
    const { module } = this;
    const stack = module.stackSave();
    try {
      const parameters = module.stackAlloc(8);
      module._OrtGetLastError(parameters, parameters + 4);
      const message = module.getValue(parameters + 4, "*");
      throw this.translate(new RuntimeError(`The runtime could not ${doing}: ${message ? module.UTF8ToString(message) : "no reason given"}`));
    } finally {
      module.stackRestore(stack);
    }
  }

  /** The module says "out of memory" in several ways. */
  private translate(error: unknown): unknown {
    if (error instanceof OutOfMemoryError) return error;
    const text = error instanceof Error ? error.message : String(error);
    const full = /bad_alloc|out of memory|cannot enlarge memory|allocation failed|failed to allocate|OOM/i.test(text);
    return full || error instanceof RangeError ? new OutOfMemoryError(null, this.heapBytes, { cause: error }) : error;
  }
}

export type NamedTensor = { readonly name: number; readonly tensor: number };
