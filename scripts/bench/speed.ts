/**
 * `npm run bench:speed`: speed and memory in Chromium on this machine's CPU. wllama (llama.cpp in WebAssembly) is measured beside
 * the teacher: the same weights file, prompt and number of threads, turn by turn in one page.
 * Options: sections of `start`, `peer`, `decode`, `memory`, `load`; only a run of all of them writes its results.
 * MAMBASCOPE_GGUF names the SmolLM2 file; without it, the package is downloaded.
 */
import { say } from "../lib/console.mjs";
import { families } from "./families";
import { measureFreshStart } from "./fresh-start";
import { peerModel } from "./gguf";
import { type Browser, openLab } from "./harness";
import { measureLoad } from "./load";
import { measureMemory } from "./memory";
import { Collected, median, quietLoad, writeResults } from "./results";
import { passage } from "./texts";

type Section = "start" | "peer" | "decode" | "memory" | "load";

const PEER = "wllama 3.8.1";
const DECODED = 128;
const THREADS = [1, 2];
/** Decoding is measured behind the short prompt; the long one is for reading it. */
const PROMPTS = [
  { length: 64, decoded: DECODED, rounds: 5 },
  { length: 256, decoded: 16, rounds: 3 },
];
const base = "smollm2-135m-instruct";

export async function main(options: string[]): Promise<number> {
  const wanted = (section: Section): boolean => options.length === 0 || options.includes(section);
  const collected = new Collected();
  if (wanted("start")) await measureFreshStart(collected);
  const lab = await openLab({ files: wanted("peer") ? { "model.gguf": await peerModel() } : {} });
  let version = "";
  const inBrowser = async (section: Section, measure: (browser: Browser) => Promise<void>): Promise<void> => {
    if (!wanted(section)) return;
    say(`── ${section}`);
    const browser = await lab.browser();
    version = browser.version;
    await measure(browser);
    await browser.close();
  };
  try {
    await inBrowser("peer", (browser) => againstPeer(browser, collected));
    await inBrowser("decode", (browser) => decoding(browser, collected));
    if (wanted("memory")) await measureMemory(lab, collected);
    if (wanted("load")) await measureLoad(lab, collected);
  } finally {
    await lab.close();
  }
  if (options.length === 0) say(`Wrote ${await writeResults("speed", "npm run bench:speed", version, collected.entries)}`);
  return 0;
}

/** The shortest part of the passage, in whole words, that has at least `count` tokens. */
async function promptOf({ bench }: Browser, count: number): Promise<{ text: string; tokens: number }> {
  const words = passage.split(/(?= )/);
  for (let end = 1; end <= words.length; end++) {
    const text = words.slice(0, end).join("");
    const tokens = (await bench.tokenise(text)).length;
    if (tokens >= count) return { text, tokens };
  }
  throw new Error(`The passage has fewer than ${count} tokens.`);
}

type Speeds = { decode: number[]; prefill: number[] };

async function againstPeer(browser: Browser, collected: Collected): Promise<void> {
  const { bench } = browser;
  for (const threads of THREADS) {
    const model = await bench.load({ family: base, variant: "teacher", provider: "wasm", threads, contextLength: 2048 });
    const peer = await bench.peerLoad(threads);
    if (model.threads !== threads || peer.threads !== threads) throw new Error(`Asked for ${threads} threads; got ${model.threads} and ${peer.threads}.`);
    for (const { length, decoded, rounds } of PROMPTS) {
      const prompt = await promptOf(browser, length);
      const load_average = await quietLoad();
      const [ours, theirs]: [Speeds, Speeds] = [{ decode: [], prefill: [] }, { decode: [], prefill: [] }];
      for (let round = 0; round < rounds; round++) {
        const own = await bench.generate({ prompt: prompt.text }, decoded);
        ours.decode.push(own.tokensPerSecond);
        ours.prefill.push(own.prefillTokensPerSecond);
        await browser.page.waitForTimeout(500); // lets the threads of the one fall asleep before the other's turn
        const other = await bench.peerGenerate(prompt.text, decoded);
        if (other.promptTokens !== prompt.tokens || other.tokens !== decoded) throw new Error(`wllama read ${other.promptTokens} and wrote ${other.tokens} tokens.`);
        theirs.decode.push(other.tokensPerSecond);
        theirs.prefill.push(other.prefillTokensPerSecond);
        await browser.page.waitForTimeout(500);
      }
      const of = { family: base, variant: "teacher", provider: "wasm", threads, prompt_tokens: prompt.tokens, rounds, load_average };
      if (decoded === DECODED) add(collected, "speed.decode", ours.decode, { ...of, tokens: DECODED, peer_build: peer.version }, theirs.decode);
      add(collected, "speed.prefill", ours.prefill, { ...of, peer_build: peer.version }, theirs.prefill);
    }
    await bench.peerUnload();
    await bench.unload();
  }
}

async function decoding(browser: Browser, collected: Collected): Promise<void> {
  const { bench } = browser;
  for (const family of families) {
    for (const variant of family.variants) {
      for (const threads of THREADS) {
        await bench.load({ family: family.name, variant, provider: "wasm", threads, contextLength: 2048 });
        for (const { length, decoded, rounds } of PROMPTS) {
          const prompt = await promptOf(browser, length);
          const load_average = await quietLoad();
          const speeds: Speeds & { first: number[] } = { decode: [], prefill: [], first: [] };
          for (let round = 0; round < rounds; round++) {
            const run = await bench.generate({ prompt: prompt.text }, decoded);
            speeds.decode.push(run.tokensPerSecond);
            speeds.prefill.push(run.prefillTokensPerSecond);
            speeds.first.push(run.timeToFirstTokenMs);
          }
          const of = { family: family.name, variant, provider: "wasm", threads, prompt_tokens: prompt.tokens, rounds, load_average };
          if (decoded === DECODED) add(collected, "speed.decode", speeds.decode, { ...of, tokens: DECODED });
          add(collected, "speed.prefill", speeds.prefill, of);
          collected.add({ metric: "speed.first_token", value: median(speeds.first), unit: "ms", of });
        }
      }
    }
  }
  await bench.unload();
}

function add(collected: Collected, metric: string, values: readonly number[], of: Record<string, string | number>, peer?: readonly number[]): void {
  const value = median(values);
  const spread = { slowest: Number(Math.min(...values).toPrecision(4)), fastest: Number(Math.max(...values).toPrecision(4)) };
  const against = peer ? { peer: { name: PEER, value: Number(median(peer).toPrecision(6)) }, ratio: value / median(peer) } : {};
  collected.add({ metric, value, unit: "tokens/s", of: { ...of, ...spread }, ...against });
}
