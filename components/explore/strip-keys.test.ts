import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pressKey, rangeOf, type Cursor } from "./strip-keys";

const at = (focus: number, anchor = focus): Cursor => ({ focus, anchor });

describe("keys on the strip", () => {
  it("moves with arrows, Home and End, and stays inside", () => {
    expect(pressKey(at(3), { key: "ArrowRight" }, 8, 8)).toEqual({ cursor: at(4), toggle: false });
    expect(pressKey(at(0), { key: "ArrowLeft" }, 8, 8)?.cursor).toEqual(at(0));
    expect(pressKey(at(7), { key: "ArrowRight" }, 8, 8)?.cursor).toEqual(at(7));
    expect(pressKey(at(3), { key: "Home" }, 8, 8)?.cursor).toEqual(at(0));
    expect(pressKey(at(3), { key: "End" }, 8, 8)?.cursor).toEqual(at(7));
  });

  it("moves by rows where the strip is wrapped, and never to another column", () => {
    expect(pressKey(at(3), { key: "ArrowDown" }, 30, 11)?.cursor).toEqual(at(14));
    expect(pressKey(at(14), { key: "ArrowUp" }, 30, 11)?.cursor).toEqual(at(3));
    expect(pressKey(at(25), { key: "ArrowDown" }, 30, 11)?.cursor).toEqual(at(25));
    expect(pressKey(at(5), { key: "ArrowUp" }, 30, 11)?.cursor).toEqual(at(5));
    expect(pressKey(at(5), { key: "ArrowDown" }, 8, Infinity)?.cursor).toEqual(at(5));
  });

  it("extends a range with Shift, in both directions, and toggles it", () => {
    const two = pressKey(at(3), { key: "ArrowLeft", shift: true }, 8, 8)?.cursor ?? at(0);
    expect(rangeOf(two)).toEqual([2, 3]);
    const far = pressKey(two, { key: "End", shift: true }, 8, 8)?.cursor ?? at(0);
    expect(rangeOf(far)).toEqual([3, 7]);
    expect(pressKey(far, { key: " " }, 8, 8)).toEqual({ cursor: far, toggle: true });
    expect(pressKey(far, { key: "Enter" }, 8, 8)?.toggle).toBe(true);
    expect(pressKey(far, { key: "Escape" }, 8, 8)?.cursor).toEqual(at(7));
    expect(pressKey(far, { key: "ArrowLeft" }, 8, 8)?.cursor).toEqual(at(6));
  });

  it("takes all with Ctrl+A, and leaves other keys and shortcuts to the page", () => {
    expect(rangeOf(pressKey(at(3), { key: "a", control: true }, 8, 8)?.cursor ?? at(0))).toEqual([0, 7]);
    for (const press of [{ key: "z", control: true }, { key: "ArrowRight", control: true }, { key: "x" }, { key: "Tab" }, { key: "Escape" }]) {
      expect(pressKey(at(3), press, 8, 8)).toBeNull();
    }
  });

  it("keeps every cursor inside the strip", () => {
    const keys = fc.constantFrom("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", " ", "Escape", "a");
    const press = fc.record({ key: keys, shift: fc.boolean(), control: fc.boolean() });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 60 }), fc.array(press, { maxLength: 40 }), (count, columns, presses) => {
        let cursor = at(0);
        for (const one of presses) cursor = pressKey(cursor, one, count, columns)?.cursor ?? cursor;
        const [first, last] = rangeOf(cursor);
        expect(first).toBeGreaterThanOrEqual(0);
        expect(last).toBeLessThan(count);
        expect(first).toBeLessThanOrEqual(last);
      }),
    );
  });
});
