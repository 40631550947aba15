import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { LocalRunFiles } from "./local-files";
import { readLog, readSamples, Tail } from "./tails";

let home: string;
let files: LocalRunFiles;
const at = (name: string) => path.join(home, "run", name);

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), "mambascope-tails-"));
  mkdirSync(path.join(home, "run"));
  files = new LocalRunFiles(home);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

async function newText(tail: Tail): Promise<string> {
  let text = "";
  for await (const { bytes } of tail.parts()) text += new TextDecoder().decode(bytes);
  return text;
}

it("a log is read by whole lines, from the start or from the end", async () => {
  expect(await readLog(files, "run", 0)).toMatchObject({ size: 0, text: "" });
  const lines = Array.from({ length: 100 }, (_, i) => `Zeile ${i} – größer\n`).join("");
  writeFileSync(at("log.txt"), `${lines}torn`);
  const all = await readLog(files, "run", 0);
  expect([all.text, all.from, all.to]).toEqual([lines, 0, Buffer.byteLength(lines)]);
  const rest = await readLog(files, "run", all.to);
  expect([rest.text, rest.from, rest.to]).toEqual(["", all.to, all.to]);
  const end = await readLog(files, "run", -100);
  expect(lines.endsWith(end.text) && end.text.startsWith("Zeile ")).toBe(true);
  expect(end.to).toBe(all.to);
  // A file that was replaced by a shorter one is read from its start.
  writeFileSync(at("log.txt"), "new\n");
  expect((await readLog(files, "run", all.to)).text).toBe("new\n");
});

it("a long log comes in parts that join, also where a line is longer than one", async () => {
  const text = `${"x".repeat(700_000)}\n${"y\n".repeat(1000)}`;
  writeFileSync(at("log.txt"), text);
  let joined = "";
  for (let from = 0; from < text.length; ) {
    const part = await readLog(files, "run", from);
    expect(part.from).toBe(from);
    expect(part.to).toBeGreaterThan(from);
    joined += part.text;
    from = part.to;
  }
  expect(joined).toBe(text);
});

it("a tail gives what is new, and all of a file that was replaced", async () => {
  const tail = new Tail(files, "run", "log.txt");
  expect(await newText(tail)).toBe("");
  writeFileSync(at("log.txt"), "one\ntw");
  expect(await newText(tail)).toBe("one\n");
  appendFileSync(at("log.txt"), "o\nthree\n");
  expect(await newText(tail)).toBe("two\nthree\n");
  writeFileSync(at("log.part"), "1\n");
  renameSync(at("log.part"), at("log.txt"));
  expect(await newText(tail)).toBe("1\n");
  await tail.skip();
  appendFileSync(at("log.txt"), "2\n");
  expect(await newText(tail)).toBe("2\n");
});

it("samples are the newest, without what cannot be read", async () => {
  expect(await readSamples(files, "run")).toEqual({ samples: [], total: 0 });
  const sample = (step: number) => JSON.stringify({ step, tokens: 1, time: 2, prompt: "Once", text: `text ${step}`, teacher: "other" });
  writeFileSync(at("samples.jsonl"), `${sample(1)}\n{"step": 3}\ngarbage\n${JSON.stringify({ step: 2, prompt: "p", text: "t" })}\n${sample(4)}\n${sample(5).slice(0, 20)}`);
  expect(await readSamples(files, "run", 2)).toEqual({
    samples: [
      { step: 2, prompt: "p", text: "t", teacher: null },
      { step: 4, prompt: "Once", text: "text 4", teacher: "other" },
    ],
    total: 3,
  });
});
