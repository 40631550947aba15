import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Random } from "./random";
import { best, distribution, penalise, Sampler, type SamplingOptions } from "./sampler";

const plain: SamplingOptions = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 };

/** The distribution by its definition: sort everything, then filter. */
function expected(logits: readonly number[], { temperature, topK, topP, minP }: SamplingOptions): Map<number, number> {
  const order = logits.map((_, token) => token).sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
  const highest = logits[order[0] ?? 0] ?? 0;
  const normalise = (pairs: [number, number][]): [number, number][] => {
    const total = pairs.reduce((sum, [, p]) => sum + p, 0);
    return pairs.map(([token, p]) => [token, p / total]);
  };
  let pairs = normalise(order.map((token) => [token, Math.exp(((logits[token] ?? 0) - highest) / temperature)]));
  if (topK > 0) pairs = normalise(pairs.slice(0, topK));
  let sum = 0;
  if (topP < 1) pairs = normalise(pairs.filter(([, p]) => (sum += p) - p < topP));
  if (minP > 0) pairs = normalise(pairs.filter(([, p]) => p >= minP * (pairs[0]?.[1] ?? 0)));
  return new Map(pairs);
}

const logitsArbitrary = fc.array(fc.double({ min: -12, max: 12, noNaN: true }), { minLength: 2, maxLength: 60 });
const optionsArbitrary = fc.record({
  temperature: fc.double({ min: 0.1, max: 3, noNaN: true }),
  topK: fc.integer({ min: 0, max: 70 }),
  topP: fc.oneof(fc.constant(1), fc.double({ min: 0.05, max: 0.99, noNaN: true })),
  minP: fc.oneof(fc.constant(0), fc.double({ min: 0.001, max: 1, noNaN: true })),
  repetitionPenalty: fc.constant(1),
});

describe("distribution", () => {
  it("equals the definition", () => {
    fc.assert(
      fc.property(logitsArbitrary, optionsArbitrary, (values, options) => {
        const logits = Float32Array.from(values);
        const { tokens, probabilities } = distribution(logits, options);
        const wanted = expected(Array.from(logits), options);
        // A filter's edge may fall on either side by rounding; what differs must then be a token at that edge.
        const got = new Map(Array.from(tokens, (token, index) => [token, probabilities[index] ?? 0]));
        const edges = Number(options.topP < 1) + Number(options.minP > 0);
        expect(Math.abs(got.size - wanted.size)).toBeLessThanOrEqual(edges);
        if (got.size !== wanted.size) return;
        for (const [token, probability] of wanted) expect(got.get(token)).toBeCloseTo(probability, 6);
      }),
      { numRuns: 400 },
    );
  });

  it("looks beyond the first candidates where the distribution is flat", () => {
    const logits = new Float32Array(1000).map((_, token) => -0.2 * token);
    expect(distribution(logits, { ...plain, topK: 300 }).tokens.length).toBe(300);
    expect(distribution(logits, { ...plain, minP: 1e-10 }).tokens.length).toBe(expected(Array.from(logits), { ...plain, minP: 1e-10 }).size);
    expect(distribution(logits, { ...plain, topP: 0.999999 }).tokens.length).toBe(expected(Array.from(logits), { ...plain, topP: 0.999999 }).size);
  });
});

