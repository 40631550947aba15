import { describe, expect, it } from "vitest";
import { fieldNotes } from "./field-notes";
import { fieldPaths } from "./fields";
import { presets } from "./presets";
import { checkConfig } from "./validate";

const shapes: Record<string, number> = { stories: 8, "smollm2-135m-instruct": 30 };

describe("checking a config", () => {
  it.each(presets.filter(({ id }) => id !== "blank").map((preset) => [preset.id, preset] as const))("takes the preset %s", (_, { config }) => {
    const layers = shapes[String(config.family)] ?? 0;
    expect(checkConfig(config, { num_hidden_layers: layers }).problems).toEqual([]);
  });

  it("has a note for every field of the schema, and no other", () => {
    expect([...Object.keys(fieldNotes)].sort()).toEqual(fieldPaths.filter((path) => path !== "mixer.options").sort());
  });
});
