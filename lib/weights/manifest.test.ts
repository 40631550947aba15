import { describe, expect, it } from "vitest";
import { accountFor, weightBytes } from "@/lib/hybrid/accounting";
import { requiredTensors } from "@/lib/hybrid/tensors";
import {
  customConfig, filesOf, findTensor, hybridConfigOf, type Manifest, ManifestError, parseManifest, resolveTensor, resolveTensors, tensorBytes, tokenizerFiles,
} from "./manifest";
import { elementCount } from "./codec-size";
import { makeTestBundle, tinyMixer } from "./testing/bundle";

const { manifest } = makeTestBundle();
const embedding = "model.embed_tokens.weight";

/** The problems of a manifest after an edit, or none. */
function problemsAfter(edit: (copy: Manifest) => void): readonly string[] {
  const copy = structuredClone(manifest);
  edit(copy);
  try {
    parseManifest(copy);
  } catch (error) {
    expect(error).toBeInstanceOf(ManifestError);
    return (error as ManifestError).problems;
  }
  return [];
}

const omit = (record: object, key: string) => Reflect.deleteProperty(record, key);

describe("parseManifest", () => {
  it("accepts a whole bundle, also through JSON", () => {
    expect(parseManifest(JSON.parse(JSON.stringify(manifest)))).toEqual(manifest);
  });

  it("names the version it cannot read, and what to update", () => {
    const parse = (version: unknown) => () => parseManifest({ ...manifest, version });
    expect(parse(2)).toThrow(expect.objectContaining({ code: "manifest-version", action: expect.stringContaining("Update the app") }));
    expect(parse(2)).toThrow("format version 2; this app reads version 1");
    expect(parse(0)).toThrow(expect.objectContaining({ action: expect.stringContaining("Export or fetch the bundle again") }));
    expect(parse(undefined)).toThrow("(none)");
  });

  it.each([null, 3, "text", [], {}, { format: "gguf", version: 1 }])("refuses %j as no manifest", (value) => {
    expect(() => parseManifest(value)).toThrow("not a bundle manifest");
  });

  const variants: [string, (copy: Manifest) => void, string][] = [
    ["a part beyond its file", (copy) => (copy.files["odd.safetensors"]!.bytes = 100), "beyond \"odd.safetensors\" (100 bytes)"],
    ["a part of the wrong size", (copy) => (copy.base.tensors["model.norm.weight"]!.shape = [32]), "f32 [32] takes 128"],
    ["a ranking of another size", (copy) => (copy.token_ranking = { file: "ranking.bin", bytes: 20, sha256: "0".repeat(64), count: 6 }), "20 bytes where 6 tokens take 24"],
    ["a ranking longer than the vocabulary", (copy) => (copy.token_ranking = { file: "ranking.bin", bytes: 204, sha256: "0".repeat(64), count: 51 }), "51 tokens of a vocabulary of 50"],
    ["a ranking listed otherwise", (copy) => (copy.token_ranking = { file: "tokenizer.json", bytes: 8, sha256: "0".repeat(64), count: 2 }), "another size or checksum"],
    ["a file that is not listed", (copy) => delete copy.files["aligned.safetensors"], '"aligned.safetensors" is not listed'],
    ["no tokenizer", (copy) => delete copy.files["tokenizer.json"], "tokenizer.file"],
    ["a missing base tensor", (copy) => omit(copy.base.tensors, embedding), `base.tensors: "${embedding}" is missing`],
    ["a missing mixer tensor", (copy) => omit(copy.mixer_sets.odd!.tensors, "model.layers.1.mamba.D"), '"model.layers.1.mamba.D" is missing'],
    ["a block codec on odd columns", (copy) => (copy.base.tensors[embedding]! = { ...copy.base.tensors[embedding]!, codec: "q8_0", shape: [64, 50], parts: { q: [0, 1], scale: [0, 1] } }), "multiple of 32"],
    ["an untied head that is not there", (copy) => (copy.architecture.tie_word_embeddings = false), '"lm_head.weight" is missing'],
    ["another vocabulary than the embedding's", (copy) => (copy.architecture.vocab_size = 51), "where [51, 64] is needed"],
    ["too few layers in a variant", (copy) => copy.variants.teacher!.layers.pop(), "variants.teacher.layers: 2 layers for a model of 3"],
    ["a variant with an unknown set", (copy) => (copy.variants.hybrid!.layers[1] = "mamba2:even"), 'mixer set "even"'],
    ["a variant with a layer the set lacks", (copy) => (copy.variants.hybrid!.layers[0] = "mamba2:odd"), 'mixer set "odd" has no mixer for layer 0'],
    ["a variant with another kind of mixer", (copy) => (copy.variants.hybrid!.layers[1] = "mamba:odd"), "holds mamba2 mixers"],
    ["a set's layer beyond the model", (copy) => copy.mixer_sets.odd!.layers.push(7), "layer 7 of a model of 3"],
    ["a set's layer twice", (copy) => copy.mixer_sets.odd!.layers.push(1), "listed twice"],
    ["a set's tensor that would never be used", (copy) => (copy.mixer_sets.odd!.tensors["model.norm.weight"] = copy.base.tensors["model.norm.weight"]!), "would never be used"],
    ["an unknown field", (copy) => Object.assign(copy.base, { extra: 1 }), "extra"],
    ["a path for a file name", (copy) => (copy.tokenizer.file = "../secret.json"), "plain file name"],
    ["a malformed checksum", (copy) => (copy.files["tokenizer.json"]!.sha256 = "xyz"), "64 lower-case hexadecimal"],
    ["a set name that a pattern cannot hold", (copy) => (copy.mixer_sets["a.b"] = copy.mixer_sets.odd!), "mixer_sets"],
    ["a wrong part for the codec", (copy) => Object.assign(copy.base.tensors["model.norm.weight"]!, { parts: { q: [0, 4] } }), "model.norm.weight"],
  ];
  it.each(variants)("refuses %s", (_, edit, problem) => {
    const problems = problemsAfter(edit);
    expect(problems.join("\n")).toContain(problem);
  });

  it("reports a fault that several variants share once", () => {
    const problems = problemsAfter((copy) => omit(copy.base.tensors, embedding));
    expect(problems).toHaveLength(1);
  });
});

