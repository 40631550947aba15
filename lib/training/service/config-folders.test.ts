import { readdir, readFile } from "node:fs/promises";
import { expect, it } from "vitest";
import { configDocumentSchema } from "../types";
import { configOnNode, dataPaths, portableConfig } from "./config-folders";

const folders = { root: "/home/me/.mambascope", shipped: "/home/me/.mambascope/shipped" };

it("every recipe goes to a node and comes back as it was", async () => {
  for (const file of (await readdir("trainer/recipes")).filter((name) => name.endsWith(".json"))) {
    const config = configDocumentSchema.parse(JSON.parse(await readFile(`trainer/recipes/${file}`, "utf8")));
    const there = configOnNode(config, folders);
    expect(JSON.stringify(there)).not.toMatch(/"(bundle:)?(data|public)\//);
    expect(portableConfig(there, folders)).toEqual(config);
  }
});

it("finds each folder that a config reads, also in its stages and shares", () => {
  const config = { data: { train: [{ folder: "data/a", share: 1 }, { folder: "/abs" }], evaluation: "data/b" }, stages: [{ data: { train: "data/c" } }] };
  expect(dataPaths(config)).toEqual(["data/a", "/abs", "data/b", "data/c"]);
  expect(configOnNode({ data: { train: "./data/x/", evaluation: "/abs" }, mixer: { start_from: ["previous", "bundle:public/models/stories#attn50", "data/runs/r", "init"] } }, folders)).toEqual({
    data: { train: `${folders.root}/x`, evaluation: "/abs" },
    mixer: { start_from: ["previous", `bundle:${folders.shipped}/stories#attn50`, `${folders.root}/runs/r`, "init"] },
  });
});
