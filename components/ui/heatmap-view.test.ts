import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { axisTicks, cellAt, clampView, panView, pointAt, revealCell, type View, wholeView, zoomView } from "./heatmap-view";

const sizes = fc.integer({ min: 1, max: 2048 });
const share = fc.double({ min: 0, max: 1, noNaN: true });
const anyView = sizes.chain((n) =>
  fc.tuple(fc.constant(n), fc.record({ x: fc.double({ min: -n, max: 2 * n, noNaN: true }), y: fc.double({ min: -n, max: 2 * n, noNaN: true }), size: fc.double({ min: 0.1, max: 2 * n, noNaN: true }) })),
);
const within = (view: View, n: number): void => {
  expect(view.x).toBeGreaterThanOrEqual(0);
  expect(view.y).toBeGreaterThanOrEqual(0);
  expect(view.x + view.size).toBeLessThanOrEqual(n + 1e-6);
  expect(view.y + view.size).toBeLessThanOrEqual(n + 1e-6);
  expect(view.size).toBeGreaterThan(0);
};

describe("a heatmap's view", () => {
  it("stays within the matrix, however it is moved, and clamping twice changes nothing", () => {
    fc.assert(
      fc.property(anyView, share, share, fc.double({ min: 0.01, max: 100, noNaN: true }), ([n, raw], u, v, factor) => {
        const view = clampView(raw, n);
        within(view, n);
        expect(clampView(view, n)).toEqual(view);
        within(zoomView(view, factor, pointAt(view, u, v), n), n);
        within(panView(view, raw.x, raw.y, n), n);
      }),
    );
  });

  it("keeps the point under the pointer when zooming in", () => {
    fc.assert(
      fc.property(anyView, share, share, fc.double({ min: 1, max: 20, noNaN: true }), ([n, raw], u, v, factor) => {
        const view = clampView(raw, n);
        const at = pointAt(view, u, v);
        const after = pointAt(zoomView(view, factor, at, n), u, v);
        expect(after.x).toBeCloseTo(at.x, 6);
        expect(after.y).toBeCloseTo(at.y, 6);
      }),
    );
  });

  it("returns to where it was by zooming in and out about one point", () => {
    fc.assert(
      fc.property(anyView, share, share, fc.double({ min: 1, max: 20, noNaN: true }), ([n, raw], u, v, factor) => {
        const view = clampView(raw, n);
        fc.pre(view.size / factor >= 6 && n > 6);
        const at = pointAt(view, u, v);
        const back = zoomView(zoomView(view, factor, at, n), 1 / factor, at, n);
        expect(back.x).toBeCloseTo(view.x, 6);
        expect(back.y).toBeCloseTo(view.y, 6);
        expect(back.size).toBeCloseTo(view.size, 6);
      }),
    );
  });

  it("is the whole matrix after zooming all the way out", () => {
    fc.assert(
      fc.property(anyView, ([n, raw]) => {
        expect(zoomView(clampView(raw, n), 1e-9, { x: 0, y: 0 }, n)).toEqual(wholeView(n));
      }),
    );
  });

  it("finds the cell at each of its points, and reveals any cell by the least move", () => {
    fc.assert(
      fc.property(anyView, share, share, ([n, raw], u, v) => {
        const view = clampView(raw, n);
        const seen = cellAt(view, u, v, n);
        const { x, y } = pointAt(view, u, v);
        if (u < 1 && v < 1) {
          expect(Math.abs(seen.column + 0.5 - x)).toBeLessThanOrEqual(0.5 + 1e-6);
          expect(Math.abs(seen.row + 0.5 - y)).toBeLessThanOrEqual(0.5 + 1e-6);
        }
        const far = { row: Math.min(n - 1, Math.floor(u * n)), column: Math.min(n - 1, Math.floor(v * n)) };
        const moved = revealCell(view, far, n);
        within(moved, n);
        expect(moved.size).toBe(view.size);
        if (view.size >= 1) expect(far.column).toBeGreaterThanOrEqual(moved.x - 1e-9);
        if (view.size >= 1) expect(far.column + 1).toBeLessThanOrEqual(moved.x + moved.size + 1e-6);
        expect(revealCell(moved, far, n)).toEqual(moved);
      }),
    );
  });
});

describe("axis ticks", () => {
  it("rise by equal steps, lie in view and keep their distance", () => {
    fc.assert(
      fc.property(anyView, fc.integer({ min: 60, max: 900 }), fc.integer({ min: 8, max: 60 }), ([n, raw], pixels, gap) => {
        const view = clampView(raw, n);
        const ticks = axisTicks(view.x, view.size, pixels, gap, n);
        ticks.forEach((tick, index) => {
          expect(tick + 0.5).toBeGreaterThanOrEqual(view.x - 1e-6);
          expect(tick + 0.5).toBeLessThanOrEqual(view.x + view.size + 1e-6);
          if (index > 0) expect(((tick - ticks[index - 1]!) * pixels) / view.size).toBeGreaterThanOrEqual(gap - 1e-6);
        });
      }),
    );
    expect(axisTicks(0, 1024, 400, 36, 1024)).toEqual([0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
    expect(axisTicks(2, 4, 400, 36, 1024)).toEqual([2, 3, 4, 5]);
  });
});
