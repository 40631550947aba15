import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ConfigDocument } from "../types";
import { diffConfigs } from "./diff";
import { parsePath, pathText, sameJson, valueAt, withoutValue, withValue } from "./document";
import { formatLayers, parseLayers } from "./layer-list";
import { merge } from "./pipeline";

const key = fc.constantFrom("a", "b", "c", "d");
const document: fc.Arbitrary<ConfigDocument> = fc.letrec<{ object: ConfigDocument; value: unknown }>((tie) => ({
  value: fc.oneof({ depthSize: "small" }, fc.integer(), fc.string(), fc.constant(null), fc.array(fc.integer(), { maxLength: 3 }), tie("object")),
  object: fc.dictionary(key, tie("value"), { maxKeys: 4 }),
})).object;
const path = fc.array(key, { minLength: 1, maxLength: 3 });

describe("places of a document", () => {
  it("reads what it wrote, and leaves the document as it was", () => {
    fc.assert(
      fc.property(document, path, fc.integer(), (held, place, value) => {
        const before = structuredClone(held);
        const changed = withValue(held, place, value);
        // An item's name is no place in a list or a text: then there is nowhere to write.
        fc.pre(place.every((_, depth) => !Array.isArray(valueAt(held, place.slice(0, depth)))));
        expect(valueAt(changed, place)).toBe(value);
        expect(held).toEqual(before);
        expect(valueAt(withoutValue(changed, place), place)).toBeUndefined();
      }),
    );
  });

  it("empties sections away with their last field", () => {
    expect(withoutValue({ loss: { beta: 2 }, seed: 1 }, ["loss", "beta"])).toEqual({ seed: 1 });
    expect(withoutValue({ stages: [{ seed: 1 }, { loss: { beta: 2 } }] }, parsePath("stages.1.loss.beta"))).toEqual({ stages: [{ seed: 1 }, {}] });
  });

  it("changes one stage of a pipeline", () => {
    const before = { stages: [{ seed: 1 }, { seed: 2 }] };
    expect(withValue(before, parsePath("stages.1.loss.beta"), 3)).toEqual({ stages: [{ seed: 1 }, { seed: 2, loss: { beta: 3 } }] });
  });

  it("writes and reads paths", () => {
    fc.assert(fc.property(fc.array(fc.oneof(key, fc.nat({ max: 30 })), { maxLength: 4 }), (parts) => {
        expect(parsePath(pathText(parts))).toEqual(parts);
      }));
  });
});

describe("differences of configs", () => {
  it("are none between equal documents, whatever the order of their fields", () => {
    fc.assert(fc.property(document, (held) => {
        expect(diffConfigs(held, Object.fromEntries(Object.entries(structuredClone(held)).reverse()))).toEqual([]);
      }));
  });

  it("turn the left into the right", () => {
    fc.assert(
      fc.property(document, document, (left, right) => {
        let changed = left;
        for (const { path: place, right: value } of diffConfigs(left, right)) changed = value === undefined ? withoutValue(changed, parsePath(place)) : withValue(changed, parsePath(place), value);
        // A section that has lost its last field is gone: the same config.
        const plain = (held: unknown): unknown =>
          typeof held === "object" && held !== null && !Array.isArray(held) ? Object.fromEntries(Object.entries(held).map(([k, v]) => [k, plain(v)]).filter(([, v]) => !sameJson(v, {}))) : held;
        expect(plain(changed)).toEqual(plain(right));
      }),
    );
  });

  it("names fields, and items of a mixture", () => {
    const left = { optimiser: { steps: 1, batch: 8 }, layers: [1, 3], mixture: [{ name: "a", share: 1 }] };
    const right = { optimiser: { steps: 2, batch: 8 }, layers: [1], mixture: [{ name: "a", share: 2 }], seed: 1 };
    expect(diffConfigs(left, right)).toEqual([
      { path: "optimiser.steps", left: 1, right: 2 },
      { path: "layers", left: [1, 3], right: [1] },
      { path: "mixture.0.share", left: 1, right: 2 },
      { path: "seed", left: undefined, right: 1 },
    ]);
  });
});

describe("merging stages", () => {
  it("keeps what the stage does not change", () => {
    fc.assert(
      fc.property(document, document, (shared, changes) => {
        const merged = merge(shared, changes);
        for (const name of Object.keys(shared)) if (!Object.hasOwn(changes, name)) expect(merged[name]).toEqual(shared[name]);
        for (const [name, value] of Object.entries(changes)) if (Array.isArray(value) || typeof value !== "object" || value === null) expect(merged[name]).toEqual(value);
      }),
    );
  });
});

describe("lists of layers", () => {
  it("are read back as they were written", () => {
    fc.assert(fc.property(fc.uniqueArray(fc.nat({ max: 60 })), (layers) => {
        expect(parseLayers(formatLayers(layers))).toEqual([...layers].sort((one, other) => one - other));
      }));
  });

  it("are short, and refused where they are none", () => {
    expect(formatLayers([0, 1, 2, 3, 8, 11, 12])).toBe("0-3, 8, 11, 12");
    for (const text of ["x", "3-1", "1,,a", "-1", "1.5"]) expect(parseLayers(text), text).toBeNull();
    expect(parseLayers(" 1 , 3;5-6 ")).toEqual([1, 3, 5, 6]);
  });
});
