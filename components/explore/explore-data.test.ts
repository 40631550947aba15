import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { barHeights, layerSeries, sortLayers } from "./bars";
import { heatColor, scaleTop, strength, valueAt } from "./heat";
import { mostSensitive } from "./patterns";
import { parseStored } from "./saved";
import { readTextFile } from "./text-file";

describe("best layers by sensitivity", () => {
  it("keeps the costliest k, and no other choice of k costs more", () => {
    const costs = fc.array(fc.double({ min: 0, max: 10, noNaN: true }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(costs, fc.nat(40), (all, wanted) => {
        const k = Math.min(wanted, all.length);
        const kept = mostSensitive(all, k);
        expect(new Set(kept).size).toBe(k);
        const least = Math.min(...kept.map((layer) => all[layer]!));
        for (const [layer, cost] of all.entries()) if (!kept.includes(layer)) expect(cost).toBeLessThanOrEqual(least);
      }),
    );
  });

  it("keeps layers that cannot be replaced", () => {
    expect(mostSensitive([0.1, null, 5, 0.2], 2)).toEqual([1, 2]);
  });
});

describe("layer columns", () => {
  it("sorts both ways with unknown values last", () => {
    expect(sortLayers([0.3, null, 0.1, 0.3], true)).toEqual([0, 3, 2, 1]);
    expect(sortLayers([0.3, null, 0.1, 0.3], false)).toEqual([2, 0, 3, 1]);
  });

  it("puts each layer's numbers in its place", () => {
    const series = layerSeries(3, [{ layer: 2, relativeError: 0.5, cosine: -0.2 }], [{ layer: 0, kl: 2, agreement: 0.25 }]);
    expect(series.sensitivity.values).toEqual([2, null, null]);
    expect(series.agreement.values).toEqual([25, null, null]);
    expect(series.error.values).toEqual([null, null, 0.5]);
    expect(barHeights(series.cosine)).toEqual([null, null, 0]);
    expect(barHeights({ ...series.error, values: [2, 1, 0] })).toEqual([1, 0.5, 0]);
    expect(barHeights({ ...series.sensitivity, values: [4, 1, 0] })).toEqual([1, 0.5, 0]);
  });
});

describe("token colours", () => {
  it("grow with the value, are full at the scale's top, and show the value that their legend names", () => {
    expect(heatColor(0, 1)).toBe("transparent");
    expect(heatColor(2, 1)).toContain("100%");
    expect(heatColor(-0.25, 1)).toBe("color-mix(in oklab, var(--heat-less) 50%, transparent)");
    expect(strength(NaN, 1)).toBe(0);
    fc.assert(fc.property(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0.01, max: 20, noNaN: true }), (share, top) => {
      expect(strength(valueAt(share, top), top)).toBeCloseTo(share, 6);
    }));
  });

  it("are not washed out by one outlier", () => {
    const values = Float32Array.from({ length: 200 }, (_, index) => (index === 0 ? 50 : 0.5));
    expect(scaleTop(values)).toBeCloseTo(0.5);
    expect(scaleTop(new Float32Array(0))).toBe(0.05);
  });
});

describe("what is stored", () => {
  const entry = { id: "1", name: "Mine", family: "four", a: "a.m~set", b: null, set: null, savedAt: "2026-01-02T03:04:05.000Z" };

  it("is read entry by entry: a broken one costs no other", () => {
    const json = JSON.stringify({ saved: [entry, { ...entry, a: "??" }, 7, { ...entry, id: "2", b: "a2" }], own: { name: null, text: "x" } });
    const { saved, own, unreadable } = parseStored(json);
    expect(saved.map(({ id }) => id)).toEqual(["1", "2"]);
    expect([own.text, unreadable]).toEqual(["x", 2]);
  });

  it("may be anything", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (json) => {
      expect(parseStored(json).saved).toEqual([]);
    }));
    expect(parseStored(null)).toEqual({ saved: [], own: { name: null, text: "" }, unreadable: 0 });
  });
});

describe("text files", () => {
  const file = (name: string, bytes: Uint8Array<ArrayBuffer>, type = "") => ({ name, type, size: bytes.length, arrayBuffer: async () => bytes.buffer });

  it("are read as UTF-8 with plain line ends", async () => {
    expect(await readTextFile(file("a.md", new TextEncoder().encode("Grüße\r\n")))).toEqual({ text: "Grüße\n" });
  });

  it("are refused by kind, size or content, with the reason", async () => {
    expect(await readTextFile(file("a.pdf", new Uint8Array(3)))).toHaveProperty("problem", expect.stringContaining("not a .txt or .md"));
    expect(await readTextFile(file("a.txt", new Uint8Array(1_000_001)))).toHaveProperty("problem", expect.stringContaining("1 MB"));
    expect(await readTextFile(file("a.txt", Uint8Array.of(0xff, 0xfe)))).toHaveProperty("problem", expect.stringContaining("UTF-8"));
    expect(await readTextFile(file("a.txt", Uint8Array.of(0)))).toHaveProperty("problem", expect.stringContaining("not a text"));
  });
});
