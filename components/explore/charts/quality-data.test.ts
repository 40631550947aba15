import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { resultsSchema } from "@/lib/home/results";
import { type Manifest, parseManifest } from "@/lib/weights/manifest";
import { contextsWithin, describeDevice } from "./measure";
import { ownPointsOf, recordedPoints, recordedTexts } from "./quality-data";

const read = (path: string): unknown => JSON.parse(readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8"));
const results = [{ name: "quality", results: resultsSchema.parse(read("results/quality.json")) }, { name: "broken", problem: "cannot be read" }];
const manifest = parseManifest(read("public/models/stories/manifest.json"));
const variantsOf = ({ variants }: Manifest) => Object.entries(variants).map(([name, { title, layers }]) => ({ name, title, layers }));
const variants = variantsOf(manifest);

describe("recorded points", () => {
  it("place the recorded variants by the attention that their layers keep", () => {
    const [text = ""] = recordedTexts(results, "stories");
    const points = recordedPoints({ results, family: "stories", variants }, "kl", text);
    expect(points.map(({ label }) => label)).toEqual(expect.arrayContaining(["attn50", "attn0"]));
    for (const { label, attention, value } of points) {
      const { layers } = manifest.variants[label]!;
      expect(attention).toBe(layers.filter((layer) => layer === "attention").length / layers.length);
      const recorded = results.flatMap((file) => (file.results ? file.results.entries : [])).filter(({ metric, of }) => metric === "quality.kl" && of.family === "stories" && of.variant === label);
      expect(recorded.map((entry) => entry.value)).toContain(value);
    }
    expect(points.map(({ attention }) => attention)).toEqual(points.map(({ attention }) => attention).sort((a, b) => b - a));
  });

  it("keep texts apart, and families, and leave out variants whose layers nobody knows", () => {
    const texts = recordedTexts(results, "smollm2-135m-instruct");
    expect(new Set(texts).size).toBe(texts.length);
    // Multiple choice and needles are recorded too, and have no place in this chart.
    const smollm2 = variantsOf(parseManifest(read("public/models/smollm2-135m-instruct/manifest.json")));
    for (const text of texts) expect(recordedPoints({ results, family: "smollm2-135m-instruct", variants: smollm2 }, "kl", text).length).toBeGreaterThan(1);
    expect(recordedTexts(results, "nobody")).toEqual([]);
    expect(recordedPoints({ results, family: "smollm2-135m-instruct", variants: [] }, "kl", texts[0]!)).toEqual([]);
  });
});

describe("own points", () => {
  it("leave out what has no value", () => {
    const points = [
      { label: "A", attention: 0.5, kl: 0.1, agreement: 0.9, ratio: null },
      { label: "B", attention: 0.25, kl: 0.3, agreement: 0.7, ratio: 1.4 },
    ];
    expect(ownPointsOf(points, "ratio")).toEqual([{ label: "B", attention: 0.25, value: 1.4 }]);
    expect(ownPointsOf(points, "kl").map(({ value }) => value)).toEqual([0.1, 0.3]);
  });
});

describe("measuring", () => {
  it("keeps to the context that the model has, with room to decode", () => {
    expect(contextsWithin(8192)).toEqual([64, 256, 1024, 2048]);
    expect(contextsWithin(2048)).toEqual([64, 256, 1024]);
    expect(contextsWithin(40)).toEqual([23]);
  });

  it("names the device", () => {
    expect(describeDevice({ provider: "webgpu", threads: 1 }, "SwiftShader")).toBe("WebGPU, SwiftShader");
    expect(describeDevice({ provider: "wasm", threads: 1 }, null)).toBe("WebAssembly, 1 thread");
  });
});
