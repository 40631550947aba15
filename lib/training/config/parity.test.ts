/** The form's checks against the trainer's own: what one takes, the other takes. */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import type { ConfigDocument } from "../types";
import { stepFlops } from "./flops";
import { fillPlaces, projectPlaces } from "./places";
import { presets } from "./presets";
import { architectureOf, askTrainer, randomConfig } from "./testing/trainer";
import { trainerPython } from "../testing/trainer-python";
import { repeatedLayers } from "./rules";
import type { RunConfig } from "./run-config";
import { runSchema, withSections } from "./schema";
import { checkConfig, hasErrors } from "./validate";

const python = trainerPython;

const program = `
import json, sys, tempfile
from pathlib import Path
from mambascope_trainer.benchmark.flops import step_flops
from mambascope_trainer.bundle.manifest import Architecture
from mambascope_trainer.cli import parse
from mambascope_trainer.run.config import ConfigError, RunConfig, read_plan
asked = json.load(sys.stdin)
judged = []
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "config.json"
    for document in asked["documents"]:
        path.write_text(json.dumps(document))
        try:
            plan = read_plan(path)
            judged.append({"stages": [[s.name, s.config.layers, s.config.mixer.start_from] for s in plan.stages]})
        except ConfigError as error:
            judged.append({"refused": error.message})
flops = [step_flops(RunConfig.model_validate(c), Architecture(**a)).total for c, a in asked["counted"]]
commands = [parse(argv).command for argv in asked["commands"]]
print(json.dumps({"judged": judged, "flops": flops, "commands": commands}))
`;

type Judged = { stages: [string | null, number[], unknown][] } | { refused: string };

describe.skipIf(python === null)(`the trainer and the form${python === null ? " (no trainer environment: npm test makes it)" : ""}`, () => {
  const documents: ConfigDocument[] = fc.sample(randomConfig, { numRuns: 1000, seed: 11 });
  const counted = presets.flatMap(({ config }) => {
    const arch = architectureOf(String(config.family));
    const known = (checkConfig(config, arch).stages ?? []).filter(({ config: c }) => (c.method === "align" || c.method === "distill") && c.pattern === "fixed" && c.train === "mixers");
    return known.map((stage) => ({ config: stage.config, arch }));
  });
  const commands = presets.flatMap(({ data }) => data.map(({ argv }) => fillPlaces(argv, projectPlaces("run"))));
  let answers: { judged: Judged[]; flops: number[]; commands: string[] } = { judged: [], flops: [], commands: [] };
  beforeAll(() => {
    answers = askTrainer(python ?? "", program, { documents, counted: counted.map(({ config, arch }) => [config, arch]), commands }) as typeof answers;
  }, 60_000);

  it("take and refuse the same configs, for the same reasons between fields", () => {
    let taken = 0;
    for (const [index, document] of documents.entries()) {
      const answer = answers.judged[index]!;
      const family = document.family === "stories" || document.family === "smollm2-135m-instruct" ? document.family : null;
      const layers = family === null ? null : { num_hidden_layers: architectureOf(family).num_hidden_layers };
      // The trainer looks at the teacher's layers only for stepwise; when it has read the plan.
      const { problems, stages } = checkConfig(document, "stepwise" in document ? layers : null);
      const said = problems.map(({ path, message }) => `${path}: ${message}`).join("\n");
      if ("refused" in answer) {
        expect(hasErrors(problems), `${JSON.stringify(document)}\nthe trainer says ${answer.refused}`).toBe(true);
        continue;
      }
      const beyond = problems.every(({ message }) => message.includes("there is no layer"));
      expect(beyond, `${JSON.stringify(document)}\nthe form says ${said}`).toBe(true);
      if (stages) expect(stages.map(({ name, config }) => [name, [...config.layers].sort((one, other) => one - other), config.mixer.start_from])).toEqual(answer.stages);
      taken += 1;
    }
    // Neither side may have its way with everything.
    expect(taken).toBeGreaterThan(200);
    expect(documents.length - taken).toBeGreaterThan(200);
  });

  it("name the same broken rules between fields", () => {
    const named = new Set<string>();
    for (const [index, document] of documents.entries()) {
      const answer = answers.judged[index]!;
      const parsed = runSchema.safeParse(withSections(document));
      if (!("refused" in answer) || "stages" in document || "stepwise" in document || !parsed.success || repeatedLayers(parsed.data as RunConfig).length > 0) continue;
      const own = checkConfig(document, null).problems.map(({ path, message }) => `${path}: ${message}`);
      const theirs = answer.refused.split("\n").slice(1).map((line) => line.trim().replace(/^(optimiser\.batch) must/, "$1: must"));
      expect([...own].sort(), JSON.stringify(document)).toEqual(theirs.sort());
      for (const reason of own) named.add(reason.replace(/\[.*\]/, ""));
    }
    expect(named.size).toBeGreaterThan(11);
  });

  it("count the same FLOPs of align and distill", () => {
    expect(counted.length).toBeGreaterThan(10);
    counted.forEach(({ config, arch }, index) => expect(stepFlops(config, arch) / answers.flops[index]!, config.name).toBeCloseTo(1, 9));
  });

  it("know the commands that make the presets' data", () => {
    // An option that the command has not ends the program.
    expect(answers.commands).toEqual(commands.map(([command]) => command));
  });
});
