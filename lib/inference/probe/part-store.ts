/** The parts of one family, each opened when it is first used. */
import { parseLayerSpec } from "@/lib/hybrid/config";
import { createExpander, type StoredTensor } from "@/lib/onnx/expand";
import type { MatrixFormat } from "@/lib/onnx/linear";
import { buildPart, type Part, partName } from "@/lib/onnx/parts";
import type { GraphPlan, Initialiser, StateTensor, WeightSource } from "@/lib/onnx/plan";
import type { Manifest } from "@/lib/weights/manifest";
import type { Device, DeviceTensor, Feeds, PartSession } from "./device";

/** Reads a tensor as the bundle stores it; `set` is the mixer set of the tensor's layer, null for the base's own. */
export type TensorReader = (set: string | null, name: string) => Promise<StoredTensor>;

type Opened = { readonly session: PartSession; readonly state: Feeds };

export class PartStore {
  private readonly opened = new Map<string, Opened>();
  /** Zeros by shape, for the empty states that Mamba mixers start from. */
  private readonly zeros = new Map<string, DeviceTensor>();
  weightBytes = 0;

  constructor(
    private readonly device: Device,
    private readonly manifest: Manifest,
    private readonly format: MatrixFormat,
    private readonly read: TensorReader,
  ) {}

  has(part: Part): boolean {
    return this.opened.has(partName(this.manifest, part));
  }

  /** Opens a part, if it is not: its weights are read, expanded and handed to the device. `onBytes` hears of expanded bytes. */
  async open(part: Part, onBytes?: (bytes: number) => void): Promise<void> {
    const name = partName(this.manifest, part);
    if (this.opened.has(name)) return;
    const plan = buildPart(this.manifest, part, { format: this.format });
    const set = "spec" in part ? parseLayerSpec(part.spec).set : null;
    const tensors = new Map<string, StoredTensor>();
    for (const tensor of tensorsOf(plan)) tensors.set(tensor, await this.read(set, tensor));
    const expand = createExpander((tensor) => tensors.get(tensor) ?? missing(tensor));
    const session = await this.device.open(plan, (initialiser: Initialiser) => {
      onBytes?.(initialiser.bytes);
      return expand(initialiser);
    });
    this.weightBytes += plan.weightBytes;
    this.opened.set(name, { session, state: Object.fromEntries(plan.state.map((state) => [state.input, this.emptyState(state)])) });
  }

  /** Runs a part, which is opened first if need be. */
  async run(part: Part, inputs: Feeds, outputs: Feeds): Promise<void> {
    await this.open(part);
    const { session, state } = this.opened.get(partName(this.manifest, part))!;
    await session.run({ ...inputs, ...state }, outputs);
  }

  async dispose(): Promise<void> {
    for (const { session } of this.opened.values()) await session.dispose();
    for (const tensor of this.zeros.values()) tensor.free();
    this.opened.clear();
    this.zeros.clear();
  }

  private emptyState({ shape }: StateTensor): DeviceTensor {
    const sizes = shape.map(Number);
    const known = this.zeros.get(sizes.join()) ?? this.device.zeros(sizes);
    this.zeros.set(sizes.join(), known);
    return known;
  }
}

/** Bytes that a part's weights take on the device. */
export function partBytes(manifest: Manifest, part: Part, format: MatrixFormat): number {
  return buildPart(manifest, part, { format }).weightBytes;
}

function tensorsOf(plan: GraphPlan): Set<string> {
  const names = ({ source }: { source: WeightSource }): readonly string[] => {
    if (source.kind === "data") return [];
    return source.kind === "vector" ? [source.tensor] : source.tensors;
  };
  return new Set(plan.initialisers.flatMap(names));
}

function missing(name: string): never {
  throw new Error(`The tensor "${name}" was not read.`);
}
