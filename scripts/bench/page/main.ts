/** The benchmark page: the app's own worker client, and its peer, behind functions that a script calls. */
import { Wllama } from "@wllama/wllama/esm/index.js";
import { accountFor } from "@/lib/hybrid/accounting";
import { fetchManifest } from "@/lib/weights/loader";
import { hybridConfigOf } from "@/lib/weights/manifest";
import { createInferenceClient, type InferenceClient } from "@/workers/client";
import type { BenchPage } from "./api";
import { compareLogits } from "./compare";
import { GPU_BYTES, type GpuBytes } from "./gpu-bytes";
import { Peer } from "./peer";
import { probeBench } from "./probe";
import { speculativeBench } from "./speculative";

const plain = createInferenceClient();
const counting = createInferenceClient(() => new Worker(new URL("./counting.worker.ts", import.meta.url), { type: "module", name: "inference" }));
let client: InferenceClient = plain;
let peer: Peer | null = null;

const held = (): Peer => {
  if (!peer) throw new Error("The peer is not loaded.");
  return peer;
};

const bench: BenchPage = {
  load: (options) => {
    client.unload();
    client = options.provider === "webgpu" ? counting : plain;
    return client.load(options);
  },
  info: () => client.info(),
  unload: () => Promise.resolve(client.unload()),

  generate: async (input, maxTokens) => {
    const greedy = { sampling: { temperature: 0 }, stopAtEos: false };
    await client.generate({ tokens: [0] }, { ...greedy, maxTokens: 1 }); // no prompt of a benchmark begins so: nothing is reused
    const result = await client.generate(input, { ...greedy, maxTokens });
    if (result.reusedTokens > 0) throw new Error(`${result.reusedTokens} tokens of the prompt were in the cache.`);
    return result;
  },
  tokenise: (text) => client.tokenise(text),

  compare: async (tokens, stepwise, url) => {
    const begun = performance.now();
    const { logits, vocabularySize } = await client.logits(tokens, stepwise);
    const milliseconds = performance.now() - begun;
    const reference = new Float32Array(await (await fetch(url)).arrayBuffer());
    return { ...compareLogits(reference, logits, vocabularySize), milliseconds };
  },

  accountedBytes: async (family, variant, tokens) => {
    const manifest = await fetchManifest(`/bundles/${family}/manifest.json`);
    const account = accountFor(hybridConfigOf(manifest, variant), manifest.mixer_sets);
    return { kv: account.kvBytesPerToken * tokens, state: account.convStateBytes + account.ssmStateBytes };
  },

  gpuBytes: () => {
    if (client !== counting) return Promise.resolve(null);
    const channel = new BroadcastChannel(GPU_BYTES);
    return new Promise<GpuBytes>((resolve) => {
      channel.onmessage = ({ data }: MessageEvent<GpuBytes>) => {
        channel.close();
        resolve(data);
      };
      channel.postMessage("ask");
    });
  },

  peerLoad: async (threads) => {
    peer = await Peer.load(threads);
    return { threads: peer.threads, version: Wllama.getLibllamaVersion() };
  },
  peerGenerate: (prompt, maxTokens) => held().generate(prompt, maxTokens),
  peerUnload: async () => {
    await held().unload();
    peer = null;
  },

  ...probeBench(),
  ...speculativeBench(),
};
window.bench = bench;
