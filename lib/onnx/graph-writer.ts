/** Collects nodes, inputs, outputs and initialisers, and serialises them as an ONNX ModelProto (onnx.proto3 field numbers). */
import { BYTES_PER_ELEMENT, type Dimension, type Initialiser, type TensorType, type ValueInfo, type WeightSource } from "./plan";
import { ProtoWriter } from "./protobuf";

const IR_VERSION = 10;
const OPSET = 21;
const CONTRIB_OPSET = 1;
export const CONTRIB = "com.microsoft";

/** onnx.TensorProto.DataType */
const DATA_TYPE: Readonly<Record<TensorType, number>> = { float32: 1, uint8: 2, int32: 6, int64: 7 };
/** onnx.AttributeProto.AttributeType */
const ATTRIBUTE = { float: 1, int: 2, string: 3, ints: 7 } as const;

/** A node's attribute. Floats are marked, since a whole number could be either type and operators insist on theirs. */
export type Attribute = number | string | readonly number[] | { readonly float: number };

export class GraphWriter {
  readonly inputs: ValueInfo[] = [];
  readonly outputs: ValueInfo[] = [];
  private readonly nodes: ProtoWriter[] = [];
  private readonly initialisers = new Map<string, Initialiser>();

  input(name: string, type: TensorType, shape: readonly Dimension[]): string {
    this.inputs.push({ name, type, shape });
    return name;
  }

  output(name: string, type: TensorType, shape: readonly Dimension[]): string {
    this.outputs.push({ name, type, shape });
    return name;
  }

  /** Adds a weight, once: a second call with the same name shares the first. */
  weight(name: string, type: TensorType, shape: readonly number[], source: WeightSource): string {
    const known = this.initialisers.get(name);
    if (known && known.shape.join() !== shape.join()) throw new Error(`Initialiser "${name}" was added with another shape.`);
    const bytes = shape.reduce((product, size) => product * size, BYTES_PER_ELEMENT[type]);
    if (!known) this.initialisers.set(name, { name, type, shape, bytes, source });
    return name;
  }

  /** A constant int64 vector, such as a shape. */
  shape(values: readonly number[]): string {
    const data = BigInt64Array.from(values, BigInt);
    return this.weight(`int64_${values.join("_").replaceAll("-", "m")}`, "int64", [values.length], { kind: "data", data });
  }

  /** Adds a node; an empty input name leaves an optional input out. Returns the first output's name. */
  node(
    operator: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = "",
  ): string {
    const [first] = outputs;
    if (first === undefined) throw new Error(`Node ${operator} has no output.`);
    const node = new ProtoWriter();
    for (const input of inputs) node.string(1, input);
    for (const output of outputs) node.string(2, output);
    node.string(3, `${first}/${operator}`).string(4, operator);
    for (const [name, value] of Object.entries(attributes)) node.message(5, attributeProto(name, value));
    if (domain) node.string(7, domain);
    this.nodes.push(node);
    return first;
  }

  /** Puts the node added last before all others; the runtime sorts nodes itself, but works on weights in the order of the file. */
  lastNodeFirst(): void {
    const last = this.nodes.pop();
    if (last) this.nodes.unshift(last);
  }

  get nodeCount(): number {
    return this.nodes.length;
  }

  get weights(): readonly Initialiser[] {
    return [...this.initialisers.values()];
  }

  /** The serialised model. Small computed constants are inside; every other initialiser is an external file of its own name. */
  serialise(): Uint8Array<ArrayBuffer> {
    const graph = new ProtoWriter();
    for (const node of this.nodes) graph.message(1, node);
    graph.string(2, "mambascope");
    for (const initialiser of this.initialisers.values()) graph.message(5, tensorProto(initialiser));
    for (const input of this.inputs) graph.message(11, valueInfoProto(input));
    for (const output of this.outputs) graph.message(12, valueInfoProto(output));
    const model = new ProtoWriter().integer(1, IR_VERSION).string(2, "mambascope").message(7, graph);
    model.message(8, new ProtoWriter().string(1, "").integer(2, OPSET));
    model.message(8, new ProtoWriter().string(1, CONTRIB).integer(2, CONTRIB_OPSET));
    return model.finish().slice();
  }
}

/** True for initialisers whose bytes are in the model itself (shapes must be, for shape inference to see them). */
export function isInline(initialiser: Initialiser): boolean {
  return initialiser.source.kind === "data" && initialiser.type === "int64";
}

function attributeProto(name: string, value: Attribute): ProtoWriter {
  const proto = new ProtoWriter().string(1, name);
  if (typeof value === "number") return proto.integer(3, value).integer(20, ATTRIBUTE.int);
  if (typeof value === "string") return proto.string(4, value).integer(20, ATTRIBUTE.string);
  if ("float" in value) return proto.float(2, value.float).integer(20, ATTRIBUTE.float);
  return proto.packed(8, value).integer(20, ATTRIBUTE.ints);
}

function tensorProto(initialiser: Initialiser): ProtoWriter {
  const { name, type, shape, source } = initialiser;
  const proto = new ProtoWriter().packed(1, shape).integer(2, DATA_TYPE[type]).string(8, name);
  if (source.kind === "data" && isInline(initialiser)) {
    const { buffer, byteOffset, byteLength } = source.data;
    return proto.bytes(9, new Uint8Array(buffer, byteOffset, byteLength));
  }
  const entries = { location: name, offset: "0", length: String(initialiser.bytes) };
  for (const [key, value] of Object.entries(entries)) proto.message(13, new ProtoWriter().string(1, key).string(2, value));
  return proto.integer(14, 1); // data_location = EXTERNAL
}

function valueInfoProto({ name, type, shape }: ValueInfo): ProtoWriter {
  const dimensions = new ProtoWriter();
  for (const size of shape) {
    dimensions.message(1, typeof size === "number" ? new ProtoWriter().integer(1, size) : new ProtoWriter().string(2, size));
  }
  const tensor = new ProtoWriter().integer(1, DATA_TYPE[type]).message(2, dimensions);
  return new ProtoWriter().string(1, name).message(2, new ProtoWriter().message(1, tensor));
}
