/** The part of a manifest that file serving needs: which files a family has, with their sizes and checksums. */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { bundleRoots, type BundleRoot } from "./paths";

// Loose on purpose: files of a manifest of another version are still served, and the reader names the version.
const promisedSchema = z.object({ bytes: z.number().int().nonnegative(), sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const fileTableSchema = z
  .looseObject({ files: z.record(z.string(), promisedSchema), token_ranking: promisedSchema.extend({ file: z.string() }).optional() })
  .transform(({ files, token_ranking: ranking }) => ({ files: { ...files, ...(ranking && { [ranking.file]: { bytes: ranking.bytes, sha256: ranking.sha256 } }) } }));

export type FileTable = Record<string, z.infer<typeof promisedSchema>>;
export type LocatedManifest = { root: BundleRoot; path: string; bytes: number; sha256: string; json: unknown; files: FileTable };

const cache = new Map<string, { stamp: string; manifest: LocatedManifest }>();

/** The manifest of a family, from the first root that has one; null if no root has. Throws SyntaxError if it is not JSON. */
export async function locateManifest(family: string): Promise<LocatedManifest | null> {
  for (const root of bundleRoots()) {
    const file = path.join(/* turbopackIgnore: true */ root.folder, family, "manifest.json");
    const info = await stat(/* turbopackIgnore: true */ file).catch(() => null);
    if (!info?.isFile()) continue;
    const stamp = `${info.size}-${info.mtimeMs}`;
    const known = cache.get(file);
    if (known?.stamp === stamp) return known.manifest;
    const text = await readFile(/* turbopackIgnore: true */ file);
    const json: unknown = JSON.parse(text.toString("utf8"));
    const table = fileTableSchema.safeParse(json);
    const manifest: LocatedManifest = {
      root,
      path: file,
      bytes: text.byteLength,
      sha256: createHash("sha256").update(text).digest("hex"),
      json,
      files: table.success ? table.data.files : {},
    };
    cache.set(file, { stamp, manifest });
    return manifest;
  }
  return null;
}
