/** Folders that the scripts share. */
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "..", "..");

/** The home folder: `MAMBASCOPE_HOME`, or `data/` in the project. */
export function homeFolder() {
  return process.env.MAMBASCOPE_HOME ? path.resolve(process.env.MAMBASCOPE_HOME) : path.join(root, "data");
}
