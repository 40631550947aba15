import fc from "fast-check";
import { expect, it } from "vitest";
import { nodeIdPattern, runIdPattern } from "../types";
import { newNodeId, newRunId } from "./ids";

it("ids of any name are ones that nodes take, and differ", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 120 }), (name) => {
      const id = newRunId(name, new Date("2026-11-22T13:05:00Z"));
      expect(id).toMatch(runIdPattern);
      // What the trainer and the agent ask for.
      expect(id).toMatch(/^[a-z0-9][a-z0-9-]{0,79}$/);
      expect(id).toMatch(/-20261122-1305-[a-z0-9]{4}$/);
      const first = newNodeId(name, new Set());
      expect(first).toMatch(nodeIdPattern);
      const second = newNodeId(name, new Set([first]));
      expect(second).toMatch(nodeIdPattern);
      expect(second).not.toBe(first);
    }),
  );
  expect(newRunId("Tiny, interleaved!")).toMatch(/^tiny-interleaved-\d{8}-\d{4}-/);
});
