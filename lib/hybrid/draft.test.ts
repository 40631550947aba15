import { describe, expect, it } from "vitest";
import { accountFor, decodeFlops, flops, stateBytes, weightBytes } from "./accounting";
import { architectureOf, draftOf, draftShapeSchema, type HybridConfig, HybridConfigError, type MixerSets, needsFeatures, resolveLayers } from "./config";
import { attentionShare } from "./pattern";
import { FEATURES_PROJECTION, isOfDraft, requiredTensors } from "./tensors";
import { smollm2, ssdMixer } from "./testing";

const shape = { num_hidden_layers: 2, intermediate_size: 1024 };
const sets: MixerSets = {
  attn50: { mixer: "mamba2", config: ssdMixer },
  draft2: { mixer: "mamba2", config: ssdMixer, draft: shape },
  "draft2-attention": { mixer: "attention", draft: shape },
  features2: { mixer: "mamba2", config: ssdMixer, draft: { ...shape, features: true } },
};
const configOf = (...layers: string[]): HybridConfig => ({ family: "smollm2", architecture: architectureOf(smollm2, layers, sets), layers });
const mamba = configOf("mamba2:draft2", "mamba2:draft2");
const attention = configOf("attention:draft2-attention", "attention:draft2-attention");

describe("a draft", () => {
  it("has an architecture of its own", () => {
    expect(mamba.architecture).toEqual({ ...smollm2, ...shape });
    expect(draftOf(mamba.layers, sets)).toEqual({ set: "draft2", shape });
    const hybrid = ["attention", ...Array<string>(29).fill("mamba2:attn50")];
    expect(architectureOf(smollm2, hybrid, sets)).toEqual(smollm2);
    expect(draftOf(hybrid, sets)).toBeNull();
  });

  it("resolves to its mixers", () => {
    expect(resolveLayers(mamba, sets)[1]).toEqual({ mixer: "mamba2", set: "draft2", config: ssdMixer });
    expect(resolveLayers(attention, sets)[1]).toEqual({ mixer: "attention", set: "draft2-attention" });
    expect(attentionShare(attention.layers)).toBe(1);
  });

  it.each([
    [["mamba2:draft2"]],
    [["mamba2:draft2", "mamba2:draft2", "mamba2:draft2"]],
    [["mamba2:draft2", "attention"]],
    [["attention", "mamba2:draft2"]],
    [["mamba2:draft2", "attention:draft2-attention"]],
    [["mamba2:draft2", "mamba2:attn50"]],
  ])("is used whole, not as %j", (layers) => {
    expect(() => resolveLayers(configOf(...layers), sets)).toThrow(HybridConfigError);
    expect(() => resolveLayers(configOf(...layers), sets)).toThrow(/is a draft of 2 layers/);
  });

  it("is not taken with the base's architecture or as another mixer", () => {
    expect(() => resolveLayers({ ...mamba, architecture: { ...smollm2, num_hidden_layers: 2 } }, sets)).toThrow(/draft/);
    expect(() => resolveLayers(configOf("attention:draft2", "attention:draft2"), sets)).toThrow("holds mamba2 mixers");
    expect(() => resolveLayers({ ...mamba, architecture: smollm2, layers: Array<string>(30).fill("attention:attn50") }, sets)).toThrow("holds mamba2 mixers");
  });

  it("takes what is counted by hand", () => {
    const mlp = 3 * 576 * 1024;
    const shared = 49152 * 576 + 576;
    const [heads, groups] = [9, 3];
    const attentionAccount = accountFor(attention, sets, "f16");
    expect(attentionAccount.parameters).toBe(shared + 2 * (2 * 576 * 64 * (heads + groups) + mlp + 2 * 576));
    expect(attentionAccount.kvBytesPerToken).toBe(2 * 2 * groups * 64 * 2);
    expect(attentionAccount.layers[0]).toMatchObject({ mixer: "attention", set: "draft2-attention" });
    const mambaAccount = accountFor(mamba, sets);
    expect(mambaAccount.parameters).toBe(shared + 2 * (1_227_099 + mlp + 2 * 576));
    expect(stateBytes(mambaAccount, 1)).toBe(2 * (heads * 64 * 64 * 4 + 960 * 3 * 4));
    expect(decodeFlops(mamba, sets, 1).layers).toEqual(Array(2).fill(2 * 576 * (1545 + 576) + 2 * 960 * 4 + 9 * (5 * 64 * 64 + 3 * 64) + 2 * mlp));
    const size = requiredTensors(mamba, sets).reduce((sum, { shape: dimensions }) => sum + dimensions.reduce((a, b) => a * b, 1), 0);
    expect(size).toBe(mambaAccount.parameters);
  });
});

describe("a feature draft", () => {
  const features = configOf("mamba2:features2", "mamba2:features2");

  it("is told from other drafts and from hybrids", () => {
    expect(needsFeatures(features, sets)).toBe(true);
    for (const config of [mamba, attention, configOf(...Array<string>(30).fill("mamba2:attn50"))]) expect(needsFeatures(config, sets)).toBe(false);
    expect(features.architecture).toEqual(mamba.architecture);
    expect(draftShapeSchema.parse({ ...shape, features: true })).toEqual({ ...shape, features: true });
    for (const other of [false, null, 1]) expect(draftShapeSchema.safeParse({ ...shape, features: other }).success).toBe(false);
  });

  it("has one matrix more, D x D, which is its own", () => {
    const tensors = requiredTensors(features, sets);
    const extra = { name: FEATURES_PROJECTION, shape: [576, 576], layer: null };
    expect(tensors.filter(({ name }) => name === FEATURES_PROJECTION)).toEqual([extra]);
    expect(tensors.filter(({ name }) => name !== FEATURES_PROJECTION)).toEqual(requiredTensors(mamba, sets));
    expect(tensors.filter((tensor) => !isOfDraft(tensor)).map(({ name }) => name)).toEqual(["model.embed_tokens.weight"]);
  });

  it("takes what that matrix takes besides", () => {
    const square = 576 * 576;
    const [own, other] = [accountFor(features, sets), accountFor(mamba, sets)];
    expect(own.parameters - other.parameters).toBe(square);
    expect(own.sharedParameters - other.sharedParameters).toBe(square);
    expect(stateBytes(own, 100)).toBe(stateBytes(other, 100));
    const bytes = (config: HybridConfig) => weightBytes(config, sets, (_, dimensions) => 2 * dimensions.reduce((product, size) => product * size, 1));
    expect(bytes(features).shared - bytes(mamba).shared).toBe(2 * square);
    const pass = { tokens: 5, past: 3, logits: "last" } as const;
    expect(flops(features, sets, pass)).toEqual({ ...flops(mamba, sets, pass), features: 5 * 2 * square, total: flops(mamba, sets, pass).total + 5 * 2 * square });
  });
});
