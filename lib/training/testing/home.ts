/** A home folder for tests with real runs: its environment is the one that the tests themselves were given. */
import { createHash } from "node:crypto";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { requirementText } from "../nodes/trainer-files";
import { trainerPython } from "./trainer-python";

/** Why tests with real runs cannot be made here; null if they can. */
export const trainerMissing: string | null = trainerPython === null ? "no environment of the trainer: npm test makes one, or MAMBASCOPE_TEST_PYTHON names its Python" : null;

export type TestHome = { home: string; remove: () => Promise<void> };

/** A new home folder. Its `env/test` passes for a prepared environment. */
export async function makeHome(): Promise<TestHome> {
  const home = await mkdtemp(path.join(tmpdir(), "mambascope-home-"));
  await fillRoot(home);
  return { home, remove: () => rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }) };
}

/** Makes a folder the root of a node that is prepared. */
export async function fillRoot(root: string): Promise<void> {
  const folder = path.join(root, "env", "test");
  await mkdir(path.join(folder, "bin"), { recursive: true });
  const python = path.join(folder, "bin", "python");
  // One thread: the tests share the machine.
  await writeFile(python, `#!/bin/sh\nOMP_NUM_THREADS=1 exec '${trainerPython ?? "python3"}' "$@"\n`);
  await chmod(python, 0o755);
  const requirements = createHash("sha256").update(await requirementText(process.cwd(), "requirements-run.txt")).digest("hex");
  const torch = { version: "2.13.0", cuda: null, available: false, devices: 0 };
  await writeFile(path.join(folder, "mambascope.json"), JSON.stringify({ requirements, chosen: null, base: trainerPython, torch, own_torch: true, created: 0 }));
}
