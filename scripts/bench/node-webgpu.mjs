/** WebGPU without a browser: Dawn's package for Node under onnxruntime-web's provider. */
import { existsSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { say } from "../lib/console.mjs";
import { root } from "../lib/paths.mjs";
import { SetupError } from "../lib/run.mjs";

/**
 * The runtime and the GPU's name, with `navigator.gpu` from the package `webgpu`: the project's, or the one in the folder MAMBASCOPE_WEBGPU.
 * MAMBASCOPE_DAWN holds Dawn's options, such as `enable-dawn-features=skip_validation`. Throws SetupError if there is no such package or no GPU.
 * @returns {Promise<[typeof import("onnxruntime-web/webgpu"), string]>}
 */
export async function nodeWebGpu() {
  const places = [process.env.MAMBASCOPE_WEBGPU ?? "", path.join(root, "node_modules", "webgpu")];
  const folder = places.find((place) => place !== "" && existsSync(place));
  if (!folder) throw new SetupError("webgpu", "WebGPU outside a browser needs the package `webgpu`.", "Run `npm install --no-save webgpu`, or name its folder in MAMBASCOPE_WEBGPU.");
  process.env.XDG_RUNTIME_DIR ??= await mkdtemp(path.join(tmpdir(), "mambascope-runtime-"));
  const { create, globals } = await import(pathToFileURL(path.join(folder, "index.js")).href);
  Object.assign(globalThis, globals);
  const gpu = /** @type {GPU} */ (create((process.env.MAMBASCOPE_DAWN ?? "").split(" ").filter(Boolean)));
  const name = await adapterName(gpu);
  say(`WebGPU on ${name}`);
  const value = { gpu, hardwareConcurrency: 1, userAgent: "node" };
  Object.defineProperty(globalThis, "navigator", { value, configurable: true });
  copyShared(globals.GPUQueue.prototype);
  const dist = path.join(path.dirname(createRequire(path.join(root, "package.json")).resolve("onnxruntime-web/webgpu")));
  const ort = await import(pathToFileURL(path.join(dist, "ort.webgpu.min.mjs")).href);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = `${pathToFileURL(dist).href}/`;
  ort.env.logLevel = "error";
  return [ort, name];
}

/**
 * The runtime asks for the adapter again: this one only tells whether there is one, and which.
 * @param {GPU} gpu
 */
async function adapterName(gpu) {
  const { adapter, reason } = await gpu.requestAdapter({ powerPreference: "high-performance" }).then(
    (found) => ({ adapter: found, reason: "" }),
    (error) => ({ adapter: null, reason: ` (${error instanceof Error ? error.message : String(error)})` }),
  );
  if (!adapter) {
    throw new SetupError("webgpu", `There is no GPU that WebGPU can use${reason}.`, "Install the Vulkan loader (libvulkan1) and the GPU's driver, and name the driver's file in VK_DRIVER_FILES if it is not in the usual folder.");
  }
  const { vendor, architecture, device, description } = adapter.info;
  return [...new Set([vendor, architecture, device, description].filter((word) => word !== ""))].join(" ") || "a GPU without a name";
}

/**
 * Dawn refuses data in shared memory, where the runtime's heap lies.
 * @param {GPUQueue} prototype
 */
function copyShared(prototype) {
  const { writeBuffer } = prototype;
  prototype.writeBuffer = function (buffer, offset, data, begin = 0, size = undefined) {
    const view = ArrayBuffer.isView(data) ? data : new Uint8Array(data);
    const each = ArrayBuffer.isView(data) && "BYTES_PER_ELEMENT" in data ? Number(data.BYTES_PER_ELEMENT) : 1;
    const bytes = size === undefined ? view.byteLength - begin * each : size * each;
    const part = new Uint8Array(view.buffer, view.byteOffset + begin * each, bytes);
    return writeBuffer.call(this, buffer, offset, part.slice());
  };
}
