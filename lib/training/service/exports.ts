/** A run's result as a bundle of the home folder, so that the explorer, the chat and the speculation page open it. */
import { createHash } from "node:crypto";
import { mkdir, open, rm } from "node:fs/promises";
import path from "node:path";
import { formatPattern } from "@/lib/hybrid/pattern";
import { allFilesOf, parseManifest, type Manifest } from "@/lib/weights/manifest";
import { checkConfig } from "../config/validate";
import { streamFile } from "../hosts/files";
import type { AgentConnection } from "../hosts/connection";
import { fillPlaces } from "../config/places";
import { configDocumentSchema, type Exported, type RunDetail } from "../types";
import { textOf } from "./config-folders";
import { manifestOf, placesOf, writableNode, type Core } from "./core";
import { notFound, ServiceError } from "./errors";
import { installExport, readManifest, uninstallExport } from "./install-export";
import { cannotExport, exportStep } from "./job-steps";
import type { Nodes } from "./nodes";
import { readJson, readText } from "./run-files";

type Links = NonNullable<RunDetail["links"]>;

export class Exports {
  private readonly working = new Map<string, Promise<Exported>>();

  /** changed: told when a run was exported. */
  constructor(
    private readonly core: Core,
    private readonly nodes: Nodes,
    private readonly changed: (node: string, id: string) => Promise<void>,
  ) {}

  /** Exports a run's newest checkpoint on its node, and takes the bundle into the home folder. Those who ask at once share the work. */
  exportRun(node: string, id: string): Promise<Exported> {
    return this.once(node, id, () => this.make(node, id));
  }

  /** Takes a run's bundle out of the home folder again; the run keeps its own. False if it was not there. */
  async removeExport(node: string, id: string): Promise<{ removed: boolean }> {
    const connection = await this.core.links.get(node);
    const family = textOf(await readJson(connection, `runs/${id}/config.json`, configDocumentSchema), "family");
    const removed = family !== null && (await uninstallExport(family, id, placesOf(this.core)));
    await this.changed(node, id);
    return { removed };
  }

  /** Takes in the bundle that the run's own job has made; null if it has made none. */
  async takeIn(node: string, id: string): Promise<Exported | null> {
    const connection = await this.core.links.get(node);
    if ((await readText(connection, `runs/${id}/export/manifest.json`)) === null) return null;
    return this.once(node, id, () => this.install(connection, id));
  }

  /** Where a run's export is in the home folder; null if it is not there. */
  async exportedOf(id: string, family: string | null): Promise<Exported | null> {
    const manifest = family === null ? null : await readManifest(path.join(/* turbopackIgnore: true */ placesOf(this.core).models, family)).catch(() => null);
    const set = manifest && Object.hasOwn(manifest.mixer_sets, id) ? manifest.mixer_sets[id] : undefined;
    return manifest && set && Object.hasOwn(manifest.variants, id) ? { family: manifest.family, variant: id, draft: set.draft !== undefined } : null;
  }

  /** The shipped variant that a shipped history made: its name says family and variant, as `smollm2-attn50`. */
  async shippedOf(id: string, family: string | null): Promise<Exported | null> {
    const variant = /^(?:smollm2|stories)-([a-z0-9-]+)$/.exec(id)?.[1];
    const manifest = family === null || variant === undefined ? null : await manifestOf(this.core, family);
    if (!manifest || variant === undefined || !Object.hasOwn(manifest.variants, variant)) return null;
    return { family: manifest.family, variant, draft: manifest.mixer_sets[variant]?.draft !== undefined };
  }

  /** The pages that open an exported variant. */
  async linksOf({ family, variant, draft }: Exported): Promise<Links> {
    const manifest = await manifestOf(this.core, family);
    const layers = manifest?.variants[variant]?.layers;
    if (draft || !layers) return { explore: null, chat: null, speculate: `/speculate?${new URLSearchParams({ family, draft: variant })}` };
    const pattern = formatPattern([...layers]);
    const explore = new URLSearchParams({ family, a: pattern, set: variant }).toString().replaceAll("%7E", "~");
    return { explore: `/explore?${explore}`, chat: `/chat?${new URLSearchParams({ family, variant })}`, speculate: null };
  }

