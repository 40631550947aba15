import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { launcherSchema, type Launcher } from "../types";
import { commandLine, jobCommands } from "./commands";
import { dataSteps } from "./data-steps";
import { presets } from "./presets";

/** The arguments that a shell makes of a line. */
function shellWords(line: string): string[] {
  const { stdout, status } = spawnSync("sh", ["-c", `printf '%s\\0' ${line}`], { encoding: "utf8" });
  expect(status).toBe(0);
  return stdout.split("\0").slice(0, -1);
}

const cpu: Launcher = { kind: "process", gpus: "none" };

describe("command lines", () => {
  it("come back from a shell as the arguments they were made of", () => {
    const argument = fc.string({ unit: fc.constantFrom(..."a'\"$`\\ \n*?~#;|&<>(){}[]=%!é"), minLength: 0, maxLength: 12 });
    fc.assert(
      fc.property(fc.array(argument, { minLength: 1, maxLength: 4 }), (argv) => {
        expect(shellWords(commandLine(argv))).toEqual(argv);
      }),
      { numRuns: 60 },
    );
  });

  it("write the config that they train", () => {
    const config = { name: "it's $HOME", family: "stories" };
    const train = { name: "train", title: "", argv: ["train", "--config", "{run}/config.json", "--run-dir", "{run}", "--resume"], processes: 1 };
    const lines = jobCommands({ config, steps: [...dataSteps.tiny, train], launcher: cpu, gpus: 0, run: "mine" });
    expect(lines.at(-1)).toBe("python -m mambascope_trainer train --config data/runs/mine.json --run-dir data/runs/mine --resume");
    expect(lines.join("\n")).not.toContain("{r");
    const folder = mkdtempSync(path.join(tmpdir(), "commands-"));
    try {
      expect(spawnSync("sh", ["-c", String(lines[1])], { cwd: folder }).status).toBe(0);
      expect(JSON.parse(readFileSync(path.join(folder, "data/runs/mine.json"), "utf8"))).toEqual(config);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("start one process a GPU, and one torchrun a host under SLURM", () => {
    const train = { name: "train", title: "", argv: ["train", "--run-dir", "{run}"], processes: 2 };
    const line = (launcher: Launcher): string => String(jobCommands({ config: {}, steps: [train], launcher, gpus: 4, run: "r" }).at(-1));
    expect(line({ kind: "process", gpus: [0, 3] })).toBe("CUDA_VISIBLE_DEVICES=0,3 torchrun --standalone --nproc-per-node 2 -m mambascope_trainer train --run-dir data/runs/r");
    const all = { ...train, processes: "gpu" as const };
    expect(String(jobCommands({ config: {}, steps: [all], launcher: { kind: "process", gpus: "all" }, gpus: 0, run: "r" }).at(-1))).toBe("python -m mambascope_trainer train --run-dir data/runs/r");
    expect(String(jobCommands({ config: {}, steps: [all], launcher: { kind: "process", gpus: "all" }, gpus: null, run: "r" }).at(-1))).toContain("--nproc-per-node gpu");
    const slurm = launcherSchema.parse({ kind: "slurm", nodes: 2, gpusPerNode: 4, partition: "a|b", time: "1:00:00" });
    expect(line(slurm)).toContain("srun --nodes 2 --ntasks-per-node 1 --gpus-per-node 4 --partition 'a|b' --time 1:00:00 bash -c 'torchrun --nnodes 2 --nproc-per-node 4");
    expect(line({ kind: "slurm", nodes: 1, gpusPerNode: 1 })).toContain("torchrun --standalone --nproc-per-node 1 -m");
  });
});

describe("presets", () => {
  it("have different names, and steps with different names", () => {
    expect(new Set(presets.map(({ id }) => id)).size).toBe(presets.length);
    for (const { data } of presets) expect(new Set(data.map(({ name }) => name)).size).toBe(data.length);
  });

  it("make the data that they train on, or say what they need", () => {
    for (const { id, config, data, needs } of presets) {
      const { train } = config.data as { train: string | { folder: string }[] };
      const folders = typeof train === "string" ? [train] : train.map(({ folder }) => folder);
      const made = data.flatMap(({ argv }) => argv).map((argument) => argument.replace("{root}", "data"));
      for (const folder of folders) {
        const found = made.some((argument) => argument !== "data" && folder.startsWith(argument));
        const told = needs.some((need) => need.includes(folder.split("/").slice(0, -1).join("/")) || need.includes(`…/${folder.split("/").at(-2)}`));
        expect(found || told, `${id}: ${folder}`).toBe(true);
      }
    }
  });
});
