import { describe, expect, it } from "vitest";
import { accountFor } from "@/lib/hybrid/accounting";
import { requiredTensors } from "@/lib/hybrid/tensors";
import { syntheticBundle, tinyArchitecture, tinyMamba2 } from "@/lib/onnx/testing";
import { elementCount } from "./codec-size";
import { customConfig, findTensor, hybridConfigOf, type Manifest, ManifestError, parseManifest, resolveTensors } from "./manifest";

const { manifest } = await syntheticBundle({
  architecture: tinyArchitecture({ num_hidden_layers: 3 }),
  sets: { m: tinyMamba2() },
  drafts: {
    d: { shape: { num_hidden_layers: 2, intermediate_size: 64 }, mixer: tinyMamba2() },
    a: { shape: { num_hidden_layers: 1, intermediate_size: 96 }, mixer: "attention" },
    f: { shape: { num_hidden_layers: 1, intermediate_size: 64, features: true }, mixer: tinyMamba2() },
  },
});
const norm = "model.norm.weight";
const projection = "model.features_proj.weight";

function problemsAfter(edit: (copy: Manifest) => void): string {
  const copy = structuredClone(manifest);
  edit(copy);
  try {
    parseManifest(copy);
  } catch (error) {
    expect(error).toBeInstanceOf(ManifestError);
    return (error as ManifestError).problems.join("\n");
  }
  return "";
}

const omit = (record: object, key: string) => Reflect.deleteProperty(record, key);

describe("drafts in a manifest", () => {
  it("are accepted, also through JSON", () => {
    expect(parseManifest(JSON.parse(JSON.stringify(manifest)))).toEqual(manifest);
    expect(problemsAfter(() => undefined)).toBe("");
  });

  const faults: [string, (copy: Manifest) => void, string][] = [
    ["without a tensor of its own", (copy) => omit(copy.mixer_sets.d!.tensors, norm), `mixer_sets.d.tensors: "${norm}" is missing`],
    ["without its attention", (copy) => omit(copy.mixer_sets.a!.tensors, "model.layers.0.self_attn.q_proj.weight"), "q_proj.weight\" is missing"],
    ["with an embedding", (copy) => (copy.mixer_sets.d!.tensors["model.embed_tokens.weight"] = copy.base.tensors["model.embed_tokens.weight"]!), "would never be used"],
    ["with attention that it does not use", (copy) => (copy.mixer_sets.d!.tensors["model.layers.0.self_attn.q_proj.weight"] = copy.base.tensors["model.layers.0.self_attn.q_proj.weight"]!), "would never be used"],
    ["of another width", (copy) => (copy.mixer_sets.d!.draft!.intermediate_size = 96), "where [96, 64] is needed"],
    ["of another depth", (copy) => (copy.mixer_sets.d!.draft!.num_hidden_layers = 3), "has the layers 0 to 2"],
    ["with a layer beyond it", (copy) => (copy.mixer_sets.d!.layers = [0, 2]), "has the layers 0 to 1"],
    ["with a config for attention", (copy) => Object.assign(copy.mixer_sets.a!.config, { gate: true }), "gate"],
    ["of attention that is no draft", (copy) => omit(copy.mixer_sets.a!, "draft"), "mixer_sets.a.draft"],
    ["with features but no projection of them", (copy) => omit(copy.mixer_sets.f!.tensors, projection), `mixer_sets.f.tensors: "${projection}" is missing`],
    ["with a projection of another shape", (copy) => (copy.mixer_sets.f!.tensors[projection]!.shape = [32, 128]), "where [64, 64] is needed"],
    ["with a projection but no features", (copy) => (copy.mixer_sets.d!.tensors[projection] = copy.mixer_sets.f!.tensors[projection]!), `${projection}: would never be used`],
    ["with a projection of the base's", (copy) => {
      copy.base.tensors[projection] = copy.mixer_sets.f!.tensors[projection]!;
      omit(copy.mixer_sets.f!.tensors, projection);
    }, `mixer_sets.f.tensors: "${projection}" is missing`],
    ["with features that are not wanted", (copy) => Object.assign(copy.mixer_sets.d!.draft!, { features: false }), "mixer_sets.d.draft.features"],
    ["with an unknown field", (copy) => Object.assign(copy.mixer_sets.d!.draft!, { hidden_size: 8 }), "hidden_size"],
    ["in half a variant", (copy) => copy.variants.d!.layers.pop(), "variants.d.layers: 1 layers for a model of 2"],
    ["among the base's layers", (copy) => (copy.variants.teacher!.layers = ["attention", "mamba2:d"]), "is a draft of 2 layers"],
    ["in a variant of another mixer", (copy) => (copy.variants.d!.layers = ["attention:d", "attention:d"]), "holds mamba2 mixers"],
    ["on a base without an embedding", (copy) => omit(copy.base.tensors, "model.embed_tokens.weight"), 'base.tensors: "model.embed_tokens.weight" is missing'],
  ];
  it.each(faults)("are refused %s", (_, edit, problem) => {
    expect(problemsAfter(edit)).toContain(problem);
  });

  it("need no more of the base than the embedding", () => {
    const bare = problemsAfter((copy) => {
      copy.base.tensors = { "model.embed_tokens.weight": copy.base.tensors["model.embed_tokens.weight"]! };
      copy.variants = { d: copy.variants.d! };
    });
    expect(bare).toBe("");
  });
});

describe("resolving a draft", () => {
  it("takes everything from its set but the embedding", () => {
    for (const name of ["d", "a", "f"]) {
      const config = hybridConfigOf(manifest, name);
      const { features, ...shape } = manifest.mixer_sets[name]!.draft!;
      expect(features).toBe(name === "f" ? true : undefined);
      expect(config.architecture).toEqual({ ...manifest.architecture, ...shape });
      const own = manifest.mixer_sets[name]!.tensors;
      for (const { name: tensor, entry } of resolveTensors(manifest, config)) {
        expect(entry).toBe(tensor === "model.embed_tokens.weight" ? manifest.base.tensors[tensor] : own[tensor]);
      }
      const resolved = resolveTensors(manifest, config);
      expect(resolved.map(({ entry }) => entry.shape)).toEqual(requiredTensors(config, manifest.mixer_sets).map(({ shape }) => shape));
      expect(resolved.reduce((sum, { entry }) => sum + elementCount(entry.shape), 0)).toBe(accountFor(config, manifest.mixer_sets).parameters);
    }
  });

  it("leaves the base's last norm to hybrids", () => {
    expect(findTensor(manifest, hybridConfigOf(manifest, "m"), norm)).toBe(manifest.base.tensors[norm]);
  });

  it("checks a visitor's own layers", () => {
    expect(customConfig(manifest, ["mamba2:d", "mamba2:d"])).toEqual(hybridConfigOf(manifest, "d"));
    expect(() => customConfig(manifest, ["mamba2:d"])).toThrow("is a draft of 2 layers");
    expect(() => customConfig(manifest, ["mamba2:d", "attention", "attention"])).toThrow("is a draft of 2 layers");
    expect(() => customConfig(manifest, ["attention:m", "attention", "attention"])).toThrow("holds mamba2 mixers");
    expect(() => customConfig(manifest, ["attention"])).toThrow("1 layers given");
  });
});
