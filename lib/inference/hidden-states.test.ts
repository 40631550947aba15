import fc from "fast-check";
import { expect, it } from "vitest";
import { HiddenStates } from "./hidden-states";

const CONTEXT = 12;
const WIDTH = 3;

/** Rows that tell where and when they were written. */
const rowsOf = (stamps: readonly number[]): Float32Array => Float32Array.from(stamps.flatMap((stamp) => [stamp, 10 * stamp, stamp / 2]));
const shifted = (held: readonly number[], position: number, count: number): Float32Array => rowsOf(Array.from({ length: count }, (_, index) => (position + index === 0 ? 0 : held[position + index - 1]!)));

const action = fc.oneof(
  fc.record({ kind: fc.constant("write" as const), back: fc.nat(CONTEXT), count: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constantFrom("save" as const, "restore" as const, "reset" as const), back: fc.nat(CONTEXT), count: fc.constant(0) }),
);

it("holds what was written last, and a snapshot whatever is written meanwhile", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 30 }), fc.nat(CONTEXT), fc.nat(CONTEXT), (actions, from, most) => {
      const states = new HiddenStates(CONTEXT, WIDTH);
      let held: number[] = [];
      let snapshot: number[] | null = null;
      let stamp = 1;
      for (const { kind, back, count } of actions) {
        const position = Math.max(0, held.length - back);
        if (kind === "write") {
          const written = Array.from({ length: Math.min(count, CONTEXT - position) }, () => stamp++);
          states.write(position, rowsOf(written));
          held = [...held.slice(0, position), ...written];
        } else if (kind === "save") {
          states.saveSnapshot(position);
          snapshot = held.slice(0, position);
        } else if (kind === "restore") {
          if (snapshot) states.restoreSnapshot();
          else expect(() => states.restoreSnapshot()).toThrow("no snapshot");
          held = [...(snapshot ?? held)];
        } else {
          states.reset();
          held = [];
        }
      }
      const position = Math.min(from, held.length);
      const count = Math.min(most, held.length + 1 - position);
      const features = states.before(position, count);
      expect(features).toEqual(shifted(held, position, count));
      features.fill(99); // a copy
      expect(states.before(position, count)).toEqual(shifted(held, position, count));
      expect(() => states.before(position, held.length + 2 - position)).toThrow(RangeError);
      expect(states.snapshotBytes).toBe(4 * WIDTH * (snapshot?.length ?? 0));
    }),
  );
});

it("holds one stretch of positions: what lies before a gap is held no more", () => {
  const states = new HiddenStates(CONTEXT, WIDTH);
  states.write(0, rowsOf([1, 2, 3]));
  states.write(5, rowsOf([4, 5]));
  expect(states.before(6, 2)).toEqual(rowsOf([4, 5]));
  for (const position of [0, 1, 3, 5]) expect(() => states.before(position, 2)).toThrow("5 to 6 are held");
  states.saveSnapshot(6);
  states.write(2, rowsOf([6, 7]));
  expect(states.before(3, 2)).toEqual(rowsOf([6, 7]));
  expect(() => states.before(2, 1)).toThrow(RangeError);
  states.restoreSnapshot();
  expect(states.before(6, 1)).toEqual(rowsOf([4]));
  expect(() => states.before(6, 2)).toThrow(RangeError);
});

it("gives zeros before a text's first token, whatever is held", () => {
  const states = new HiddenStates(CONTEXT, WIDTH);
  expect(states.before(0, 1)).toEqual(new Float32Array(WIDTH));
  expect(states.before(7, 0)).toEqual(new Float32Array());
  expect(states.reservedBytes).toBe(0);
  states.write(3, rowsOf([1]));
  expect(states.before(0, 1)).toEqual(new Float32Array(WIDTH));
  expect(states.reservedBytes).toBe(4 * CONTEXT * WIDTH);
});

it("refuses rows that do not fit", () => {
  const states = new HiddenStates(CONTEXT, WIDTH);
  expect(() => states.write(CONTEXT - 1, rowsOf([1, 2]))).toThrow(RangeError);
  expect(() => states.write(-1, rowsOf([1]))).toThrow(RangeError);
  expect(() => states.write(0, new Float32Array(WIDTH + 1))).toThrow("no rows of 3");
});
