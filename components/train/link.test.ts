import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareHref, MOST_COMPARED, readRun, readRuns, readView, runHref, writeView } from "./link";
import { axes } from "./series";

const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,20}$/);
const runs = fc.uniqueArray(fc.record({ node: name, id: name }), { maxLength: MOST_COMPARED, selector: ({ node, id }) => `${node}:${id}` });
const queryOf = (address: string) => new URLSearchParams(address.split("?")[1]);

describe("addresses", () => {
  it("name runs and are read back", () => {
    fc.assert(
      fc.property(runs, (list) => {
        expect(readRuns(queryOf(compareHref(list)).get("runs"))).toEqual(list);
        for (const run of list) expect(readRun(queryOf(runHref(run)))).toEqual(run);
      }),
    );
  });

  it("leave out what names no run", () => {
    expect(readRuns("local:a,nonsense,../x:y,local:a,b:c")).toEqual([{ node: "local", id: "a" }, { node: "b", id: "c" }]);
    expect(readRuns(null)).toEqual([]);
    expect(readRun(new URLSearchParams("node=../etc&id=x"))).toBeNull();
  });

  it("keep the charts' state, to the digits that matter", () => {
    const place = fc.integer({ min: 0, max: 10_000_000 });
    const zoom = fc.option(fc.tuple(place, fc.integer({ min: 1, max: 1_000_000 })).map(([from, length]): [number, number] => [from, from + length]));
    const view = fc.record({ axis: fc.constantFrom(...axes), log: fc.boolean(), smoothing: fc.integer({ min: 0, max: 99 }).map((hundredths) => hundredths / 100), zoom });
    fc.assert(
      fc.property(view, (wanted) => {
        const query = new URLSearchParams("node=a&id=b");
        writeView(query, wanted);
        expect(readView(new URLSearchParams(query.toString()))).toEqual(wanted);
        expect(query.get("node")).toBe("a");
      }),
    );
    expect(readView(new URLSearchParams("axis=moon&smooth=7&zoom=9..3"))).toEqual(readView(new URLSearchParams()));
  });
});
