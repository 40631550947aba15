import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { logLines, splitFound, toneOf } from "./log-lines";

describe("log lines", () => {
  it("tell errors and warnings from what is in order", () => {
    expect(toneOf("RuntimeError: CUDA error: out of memory")).toBe("error");
    expect(toneOf("RuntimeError: the disk is full")).toBe("error");
    expect(toneOf("Traceback (most recent call last):")).toBe("error");
    expect(toneOf("the run failed")).toBe("error");
    expect(toneOf("UserWarning: a checkpoint was skipped")).toBe("warning");
    expect(toneOf("2026-11-22 10:41:40 train 10/600  loss 0.4893")).toBe("plain");
  });

  it("end where the text ends, and bars show their last state", () => {
    expect(logLines("one\r\ntwo\n")).toEqual(["one", "two"]);
    expect(logLines("10%\r50%\r100%\nthen")).toEqual(["100%", "then"]);
    expect(logLines("")).toEqual([]);
  });

  it("are found whatever the case, and nothing of them is lost", () => {
    expect(splitFound("Loss 0.5, loss 0.4", "loss")).toEqual(["", "Loss", " 0.5, ", "loss", " 0.4"]);
    fc.assert(
      fc.property(fc.stringMatching(/^[ab ]{0,30}$/), fc.stringMatching(/^[ab]{0,3}$/), (line, search) => {
        const parts = splitFound(line, search);
        expect(parts.join("")).toBe(line);
        parts.forEach((part, index) => expect(index % 2 === 1 ? part : true).toBe(index % 2 === 1 ? search : true));
      }),
    );
  });
});
