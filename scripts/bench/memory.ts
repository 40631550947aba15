/** What a loaded model takes, and how its state grows with the context. */
import { say } from "../lib/console.mjs";
import { families } from "./families";
import type { Browser, Lab } from "./harness";
import type { Collected } from "./results";

/** Contexts, in tokens, at which the state is read. */
const CONTEXTS = [128, 512];

/** WebAssembly and, on the software adapter, WebGPU; a page and a worker for each variant, since a WebAssembly heap never shrinks. */
export async function measureMemory(lab: Lab, collected: Collected): Promise<void> {
  say("── memory");
  for (const webgpu of [false, true]) {
    const browser = await lab.browser({ webgpu });
    for (const family of families) {
      for (const variant of family.variants) await measureVariant(browser, family.name, variant, webgpu ? "webgpu" : "wasm", collected);
    }
    await browser.close();
  }
}

async function measureVariant({ bench, reload }: Browser, family: string, variant: string, provider: "wasm" | "webgpu", collected: Collected): Promise<void> {
  await reload();
  const { memory, precision, threads } = await bench.load({ family, variant, provider, contextLength: 2048 });
  const of = { family, variant, provider, precision, ...(provider === "wasm" ? { threads } : { adapter: "SwiftShader" }) };
  const { weightBytes, heapBytes, bundleBytes } = memory;
  collected.add({ metric: "memory.weights", value: weightBytes, unit: "bytes", of: { ...of, in_bundle: bundleBytes } });
  if (heapBytes !== null) collected.add({ metric: "memory.wasm_heap", value: heapBytes, unit: "bytes", of: { ...of, after: "load" }, ratio: heapBytes / weightBytes });
  await addGpu("load");

  // Software WebGPU reads SmolLM2 too slowly for long contexts, and its state is that of the same graph.
  for (const context of provider === "wasm" ? CONTEXTS : []) {
    const tokens = Array.from({ length: context }, (_, index) => 1 + ((index * 7919) % 4000));
    const after = (await bench.generate({ tokens }, 1)).memory;
    const accounted = await bench.accountedBytes(family, variant, context);
    const at = { ...of, context };
    collected.add({ metric: "memory.kv", value: after.kvBytes, unit: "bytes", of: { ...at, accounted: accounted.kv, equal: after.kvBytes === accounted.kv } });
    collected.add({ metric: "memory.state", value: after.stateBytes, unit: "bytes", of: { ...at, accounted: accounted.state, equal: after.stateBytes === accounted.state } });
    if (after.heapBytes !== null) collected.add({ metric: "memory.wasm_heap", value: after.heapBytes, unit: "bytes", of: { ...at, after: "generation" }, ratio: after.heapBytes / weightBytes });
  }
  await bench.unload();

  async function addGpu(after: string): Promise<void> {
    const bytes = await bench.gpuBytes();
    if (bytes) collected.add({ metric: "memory.gpu_buffers", value: bytes.live, unit: "bytes", of: { ...of, after, peak: bytes.peak }, ratio: bytes.live / weightBytes });
  }
}
