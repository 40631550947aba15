import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { accountFor, decodeFlops, stateBytes } from "./accounting";
import type { MixerSets } from "./config";
import { contextLengths, costsOf, fixedBytes, memoryCrossing } from "./costs";
import { presetLayers } from "./pattern";
import { discreteMixer, smollm2Config, ssdMixer } from "./testing";

const sets: MixerSets = { full: { mixer: "mamba2", config: ssdMixer }, plain: { mixer: "mamba2", config: discreteMixer } };
const preset = (keep: number, set = "full") => smollm2Config(presetLayers(30, keep, "interleaved", set));
const account = (keep: number, set?: string) => accountFor(preset(keep, set), sets);
const anyLayers = fc.array(fc.constantFrom("attention", "mamba2:full", "mamba2:plain"), { minLength: 30, maxLength: 30 });

describe("context lengths", () => {
  it("rise from one end to the other by half octaves and hold what is asked for", () => {
    expect(contextLengths(16, 64)).toEqual([16, 23, 32, 45, 64]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 65, max: 1 << 20 }), fc.integer({ min: 1, max: 1 << 20 }), (from, to, own) => {
        const lengths = contextLengths(from, to, [own]);
        expect(lengths[0]).toBe(from);
        expect(lengths.at(-1)).toBe(to);
        expect(lengths.includes(own)).toBe(own >= from && own <= to);
        for (let index = 1; index < lengths.length; index++) expect(lengths[index]!).toBeGreaterThan(lengths[index - 1]!);
      }),
    );
  });
});

describe("cost curves", () => {
  it("agree with numbers worked by hand for half of SmolLM2's attention", () => {
    const [point] = costsOf(preset(0.5), sets, [1000]).curve;
    // 15 layers · 2 · 3 heads · 64 · 4 bytes · 1000 tokens + 15 · (9·64·64·4 + 960·3·4)
    expect(point?.bytes).toBe(23_040_000 + 15 * (147_456 + 11_520));
    // 15 · (1,769,472 + 4·1000·576) + 15 · (2,443,392 + 7,680 + 186,048) + 30 · 5,308,416 + 2·576·49152
    expect(point?.flops).toBe(15 * 4_073_472 + 15 * 2_637_120 + 159_252_480 + 56_623_104);
  });

  it("are the accounting's bytes and FLOPs at every length, for any pattern", () => {
    fc.assert(
      fc.property(anyLayers, fc.integer({ min: 1, max: 100_000 }), (layers, context) => {
        const config = smollm2Config(layers);
        const { account: own, curve } = costsOf(config, sets, [context]);
        expect(curve[0]?.bytes).toBe(stateBytes(own, context));
        expect(curve[0]?.flops).toBe(decodeFlops(config, sets, context).total);
      }),
      { numRuns: 30 },
    );
  });
});

describe("where the memory of two models crosses", () => {
  it("agrees with a number worked by hand", () => {
    // Without attention: 30 · (147,456 + 11,520) bytes of state against 46,080 bytes a token.
    expect(fixedBytes(account(0))).toBe(4_769_280);
    expect(memoryCrossing(account(0), account(1))).toBe(104); // 103.5 tokens
    expect(memoryCrossing(account(1), account(0))).toBeNull();
    expect(memoryCrossing(account(1), account(1))).toBeNull();
    expect(memoryCrossing(account(0, "plain"), account(0))).toBe(0);
  });

  it("is the first length at which the hybrid holds less, for any two patterns", () => {
    fc.assert(
      fc.property(anyLayers, anyLayers, (one, two) => {
        const a = accountFor(smollm2Config(one), sets);
        const b = accountFor(smollm2Config(two), sets);
        const crossing = memoryCrossing(a, b);
        if (crossing === null) {
          expect(stateBytes(a, 1e9)).toBeGreaterThanOrEqual(stateBytes(b, 1e9));
          return;
        }
        expect(stateBytes(a, crossing)).toBeLessThan(stateBytes(b, crossing));
        if (crossing > 0) expect(stateBytes(a, crossing - 1)).toBeGreaterThanOrEqual(stateBytes(b, crossing - 1));
      }),
    );
  });
});
