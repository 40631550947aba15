import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MetricLines } from "./metric-lines";
import { cursor, scanNumber } from "./scan-number";
import { pythonLine } from "./testing";

const encoder = new TextEncoder();
const whole = (lines: MetricLines, text: string) => lines.append(encoder.encode(text));

/** What JSON.parse makes of the same text: rows by kind, with float32 measures. */
function naive(text: string) {
  const rows = new Map<string, Map<string, number>[]>();
  let skipped = 0;
  for (const line of text.slice(0, text.lastIndexOf("\n") + 1).split("\n")) {
    if (line.trim() === "") continue;
    let record: unknown = null;
    try {
      record = JSON.parse(line);
    } catch {
      // Counted below.
    }
    const fields = new Map<string, unknown>(typeof record === "object" && record !== null && !Array.isArray(record) ? Object.entries(record) : []);
    const kind = fields.get("kind");
    if (typeof kind !== "string" || typeof fields.get("step") !== "number") {
      skipped++;
      continue;
    }
    const row = new Map<string, number>();
    for (const [name, value] of fields) if (typeof value === "number") row.set(name, value);
    rows.set(kind, [...(rows.get(kind) ?? []), row]);
  }
  return { rows, skipped };
}

function expectSame(lines: MetricLines, text: string) {
  const { rows, skipped } = naive(text);
  expect(lines.skipped).toBe(skipped);
  expect([...lines.tables].filter(([, table]) => table.length > 0).map(([kind]) => kind).sort()).toEqual([...rows.keys()].sort());
  for (const [kind, expected] of rows) {
    const table = lines.tables.get(kind);
    expect(table?.length).toBe(expected.length);
    expected.forEach((row, i) => {
      expect(table?.step.values[i]).toBe(row.get("step"));
      expect(table?.tokens.values[i]).toEqual(row.get("tokens") ?? NaN);
      for (const [name, { values }] of table?.measures ?? []) {
        const value = row.get(name) ?? NaN;
        // More than 15 digits may be off in the last bit of a float64, so in the last of a float32 too, if seldom.
        if (Number.isNaN(value)) expect(values[i]).toBeNaN();
        else expect(Math.abs((values[i] as number) - Math.fround(value))).toBeLessThanOrEqual(Math.abs(Math.fround(value)) * 2 ** -23);
      }
      for (const name of row.keys()) if (!["step", "tokens", "time", "stage"].includes(name)) expect(table?.measures.has(name)).toBe(true);
    });
  }
}

const measure = fc.oneof(
  fc.double({ noNaN: true, min: -1e6, max: 1e6 }).map((value) => Number(value.toFixed(6))),
  fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e30, max: 1e30 }),
  fc.double({ noNaN: true, min: 1e-12, max: 1e-3 }),
  fc.integer(),
  fc.constant(null),
);
const record = fc
  .record({
    kind: fc.constantFrom("train", "eval"),
    step: fc.nat(),
    tokens: fc.option(fc.maxSafeNat(), { nil: undefined }),
    time: fc.option(fc.double({ noNaN: true, min: 1.7e9, max: 1.9e9 }), { nil: undefined }),
    stage: fc.option(fc.nat(3), { nil: undefined }),
    stage_name: fc.option(fc.constantFrom("align", 'a "quoted" name', "Stufe ü {1}"), { nil: undefined }),
    measures: fc.dictionary(fc.constantFrom("loss", "kl", "align.0", "align.11", "kl.attn0", "grad_norm"), measure),
  })
  .map(({ measures, ...rest }) => ({ ...rest, ...measures }));
const strip = (fields: Record<string, unknown>) => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
const asJson = record.map((fields) => `${JSON.stringify(strip(fields))}\n`);
const asPython = record.map((fields) => pythonLine(strip(fields) as Record<string, number | string | null>));
const odd = fc.constantFrom(
  "\n",
  "garbage\n",
  '{"kind": "train", "step": 5, "loss": 0.1\n',
  '{"kind": "train", "step": 5, "loss": 0.1}}\n',
  '{"kind": "train", "step": 5, "loss": NaN}\n',
  '{"kind": "train", "step": 05, "loss": 1}\n',
  '{"kind": "train", "step": 5, "loss": 1.}\n',
  '{"kind": "train", "step": 5, "loss": -}\n',
  '{"kind": "train", "loss": 0.1}\n',
  '{"kind": 3, "step": 5}\n',
  '{"kind": "train", "step": null, "loss": 1}\n',
  '{"kind": "train", "step": 5, "more": {"deep": [1, 2]}, "loss": 0.5}\n',
  '{"kind": "train", "step": 5, "flag": true, "text": "a, \\"b\\": 3", "loss": 0.25}\n',
  '{"kind": "train", "step": 5, "loss": 1, "loss": 2}\n',
  '  {"step" :7 , "kind":"eval","loss" : 1e-3 }  \n',
  "[1, 2]\n",
  "null\n",
  '\u0000\u0000\u0000{"kind": "train"\n',
);
const text = fc.array(fc.oneof({ arbitrary: asPython, weight: 6 }, { arbitrary: asJson, weight: 2 }, { arbitrary: odd, weight: 1 }), { maxLength: 40 }).map((parts) => parts.join(""));

