import fc from "fast-check";
import { beforeEach, describe, expect, it } from "vitest";
import type { FamilyShape } from "./patterns";
import {
  applyView,
  chooseSet,
  editedSlot,
  historyOf,
  keepLayers,
  look,
  openFamily,
  paintLayers,
  patternsOf,
  redoEdit,
  setComparing,
  setLayer,
  setOwnText,
  setPattern,
  swapPatterns,
  textOf,
  undoEdit,
  useExplore,
  viewOf,
} from "./session";

const teacher = Array.from({ length: 4 }, () => "attention");
const half = ["attention", "mamba2:half", "attention", "mamba2:half"];
const shape: FamilyShape = {
  family: "four",
  layers: 4,
  sets: [
    { name: "every", layers: [0, 1, 2, 3] },
    { name: "half", layers: [1, 3] },
  ],
  variants: [
    { name: "teacher", title: "Teacher", layers: teacher },
    { name: "attn50", title: "50%", layers: half },
  ],
};
const now = () => patternsOf(useExplore.getState());
const initial = useExplore.getInitialState();

beforeEach(() => {
  useExplore.setState({ ...initial, restored: true }, true);
  openFamily(shape);
});

describe("editing patterns", () => {
  it("starts with the shipped half", () => {
    expect(now()).toEqual({ a: half, b: null });
  });

  it("paints from the chosen set where it holds the layer, else from one that does", () => {
    chooseSet("half");
    paintLayers(3, 0, "mamba");
    expect(now()?.a).toEqual(["mamba2:every", "mamba2:half", "mamba2:every", "mamba2:half"]);
    chooseSet("every");
    expect(now()?.a).toEqual(Array.from({ length: 4 }, () => "mamba2:every"));
    keepLayers([0]);
    setLayer(3, "mamba2:half");
    setLayer(2, "mamba2:half"); // not held: stays as it is
    expect(now()?.a).toEqual(["attention", "mamba2:every", "mamba2:every", "mamba2:half"]);
  });

  it("undoes and redoes every edit of both patterns, exactly", () => {
    const edit = fc.oneof(
      fc.tuple(fc.nat(3), fc.nat(3), fc.constantFrom("attention" as const, "mamba" as const)).map(([first, last, kind]) => () => paintLayers(first, last, kind)),
      fc.constantFrom("every", "half").map((set) => () => chooseSet(set)),
      fc.boolean().map((on) => () => setComparing(on)),
      fc.constant(swapPatterns),
      fc.constantFrom("a" as const, "b" as const).map((editing) => () => look({ editing })),
      fc.subarray([0, 1, 2, 3]).map((kept) => () => keepLayers(kept)),
    );
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 25 }), (edits) => {
        useExplore.setState({ ...initial, restored: true }, true);
        openFamily(shape);
        const states = [now()];
        for (const run of edits) {
          run();
          const patterns = now();
          if (historyOf(useExplore.getState())?.past.length === states.length) states.push(patterns);
          expect(patterns).toEqual(states.at(-1));
        }
        for (const state of states.slice(0, -1).reverse()) {
          undoEdit();
          expect(now()).toEqual(state);
        }
        undoEdit();
        expect(now()).toEqual(states[0]);
        for (const state of states.slice(1)) {
          redoEdit();
          expect(now()).toEqual(state);
        }
      }),
    );
  });

  it("makes no step of an edit that changes nothing, and forgets what was undone at the next edit", () => {
    setPattern([...half]);
    expect(historyOf(useExplore.getState())?.past).toEqual([]);
    setPattern(teacher);
    undoEdit();
    paintLayers(0, 0, "mamba");
    const painted = now();
    redoEdit();
    expect(now()).toEqual(painted);
  });

  it("edits A again when the comparison that was edited is undone", () => {
    setComparing(true);
    expect(editedSlot(useExplore.getState())).toBe("b");
    paintLayers(0, 0, "mamba");
    expect(now()).toEqual({ a: half, b: ["mamba2:every", ...half.slice(1)] });
    undoEdit();
    undoEdit();
    expect(editedSlot(useExplore.getState())).toBe("a");
    paintLayers(0, 0, "mamba");
    expect(now()).toEqual({ a: ["mamba2:every", ...half.slice(1)], b: null });
  });

  it("keeps the patterns of a family while another is open", () => {
    setPattern(teacher);
    openFamily({ ...shape, family: "other" });
    expect(now()?.a).toEqual(half);
    openFamily(shape);
    expect(now()?.a).toEqual(teacher);
    undoEdit();
    expect(now()?.a).toEqual(half);
  });
});

describe("links", () => {
  it("restores a view from what it says of itself", () => {
    setPattern(teacher);
    setComparing(true);
    paintLayers(1, 2, "mamba");
    chooseSet("half");
    setOwnText("An own text.");
    look({ layer: 2, tab: "inside" });
    const view = viewOf(useExplore.getState());
    useExplore.setState({ ...initial, restored: true }, true);
    applyView(view ?? {}, []);
    openFamily(shape);
    expect(viewOf(useExplore.getState())).toEqual(view);
    expect(textOf(useExplore.getState(), "four", null).text).toBe("An own text.");
    expect(useExplore.getState().problems).toEqual([]);
  });

  it("says what does not fit the family, and keeps what was there", () => {
    setPattern(teacher);
    const before = now();
    applyView({ family: "four", a: ["attention"], b: ["mamba2:half", "attention", "attention", "attention"], set: "none", layer: 9 }, []);
    const { problems, layer, set } = useExplore.getState();
    expect(problems).toHaveLength(4);
    expect(problems[0]).toContain("it has 1 layers, and the model 4");
    expect(problems[1]).toContain('no mixer set of this family gives layer 0 as "mamba2:half"');
    expect(now()).toEqual(before);
    expect([layer, set]).toEqual([3, null]);
  });

  it("can be undone", () => {
    applyView({ family: "four", a: teacher }, []);
    expect(now()?.a).toEqual(teacher);
    undoEdit();
    expect(now()?.a).toEqual(half);
  });
});
