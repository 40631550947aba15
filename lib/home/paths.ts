/** Where things live on the server. The home folder holds what is fetched, exported, run or stored. */
import path from "node:path";

/** The project's root: the server always runs there. */
export function projectRoot(): string {
  return process.cwd();
}

/** The home folder: `MAMBASCOPE_HOME`, or `data/` in the project. */
export function homeFolder(): string {
  const configured = process.env.MAMBASCOPE_HOME;
  return configured ? path.resolve(/* turbopackIgnore: true */ configured) : path.join(/* turbopackIgnore: true */ projectRoot(), "data");
}

export type BundleRoot = { kind: "home" | "shipped"; folder: string };

/** The folders that hold bundles, the first to have a file wins. */
export function bundleRoots(): BundleRoot[] {
  return [
    { kind: "home", folder: path.join(/* turbopackIgnore: true */ homeFolder(), "models") },
    { kind: "shipped", folder: path.join(/* turbopackIgnore: true */ projectRoot(), "public", "models") },
  ];
}

const familyPattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const segmentPattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

/** Whether a name may be a family's folder: letters, digits, `_` and `-`. */
export function isFamilyName(name: string): boolean {
  return familyPattern.test(name);
}

/** The relative path that segments of a URL name, or null if one of them could leave the family's folder. */
export function bundlePath(segments: string[]): string | null {
  if (segments.length === 0 || segments.length > 3) return null;
  return segments.every((segment) => segmentPattern.test(segment)) ? segments.join("/") : null;
}
