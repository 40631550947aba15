/** For tests and benchmarks in Node: probes of bundles on the disk or in memory, on WebAssembly. */
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { SyntheticBundle } from "@/lib/onnx/testing";
import { TestServer } from "@/lib/weights/testing/server";
import type { ProviderReport } from "../providers";
import { nodeRuntime } from "../testing";
import { loadProbe } from "./load";
import { PartStore, type TensorReader } from "./part-store";
import type { Probe } from "./probe";
import { WasmDevice } from "./wasm-device";

const root = fileURLToPath(new URL("../../../", import.meta.url));

/** The folders that hold a family, the home's first; with the manifest that ships. */
const foldersOf = (family: string): string[] =>
  [path.join(process.env.MAMBASCOPE_HOME ?? path.join(root, "data"), "models", family), path.join(root, "public", "models", family)].filter((folder) => existsSync(folder));

/** True if the family's base is on this machine. */
export const isFetched = (family: string): boolean => foldersOf(family).some((folder) => existsSync(path.join(folder, "tokenizer.json")));

/** A family's files as the server gives them. */
export async function familyFiles(family: string): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  for (const folder of foldersOf(family)) {
    for (const name of await readdir(folder)) files.set(name, new Uint8Array(await readFile(path.join(folder, name))));
  }
  return files;
}

/** Loads a probe over HTTP, as a page does, and what ends its server. */
export async function nodeProbe(files: Map<string, Uint8Array>, threads = 1): Promise<{ probe: Probe; close: () => Promise<void> }> {
  const server = new TestServer(files);
  const address = await server.start();
  const none: ProviderReport["webgpu"] = { available: false, reason: "Node has no WebGPU.", adapter: null };
  const providers: ProviderReport = { chosen: "wasm", webgpu: none, wasm: { threads, reason: "In Node." } };
  const runtimes = { wasm: () => nodeRuntime(threads), webgpu: () => Promise.reject(new Error(none.reason)) };
  const probe = await loadProbe({ manifestUrl: `${address}manifest.json`, provider: "auto" }, { runtimes, providers });
  const close = async (): Promise<void> => {
    await probe.dispose();
    await server.stop();
  };
  return { probe, close };
}

/** The parts of a synthetic bundle. */
export async function syntheticParts({ manifest, stored }: Pick<SyntheticBundle, "manifest" | "stored">): Promise<{ device: WasmDevice; parts: PartStore }> {
  const device = new WasmDevice(await nodeRuntime());
  const read: TensorReader = (set, name) => {
    const layers = Array.from({ length: manifest.architecture.num_hidden_layers }, () => (set === null ? "attention" : `mamba2:${set}`));
    return Promise.resolve(stored({ family: manifest.family, architecture: manifest.architecture, layers }, name));
  };
  return { device, parts: new PartStore(device, manifest, "f32", read) };
}
