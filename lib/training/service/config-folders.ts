/**
 * The folders that a run config names. In the form that is shown, shared and saved they are relative to the project
 * (`data/training/…`, `public/models`); on a node, `data/` is its root and `public/models` the families that ship.
 */
import { isObject } from "../config/document";
import type { ConfigDocument } from "../types";

export type NodeFolders = {
  /** The node's root, absolute. */
  root: string;
  /** Where the shipped families are on the node, absolute. */
  shipped: string;
};

const bundlePrefix = "bundle:";

/** Paths of a config, by the place of their field: folders of bundles, data and earlier runs. */
function mapPaths(config: ConfigDocument, map: (path: string) => string): ConfigDocument {
  const text = (value: unknown): unknown => (typeof value === "string" ? map(value) : value);
  const start = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(start);
    if (typeof value !== "string" || value === "previous" || value === "init") return value;
    return value.startsWith(bundlePrefix) ? bundlePrefix + map(value.slice(bundlePrefix.length)) : map(value);
  };
  const section = (document: ConfigDocument): ConfigDocument => {
    const mapped: ConfigDocument = { ...document };
    if (Array.isArray(document.bundle)) mapped.bundle = document.bundle.map(text);
    if (isObject(document.data)) {
      const { train, evaluation } = document.data;
      mapped.data = {
        ...document.data,
        ...(train !== undefined && { train: Array.isArray(train) ? train.map((source: unknown) => (isObject(source) ? { ...source, folder: text(source.folder) } : source)) : text(train) }),
        ...(evaluation !== undefined && { evaluation: text(evaluation) }),
      };
    }
    if (isObject(document.mixer) && document.mixer.start_from !== undefined) {
      mapped.mixer = { ...document.mixer, start_from: start(document.mixer.start_from) };
    }
    if (Array.isArray(document.stages)) mapped.stages = document.stages.map((stage: unknown) => (isObject(stage) ? section(stage) : stage));
    return mapped;
  };
  return section(config);
}

/** The config with the node's own absolute folders. */
export function configOnNode(config: ConfigDocument, folders: NodeFolders): ConfigDocument {
  return mapPaths(config, (path) => pathOnNode(path, folders));
}

/** One path of a config, on a node. Absolute paths stay. */
export function pathOnNode(path: string, { root, shipped }: NodeFolders): string {
  if (path.startsWith("/")) return path;
  const clean = path.replace(/^(\.\/)+/, "").replace(/\/+$/, "");
  if (clean === "public/models" || clean.startsWith("public/models/")) return shipped + clean.slice("public/models".length);
  if (clean === "data") return root;
  return `${root}/${clean.startsWith("data/") ? clean.slice("data/".length) : clean}`;
}

/** The inverse of {@link configOnNode}: a config that means the same on any node. */
export function portableConfig(config: ConfigDocument, { root, shipped }: NodeFolders): ConfigDocument {
  return mapPaths(config, (path) => {
    if (path === shipped || path.startsWith(`${shipped}/`)) return `public/models${path.slice(shipped.length)}`;
    if (path === root || path.startsWith(`${root}/`)) return `data${path.slice(root.length)}`;
    return path;
  });
}

/** Data folders and files that a config reads, relative to the project as far as they are, each once. */
export function dataPaths(config: ConfigDocument): string[] {
  const found = new Set<string>();
  const visit = (document: ConfigDocument): void => {
    if (isObject(document.data)) {
      const { train, evaluation } = document.data;
      for (const source of Array.isArray(train) ? train : [train]) {
        const folder: unknown = isObject(source) ? source.folder : source;
        if (typeof folder === "string") found.add(folder);
      }
      if (typeof evaluation === "string") found.add(evaluation);
    }
    if (Array.isArray(document.stages)) for (const stage of document.stages) if (isObject(stage)) visit(stage);
  };
  visit(config);
  return [...found];
}

/** A string field, or null. */
export function textOf(document: ConfigDocument | null, field: string): string | null {
  const value = document?.[field];
  return typeof value === "string" ? value : null;
}