describe("draws", () => {
  const logits = Float32Array.from({ length: 40 }, (_, token) => 2 * Math.sin(token * 1.7) - token / 20);

  /** Pearson's statistic of `draws` draws against the expected distribution, tokens expected fewer than five times pooled. */
  function chiSquared(options: SamplingOptions, draws: number): { statistic: number; freedom: number } {
    const sampler = new Sampler(options, 12345);
    const counts = new Map<number, number>();
    for (let i = 0; i < draws; i++) {
      const { token } = sampler.draw(logits, []);
      counts.set(token, (counts.get(token) ?? 0) + 1);
    }
    const wanted = expected(Array.from(logits), options);
    for (const token of counts.keys()) expect(wanted.has(token)).toBe(true);
    const cells: [observed: number, expected: number][] = [];
    const pooled: [number, number] = [0, 0];
    for (const [token, probability] of wanted) {
      const cell: [number, number] = [counts.get(token) ?? 0, probability * draws];
      if (cell[1] >= 5) cells.push(cell);
      else {
        pooled[0] += cell[0];
        pooled[1] += cell[1];
      }
    }
    if (pooled[1] > 0) cells.push(pooled);
    return { statistic: cells.reduce((sum, [seen, want]) => sum + (seen - want) ** 2 / want, 0), freedom: cells.length - 1 };
  }

  const cases: Record<string, Partial<SamplingOptions>> = {
    plain: {},
    "temperature 0.5": { temperature: 0.5 },
    "temperature 2": { temperature: 2 },
    "top-k 5": { topK: 5 },
    "top-p 0.8": { topP: 0.8 },
    "min-p 0.2": { minP: 0.2 },
    "all together": { temperature: 1.3, topK: 12, topP: 0.9, minP: 0.05 },
  };
  it.each(Object.entries(cases))("follow the distribution: %s", (_, changes) => {
    const { statistic, freedom } = chiSquared({ ...plain, ...changes }, 20_000);
    // The 99.99th percentile of chi-squared by Wilson and Hilferty.
    const limit = freedom * (1 - 2 / (9 * freedom) + 3.72 * Math.sqrt(2 / (9 * freedom))) ** 3;
    expect(statistic).toBeLessThan(limit);
  });

  it("are greedy at temperature 0, the first of equals", () => {
    fc.assert(
      fc.property(logitsArbitrary, fc.nat(), (values, seed) => {
        const array = Float32Array.from(values);
        const { token } = new Sampler({ ...plain, temperature: 0 }, seed).draw(array, []);
        expect(token).toBe(array.indexOf(Math.max(...array)));
      }),
    );
  });

  it("repeat with the seed and differ without", () => {
    const sequence = (seed: number): number[] => {
      const sampler = new Sampler(plain, seed);
      return Array.from({ length: 50 }, () => sampler.draw(logits, []).token);
    };
    expect(sequence(7)).toEqual(sequence(7));
    expect(sequence(7)).not.toEqual(sequence(8));
  });

  it("report the model's own log probability", () => {
    const total = logits.reduce((sum, value) => sum + Math.exp(value), 0);
    const { token, logProbability } = new Sampler({ ...plain, temperature: 0.3, topK: 3 }, 1).draw(logits, [best(logits)]);
    expect(logProbability).toBeCloseTo((logits[token] ?? 0) - Math.log(total), 5);
  });
});

describe("the repetition penalty", () => {
  it("lowers tokens that occurred, once each, and no others", () => {
    fc.assert(
      fc.property(logitsArbitrary, fc.array(fc.nat(59)), fc.double({ min: 1.01, max: 3, noNaN: true }), (values, context, penalty) => {
        const logits = Float32Array.from(values);
        const after = penalise(logits, [...context, ...context], penalty);
        logits.forEach((value, token) => {
          if (!context.includes(token)) expect(after[token]).toBe(value);
          else expect(after[token]).toBeCloseTo(value > 0 ? value / penalty : value * penalty, 4);
        });
        expect(Array.from(logits)).toEqual(Array.from(Float32Array.from(values)));
      }),
    );
  });
});

describe("random numbers", () => {
  it("are uniform in [0, 1)", () => {
    const random = new Random(99);
    const cells = new Array<number>(64).fill(0);
    for (let i = 0; i < 64_000; i++) {
      const value = random.next();
      expect(value >= 0 && value < 1).toBe(true);
      cells[Math.floor(value * 64)]! += 1;
    }
    const statistic = cells.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    expect(statistic).toBeLessThan(120); // 63 degrees of freedom: one in 20,000 lies beyond
    expect(statistic).toBeGreaterThan(25);
  });
});
