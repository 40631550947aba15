/** The reference: logits and greedy continuations of the PyTorch trainer, in float32 on the CPU. */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { z } from "zod";
import { say } from "../lib/console.mjs";
import { homeFolder, root } from "../lib/paths.mjs";
import { ensureVenv, installRequirements } from "../lib/python.mjs";
import { run, SetupError } from "../lib/run.mjs";
import type { Family } from "./families";
import { parityTexts } from "./texts";

/** Greedy tokens after each prompt. */
export const CONTINUATION = 128;

const caseSchema = z.object({
  text: z.string(),
  ids: z.array(z.number().int()).min(1),
  /** The file beside the others that holds all positions' logits. */
  logits: z.string(),
  continuation: z.array(z.number().int()).length(CONTINUATION),
  /** How far each greedy token's logit is above the second one's. */
  continuation_leads: z.array(z.number()).length(CONTINUATION),
});
const fixtureSchema = z.object({
  format: z.literal("mambascope-parity"),
  version: z.literal(1),
  variants: z.record(z.string(), z.object({ cases: z.array(caseSchema).min(1) })),
});
export type ParityCase = z.infer<typeof caseSchema>;
export type Fixtures = { folder: string; variants: Record<string, ParityCase[]> };

/** Records a family's fixtures in the home folder, or reads those recorded last. Throws SetupError. */
export async function fixturesOf(family: Family, { keep }: { keep: boolean }): Promise<Fixtures> {
  const folder = path.join(homeFolder(), "parity", family.name);
  const file = path.join(folder, "fixtures.json");
  if (!keep || !existsSync(file)) await record(family, folder, file);
  const fixture = fixtureSchema.parse(JSON.parse(await readFile(file, "utf8")));
  return { folder, variants: Object.fromEntries(Object.entries(fixture.variants).map(([name, { cases }]) => [name, cases])) };
}

async function record(family: Family, folder: string, file: string): Promise<void> {
  say(`${family.name}: recording the reference in PyTorch`);
  const python = await trainerPython();
  const temporary = await mkdtemp(path.join(tmpdir(), "mambascope-bench-"));
  try {
    const prompts = path.join(temporary, "prompts.json");
    await writeFile(prompts, JSON.stringify(parityTexts(family.chat)));
    await mkdir(folder, { recursive: true });
    const roots = [path.join(root, "public"), homeFolder()].map((parent) => path.join(parent, "models", family.name)).filter((place) => existsSync(place));
    const { code, stderr } = await run(
      python,
      ["-m", "mambascope_trainer", "parity", ...roots, "--prompts", prompts, "--fixtures", file, "--logits", folder, "--continuation", String(CONTINUATION), "--variants", ...family.variants],
      { cwd: path.join(root, "trainer"), env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" }, onLine: (line) => say(`  ${line}`) },
    );
    if (code !== 0) throw new SetupError("parity", `The trainer's own check of ${family.name} failed: ${stderr.trim().split("\n").at(-1)}`, "Correct what it names; the browser is compared only with a reference that agrees with itself.");
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** `MAMBASCOPE_PYTHON` if it has PyTorch, else the project's own environment with the trainer's packages. */
async function trainerPython(): Promise<string> {
  const named = process.env.MAMBASCOPE_PYTHON;
  if (named && (await run(named, ["-c", "import torch, transformers"])).code === 0) return named;
  const python = await ensureVenv(homeFolder());
  await installRequirements(python, homeFolder(), "trainer/requirements.txt");
  return python;
}