  private once(node: string, id: string, work: () => Promise<Exported>): Promise<Exported> {
    const key = `${node}/${id}`;
    const known = this.working.get(key);
    if (known) return known;
    const made = work().finally(() => {
      this.working.delete(key);
      void this.changed(node, id);
    });
    this.working.set(key, made);
    return made;
  }

  private async make(node: string, id: string): Promise<Exported> {
    writableNode(this.core, node);
    const connection = await this.core.links.get(node);
    const config = await readJson(connection, `runs/${id}/config.json`, configDocumentSchema);
    if (!config) throw notFound(`run ${id} with a config on this node`);
    const family = textOf(config, "family");
    const manifest = family === null ? null : await manifestOf(this.core, family);
    const last = checkConfig(config, manifest?.architecture ?? null).stages?.at(-1)?.config;
    if (!last) throw new ServiceError(409, "config-invalid", "The run's config cannot be read.", "Export the run on the command line (docs/import-export.md).");
    const reason = cannotExport(last);
    const step = exportStep(last, id, textOf(config, "name") ?? id);
    if (reason !== null || !step) throw new ServiceError(409, "export-unsupported", "No bundle can be made of this run.", reason ?? "Export it on the command line.");
    const { python, trainer, shipped } = await this.nodes.ready(node, () => undefined, new AbortController().signal);
    const places = { root: connection.hello.root, shipped, trainer, run: `${connection.hello.root}/runs/${id}` };
    await connection.call("trainer", { python, trainer, argv: fillPlaces(step.argv, places) }, { timeoutMs: 0 });
    return this.install(connection, id);
  }

  private async install(connection: AgentConnection, id: string): Promise<Exported> {
    const places = placesOf(this.core);
    if (connection.address.kind === "local") return installExport(path.join(/* turbopackIgnore: true */ connection.hello.root, "runs", id, "export"), id, places);
    const folder = path.join(/* turbopackIgnore: true */ this.core.home, "incoming", `${connection.address.id}-${id}`);
    try {
      await download(connection, `runs/${id}/export`, id, folder);
      return await installExport(folder, id, places);
    } finally {
      await rm(/* turbopackIgnore: true */ folder, { recursive: true, force: true });
    }
  }
}

/** Brings a bundle's manifest and the files of its set `name` (of a family of its own, all files) to this machine, checked. */
async function download(connection: AgentConnection, from: string, name: string, to: string): Promise<void> {
  await mkdir(/* turbopackIgnore: true */ to, { recursive: true });
  const manifest = await fetchFile(connection, `${from}/manifest.json`, path.join(/* turbopackIgnore: true */ to, "manifest.json"), null).then(() => readManifest(to));
  if (!manifest) throw new ServiceError(409, "export-missing", "The run has no exported bundle.", "Export it first.");
  for (const file of neededFiles(parseManifest(manifest), name)) await fetchFile(connection, `${from}/${file}`, path.join(/* turbopackIgnore: true */ to, file), allFilesOf(manifest)[file]?.sha256 ?? null);
}

function neededFiles(manifest: Manifest, name: string): string[] {
  const set = Object.hasOwn(manifest.mixer_sets, name) ? manifest.mixer_sets[name] : undefined;
  return set ? [...new Set(Object.values(set.tensors).map(({ file }) => file))] : Object.keys(allFilesOf(manifest));
}

const partBytes = 32 * 1024 * 1024;

async function fetchFile(connection: AgentConnection, from: string, to: string, sha256: string | null): Promise<void> {
  const file = await open(/* turbopackIgnore: true */ to, "w");
  const digest = createHash("sha256");
  try {
    for (let offset = 0; ; ) {
      const { bytes } = await streamFile(connection, from, { offset, length: partBytes }, async (chunk) => {
        digest.update(chunk);
        await file.writeFile(chunk);
      });
      offset += bytes;
      if (bytes < partBytes) break;
    }
  } finally {
    await file.close();
  }
  if (sha256 !== null && digest.digest("hex") !== sha256) throw new ServiceError(502, "checksum", `${path.basename(to)} arrived damaged.`, "Export the run again.");
}
