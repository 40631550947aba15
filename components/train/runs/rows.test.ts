import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { runStateSchema, type RunSummary } from "@/lib/training/types";
import { arrange, columns, type Filter, newestFirst, noFilter, readTable, writeTable } from "./rows";

const run = (part: Partial<RunSummary>): RunSummary => ({
  node: "local", id: "a", name: "a", family: "stories", method: "distill", preset: null, state: "finished", phase: null, phaseTitle: null, phaseIndex: null, phases: null,
  step: 0, steps: 10, tokens: 0, created: 0, started: null, updated: 0, secondsLeft: null, latest: {}, message: null, action: null, launcher: null, launch: null, stopping: false,
  tags: [], notes: "", readOnly: false, exported: null, stale: false, ...part,
});

const anyRun = fc
  .record({
    id: fc.stringMatching(/^[a-z]{4}$/), name: fc.stringMatching(/^[a-z]{0,6}$/), state: fc.constantFrom(...runStateSchema.options), step: fc.nat(10), tokens: fc.nat(1000), created: fc.nat(50),
    started: fc.option(fc.nat(100)), kl: fc.option(fc.double({ min: 0, max: 5, noNaN: true })), node: fc.constantFrom("local", "gpu"),
  })
  .map(({ kl, ...part }) => run({ ...part, latest: kl === null ? {} : { kl } }));
const runs = fc.uniqueArray(anyRun, { maxLength: 20, selector: ({ id }) => id });

describe("the table's rows", () => {
  it("are in the column's order, those without a value last", () => {
    fc.assert(
      fc.property(runs, fc.boolean(), (list, down) => {
        const values = arrange(list, noFilter, { column: "kl", down }, 0).map(({ latest }) => latest.kl ?? null);
        const known = values.filter((value): value is number => value !== null);
        expect(values.slice(0, known.length)).toEqual(known);
        expect(known).toEqual([...known].sort((a, b) => (down ? b - a : a - b)));
      }),
    );
  });

  it("lose none and invent none, whichever the column", () => {
    fc.assert(
      fc.property(runs, fc.constantFrom(...columns), (list, column) => {
        const ids = arrange(list, noFilter, { column, down: false }, 0).map(({ id }) => id);
        expect([...ids].sort()).toEqual(list.map(({ id }) => id).sort());
      }),
    );
  });

  it("pass the filter and hold every word of the search", () => {
    const list = [run({ id: "one", name: "Tiny demo", tags: ["paper"] }), run({ id: "two", name: "tiny other", state: "running", node: "gpu" }), run({ id: "three", state: "queued" })];
    const ids = (filter: Partial<Filter>) => arrange(list, { ...noFilter, ...filter }, newestFirst, 0).map(({ id }) => id).sort();
    expect(ids({ search: "TINY demo" })).toEqual(["one"]);
    expect(ids({ search: "paper" })).toEqual(["one"]);
    expect(ids({ state: "active" })).toEqual(["three", "two"]);
    expect(ids({ node: "gpu" })).toEqual(["two"]);
    expect(ids({ tag: "paper" })).toEqual(["one"]);
    expect(ids({ search: "nobody" })).toEqual([]);
  });

  it("keep sort and filter in the address", () => {
    const sort = fc.record({ column: fc.constantFrom(...columns), down: fc.boolean() });
    const filter = fc.record({ search: fc.stringMatching(/^[a-z ]{0,8}$/), state: fc.option(fc.constantFrom(...runStateSchema.options, "active" as const)), node: fc.constantFrom(null, "local"), tag: fc.constantFrom(null, "x y") });
    fc.assert(
      fc.property(sort, filter, (wanted, kept) => {
        const query = new URLSearchParams();
        writeTable(query, { sort: wanted, filter: kept });
        expect(readTable(new URLSearchParams(query.toString()))).toEqual({ sort: wanted, filter: kept });
      }),
    );
    expect(readTable(new URLSearchParams("sort=moon&state=odd"))).toEqual({ sort: newestFirst, filter: noFilter });
  });
});