describe("numbers", () => {
  it("are those of JSON.parse, and nothing else is one", () => {
    const samples = ["0", "-0", "7", "-12.5", "1e5", "1E-5", "1e+05", "0.000001", "123456789012345", "1.7953320614711094e9", "1e400", "5e-324", "00", "1.", ".5", "-", "+1", "1e", "1e+", "nul", "null", "nan", "--1"];
    for (const sample of samples) {
      const value = scanNumber(encoder.encode(`${sample},`), 0);
      const json = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(sample) || sample === "null";
      expect([sample, cursor.end]).toEqual([sample, json ? sample.length : -1]);
      if (json) expect(value).toBe(sample === "null" ? NaN : Number(sample));
    }
  });

  it("are exact up to 15 digits, and beyond within 1e-15", () => {
    fc.assert(
      fc.property(fc.oneof(fc.double({ noNaN: true, noDefaultInfinity: true }), fc.maxSafeNat()), fc.boolean(), (value, exponential) => {
        const sample = exponential ? value.toExponential() : String(value);
        const read = scanNumber(encoder.encode(`${sample}}`), 0);
        expect(cursor.end).toBe(sample.length);
        if (sample.replace(/e.*$/, "").replace(/\D/g, "").length <= 15) expect(read).toBe(Number(sample));
        else expect(Math.abs(read - value)).toBeLessThanOrEqual(Math.max(Math.abs(value) * 1e-15, 1e-323));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("lines", () => {
  it("become what JSON.parse makes of them, in whatever parts they come", () => {
    fc.assert(
      fc.property(text, fc.array(fc.nat(400), { maxLength: 12 }), (all, sizes) => {
        const bytes = encoder.encode(all);
        const lines = new MetricLines();
        let carry = new Uint8Array(0);
        let at = 0;
        for (const size of [...sizes, bytes.length]) {
          const part = Buffer.concat([carry, bytes.subarray(at, at + size)]);
          at = Math.min(bytes.length, at + size);
          carry = Uint8Array.from(part.subarray(lines.append(part)));
        }
        expectSame(lines, all);
      }),
      { numRuns: 300 },
    );
  });

  it("wait until they are whole", () => {
    const lines = new MetricLines();
    const line = pythonLine({ kind: "train", step: 20, loss: 0.5 });
    expect(whole(lines, line + line.slice(0, -2))).toBe(line.length);
    expect(lines.lines).toBe(1);
    expect(whole(lines, line.slice(0, -1))).toBe(0);
    expect([lines.lines, lines.skipped]).toEqual([1, 0]);
  });

  it("give a measure that comes late a column from the start", () => {
    const lines = new MetricLines();
    for (let step = 0; step < 600; step++) whole(lines, pythonLine(step < 500 ? { kind: "train", step, loss: step } : { kind: "train", step, loss: step, kl: 0.5 }));
    const kl = lines.tables.get("train")?.measures.get("kl")?.values;
    expect([kl?.[0], kl?.[499], kl?.[500], kl?.[599]]).toEqual([NaN, NaN, 0.5, 0.5]);
  });

  it("name the stages of a pipeline", () => {
    const lines = new MetricLines();
    whole(lines, pythonLine({ kind: "train", step: 1, stage: 0, stage_name: "align", loss: 1 }));
    whole(lines, pythonLine({ kind: "train", step: 2, stage: 1, stage_name: "distill", loss: 1 }));
    expect([...lines.stageNames]).toEqual([
      [0, "align"],
      [1, "distill"],
    ]);
    expect([...(lines.tables.get("train")?.stage.values.subarray(0, 2) ?? [])]).toEqual([0, 1]);
  });

  it("have times that never fall, whatever the clock does, with the clock's own steps between", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ step: fc.integer({ min: -1000, max: 1000 }), kind: fc.constantFrom("train", "eval") }), { minLength: 1, maxLength: 60 }), (steps) => {
        const lines = new MetricLines();
        let clock = 1_795_332_000;
        const expected: number[] = [];
        steps.forEach(({ step, kind }, i) => {
          clock += i === 0 ? 0 : step;
          expected.push(i === 0 ? clock : (expected[i - 1] as number) + Math.max(0, step));
          whole(lines, pythonLine({ kind, step: i, time: clock, loss: 1 }));
        });
        for (const table of lines.tables.values()) {
          for (let i = 0; i < table.length; i++) expect(table.time.values[i]).toBe(expected[table.step.values[i] as number]);
        }
      }),
    );
  });
});
