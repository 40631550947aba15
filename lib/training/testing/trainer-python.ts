/** The Python that has the trainer's packages, for tests that run the trainer. */
import { existsSync } from "node:fs";
import path from "node:path";
import { homeFolder, projectRoot } from "@/lib/home/paths";

const candidates = [process.env.MAMBASCOPE_TEST_PYTHON, path.join(homeFolder(), "venv", "bin", "python")];

/** Null where the trainer's environment has not been made (`npm test` makes it). */
export const trainerPython: string | null = candidates.find((candidate) => candidate && existsSync(candidate)) ?? null;

/** What the `launch` operation wants to know of this checkout. */
export const trainerPlaces = {
  python: trainerPython ?? "",
  trainer: path.join(projectRoot(), "trainer"),
  shipped: path.join(projectRoot(), "public", "models"),
};
