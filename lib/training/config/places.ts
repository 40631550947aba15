/**
 * Placeholders of a job's steps for the folders of a node: `{root}` the node's folder, `{shipped}` the bundles that ship, `{run}`
 * the run directory, `{trainer}` the trainer's copy.
 */
export type Places = { readonly root: string; readonly shipped: string; readonly run: string; readonly trainer: string };

/** The folders as a command line in the project's root sees them. */
export function projectPlaces(run: string): Places {
  return { root: "data", shipped: "public/models", run: `data/runs/${run}`, trainer: "trainer" };
}

/** Replaces the placeholders in each argument. */
export function fillPlaces(argv: readonly string[], places: Places): string[] {
  return argv.map((text) => text.replace(/\{(root|shipped|run|trainer)\}/g, (_, name: keyof Places) => places[name]));
}
