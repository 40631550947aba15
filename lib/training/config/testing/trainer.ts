/** The real trainer for tests, and random run configs. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import type { Architecture } from "@/lib/hybrid/config";
import type { ConfigDocument } from "../../types";
import { withoutValue, withValue } from "../document";
import { recipes } from "../recipes";

export const projectRoot = path.resolve(import.meta.dirname, "../../../..");

const architectures = new Map<string, Architecture>();

/** The shape of a family that ships. */
export function architectureOf(family: string): Architecture {
  const known = architectures.get(family);
  if (known) return known;
  const manifest = JSON.parse(readFileSync(path.join(projectRoot, "public/models", family, "manifest.json"), "utf8")) as { architecture: Architecture };
  architectures.set(family, manifest.architecture);
  return manifest.architecture;
}

/** Runs a Python program with the trainer on its path; JSON in, JSON out. */
export function askTrainer(python: string, program: string, input: unknown): unknown {
  const done = spawnSync(python, ["-c", program], {
    cwd: projectRoot,
    input: JSON.stringify(input),
    encoding: "utf8",
    env: { ...process.env, PYTHONPATH: path.join(projectRoot, "trainer"), OMP_NUM_THREADS: "1" },
    maxBuffer: 1 << 28,
  });
  if (done.status !== 0) throw new Error(`The trainer failed: ${done.stderr}`);
  return JSON.parse(done.stdout);
}

type Change = { path: (string | number)[]; value: unknown };

const layers = fc.array(fc.integer({ min: -1, max: 9 }), { maxLength: 5 });
// No texts of numbers and no 0 or 1 for truth values: pydantic would convert them, the form does not.
const anything = fc.constantFrom<unknown>(null, "text", [], {}, -1, 0.5, 2, 3, 40, 2.5e-3, [1, 3], ["init"], ["previous", "init"]);

const change = (path: string, value: fc.Arbitrary<unknown>): fc.Arbitrary<Change> => value.map((chosen) => ({ path: path.split("."), value: chosen }));

/** Changes of a field to a value that may or may not fit it. */
const changes: fc.Arbitrary<Change>[] = [
  change("method", fc.constantFrom("pretrain", "orient", "align", "distill", "dpo", "draft", "other")),
  change("layers", layers),
  change("layers_trained", fc.oneof(layers, fc.constant(null))),
  change("train", fc.constantFrom("mixers", "mixers+norms", "mixers+mlp", "all", "none")),
  change("pattern", fc.constantFrom("fixed", "random", "mixture")),
  change("full_probability", fc.constantFrom(0, 0.3, 1, 1.2, -0.1)),
  change("random_share", fc.constantFrom(0, 0.3, 0.999, 1)),
  change("mixture", fc.array(fc.record({ name: fc.constantFrom("a", "b", "-c", ""), layers: fc.array(fc.integer({ min: 0, max: 8 }), { maxLength: 3 }), share: fc.constantFrom(1, 0.5, 0) }), { maxLength: 3 })),
  change("draft", fc.constantFrom(null, {}, { layers: 3 }, { layers: 0 }, { from_layers: [0, 7] }, { mixer: "mamba" }, { features: true }, { feature_loss: 0.1 }, { features: true, passes: 0 }, { start_from: "draft2" }, { start_from: "draft2", layers: 2, from_layers: [0, 1] })),
  change("architecture", fc.constantFrom(null, {}, { hidden_size: 4 })),
  change("optimiser.batch", fc.integer({ min: 0, max: 12 })),
  change("optimiser.accumulate", fc.integer({ min: 0, max: 5 })),
  change("optimiser.beta2", fc.constantFrom(0, 0.5, 1)),
  change("optimiser.final_fraction", fc.constantFrom(0, 1, 1.01)),
  change("optimiser.decay_fraction", fc.constantFrom(0, 1)),
  change("optimiser.adam_learning_rate", fc.constantFrom(null, 0, 0.1)),
  change("loss.alpha", fc.constantFrom(0, 0.5, -1)),
  change("loss.ce_tokens", fc.constantFrom("all", "answers")),
  change("mixer.start_from", fc.constantFrom<unknown>(null, "init", "x", [], ["init"], ["x", "init"], ["init", "x"], [1])),
  change("mixer.codec", fc.constantFrom(null, "q4_0", "q5_0")),
  change("mixer.options", fc.constantFrom<unknown>({}, { gate: false }, [], null)),
  change("data.train", fc.constantFrom<unknown>("x", [], [{ folder: "x" }], [{ folder: "x", share: 0 }], [{ folder: 1 }], [{ folder: "x", weight: 1 }])),
  change("data.seq_len", fc.constantFrom(1, 2, 64)),
  change("samples.prompts", fc.constantFrom<unknown>([], ["a"], [""])),
  change("bundle", fc.constantFrom<unknown>([], ["public/models"], [1])),
  change("checkpoint.sharded", fc.constantFrom<unknown>(null, true, "maybe")),
  change("name", fc.constantFrom<unknown>("other", null)),
  change("colour", fc.constant("red")),
  change("optimiser.colour", fc.constant("red")),
  fc.tuple(fc.constantFrom("family", "data", "optimiser", "mixer", "loss", "device", "optimiser.steps", "optimiser.learning_rate", "data.evaluation", "parallel", "mixture", "layers", "stages", "stepwise"), anything).map(([path, value]) => ({ path: path.split("."), value })),
  change("stepwise", fc.constantFrom<unknown>({ ratios: [0.5, 0] }, { ratios: [0.5, 0.5] }, { ratios: [1, 0.5] }, { ratios: [] }, { ratios: [0.5], selection: [[0, 2]] }, { ratios: [0.5, 0.25], selection: [[0, 2], [1]] }, { ratios: [0.25], selection: [] }, {})),
  change("stages", fc.constantFrom<unknown>([], [{}], [{ method: "align" }, { method: "distill" }], [{ method: "distill" }, { method: "distill" }], [{ name: "a", method: "draft" }], [{ method: "orient", mixer: { options: { gate: false } } }, { method: "align" }], [{ optimiser: { batch: 7, accumulate: 2 } }], [{ optimiser: { steps: 0 } }, 1])),
];

/** A recipe with some of its fields changed or left out. */
export const randomConfig: fc.Arbitrary<ConfigDocument> = fc
  .record({
    recipe: fc.constantFrom(...Object.values(recipes)),
    changed: fc.array(fc.oneof(...changes), { minLength: 0, maxLength: 3 }),
    left: fc.option(fc.constantFrom("name", "method", "layers", "data.train", "optimiser.steps", "mixer", "stages"), { freq: 6 }),
  })
  .map(({ recipe, changed, left }) => {
    let document = structuredClone(recipe) as unknown as ConfigDocument;
    for (const { path, value } of changed) document = withValue(document, path, value);
    return left === null ? document : withoutValue(document, left.split("."));
  });