describe("resolving", () => {
  const teacher = hybridConfigOf(manifest, "teacher");
  const hybrid = hybridConfigOf(manifest, "hybrid");

  it("names variants that there are", () => {
    expect(hybrid.layers).toEqual(["attention", "mamba2:odd", "attention"]);
    expect(() => hybridConfigOf(manifest, "toString")).toThrow(
      expect.objectContaining({ code: "variant-unknown", action: "Choose one of: teacher, hybrid, aligned." }),
    );
  });

  it("lets the layer's set override the base", () => {
    const copy = structuredClone(manifest);
    const name = "model.layers.1.mlp.up_proj.weight";
    const other = structuredClone(copy.base.tensors[name]!);
    other.file = "odd.safetensors";
    copy.mixer_sets.odd!.tensors[name] = other;
    expect(resolveTensor(copy, hybrid, name).file).toBe("odd.safetensors");
    expect(resolveTensor(copy, teacher, name).file).toBe("base-00002-of-00002.safetensors");
    expect(findTensor(copy, teacher, "model.layers.1.mamba.D")).toBeUndefined();
    expect(() => resolveTensor(copy, teacher, "model.layers.1.mamba.D")).toThrow(expect.objectContaining({ code: "tensor-unknown" }));
  });

  it("lists each required tensor once, with the shape that is needed", () => {
    for (const variant of Object.keys(manifest.variants)) {
      const config = hybridConfigOf(manifest, variant);
      const resolved = resolveTensors(manifest, config);
      expect(resolved.map(({ name, entry }) => [name, entry.shape])).toEqual(
        requiredTensors(config, manifest.mixer_sets).map(({ name, shape }) => [name, shape]),
      );
      const bytes = weightBytes(config, manifest.mixer_sets, (name) => tensorBytes(resolveTensor(manifest, config, name)));
      expect(bytes.total).toBe(resolved.reduce((sum, { entry }) => sum + tensorBytes(entry), 0));
      const parameters = resolved.reduce((sum, { entry }) => sum + elementCount(entry.shape), 0);
      expect(accountFor(config, manifest.mixer_sets).parameters).toBe(parameters);
    }
  });

  it("names just the files that a variant needs", () => {
    const names = (variant: string) => filesOf(manifest, hybridConfigOf(manifest, variant)).map(({ name }) => name).sort();
    const base = ["base-00001-of-00002.safetensors", "base-00002-of-00002.safetensors"];
    expect(names("teacher")).toEqual(base);
    expect(names("hybrid")).toEqual([...base, "odd.safetensors"]);
    expect(tokenizerFiles(manifest).config.name).toBe("tokenizer_config.json");
  });

  it("checks a visitor's own layers", () => {
    expect(customConfig(manifest, ["mamba2:aligned", "mamba2:odd", "attention"]).layers).toHaveLength(3);
    expect(() => customConfig(manifest, ["attention"])).toThrow("1 layers given");
    expect(() => customConfig(manifest, ["mamba2:odd", "attention", "attention"])).toThrow('Mixer set "odd" has no mixer for layer 0 (it has layers 1).');
    expect(() => customConfig(manifest, ["attention", "attention", "mamba2:none"])).toThrow("does not have");
    expect(manifest.mixer_sets.odd?.config).toEqual(tinyMixer);
  });
});
