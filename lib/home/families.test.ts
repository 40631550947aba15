import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { writeBundle } from "@/e2e/bundles";
import { describeFamily, listFamilies } from "./families";
import { bundleListSchema } from "./listing";

let home = "";
const before = process.env.MAMBASCOPE_HOME;

beforeAll(async () => {
  home = await mkdtemp(path.join(tmpdir(), "mambascope-home-"));
  process.env.MAMBASCOPE_HOME = home;
  const models = path.join(home, "models");
  await writeBundle(models, { family: "whole", title: "Whole", seed: 1, chat: true });
  await writeBundle(models, { family: "short", title: "Short", seed: 2, fault: "truncated" });
  await writeBundle(models, { family: "absent", title: "Absent", seed: 3, fault: "to-fetch" });
  await writeBundle(models, { family: "future", title: "Future", seed: 4, fault: "other-version" });
  await writeBundle(models, { family: "broken", title: "Broken", seed: 5 });
  await cp(fileURLToPath(new URL("../inference/fixtures/drafts", import.meta.url)), path.join(models, "tiny"), { recursive: true });
  await writeFile(path.join(models, "broken", "manifest.json"), "{");
});

afterAll(async () => {
  if (before === undefined) delete process.env.MAMBASCOPE_HOME;
  else process.env.MAMBASCOPE_HOME = before;
  await rm(home, { recursive: true });
});

it("tells what is present, missing and unusable", async () => {
  const { families } = bundleListSchema.parse(await listFamilies());
  const names = families.map(({ family }) => family);
  expect(names).toEqual(expect.arrayContaining(["absent", "broken", "future", "short", "whole"]));

  const whole = await describeFamily("whole");
  expect(whole).toMatchObject({ chat: true, fetchable: false, problem: null, shape: { layers: 4 } });
  expect(whole?.variants.map(({ name, ready }) => [name, ready])).toEqual([["teacher", true], ["attn50", true], ["attn0", true]]);

  // A draft reads the base's shard too, for the embedding.
  const drafts = (await describeFamily("tiny"))?.variants.map(({ name, draft, features, ready, files }) => [name, draft, features, ready, files.length]);
  expect(drafts).toEqual([
    ["teacher", false, false, true, 1],
    ["draft2", true, false, true, 2],
    ["draft2-attention", true, false, true, 2],
    ["eagle1", true, true, true, 2],
    ["eagle1-attention", true, true, true, 2],
  ]);

  const short = await describeFamily("short");
  expect(short?.files.map(({ state }) => state).sort()).toEqual(["present", "present", "wrong-size"]);
  expect(short?.variants.some(({ ready }) => ready)).toBe(false);

  expect(await describeFamily("absent")).toMatchObject({ fetchable: true, origin: "gguf-package" });
  expect((await describeFamily("future"))?.problem?.message).toContain("99");
  expect((await describeFamily("broken"))?.problem?.message).toContain("not JSON");
  expect(await describeFamily("none")).toBeNull();
});
