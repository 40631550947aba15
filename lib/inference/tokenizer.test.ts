import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Detokeniser, Tokenizer } from "./tokenizer";

/** A byte-level tokenizer without merges: each byte is a token, so that every character outside ASCII is spread over several. */
function byteTokenizer(template?: string): Tokenizer {
  const printable = [...range(33, 127), ...range(161, 173), ...range(174, 256)];
  let next = 256;
  const alphabet = range(0, 256).map((byte) => String.fromCharCode(printable.includes(byte) ? byte : next++));
  const vocab = Object.fromEntries(alphabet.map((character, index) => [character, index]));
  const special = { id: 256, content: "<end>", single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true };
  return new Tokenizer(
    {
      version: "1.0",
      truncation: null,
      padding: null,
      added_tokens: [special],
      normalizer: null,
      pre_tokenizer: byteLevel,
      post_processor: null,
      decoder: byteLevel,
      model: { type: "BPE", dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false, byte_fallback: false, vocab, merges: [] },
    },
    { tokenizer_class: "PreTrainedTokenizerFast", eos_token: "<end>", clean_up_tokenization_spaces: false, ...(template ? { chat_template: template } : {}) },
  );
}
const range = (begin: number, end: number): number[] => Array.from({ length: end - begin }, (_, index) => begin + index);

describe("detokenisation", () => {
  it("never gives out a broken character, and gives out all in the end", () => {
    const tokenizer = byteTokenizer();
    const text = fc.string({ unit: fc.constantFrom("a", " ", "é", "日", "🦙", "👩‍🚀", "\n", "ß"), maxLength: 24 });
    fc.assert(
      fc.property(text, (value) => {
        const tokens = tokenizer.encode(value);
        const detokeniser = new Detokeniser((ids) => tokenizer.decode(ids));
        const pieces = tokens.map((token) => detokeniser.push(token));
        for (const piece of pieces) expect(piece).not.toContain("\uFFFD");
        expect(pieces.join("") + detokeniser.flush()).toBe(value);
      }),
    );
  });

  it("drops a character that was never finished", () => {
    const tokenizer = byteTokenizer();
    const tokens = tokenizer.encode("ab🦙").slice(0, -1);
    const detokeniser = new Detokeniser((ids) => tokenizer.decode(ids));
    expect(tokens.map((token) => detokeniser.push(token)).join("") + detokeniser.flush()).toBe("ab");
  });
});

describe("the chat template", () => {
  it("is rendered with the special tokens", () => {
    const tokenizer = byteTokenizer("{% for m in messages %}{{ m.role }}:{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}");
    expect(tokenizer.hasChatTemplate).toBe(true);
    const tokens = tokenizer.encodeChat([{ role: "user", content: "Hi" }]);
    expect(tokens).toEqual([...tokenizer.encode("user:Hi"), 256, ...tokenizer.encode("assistant:")]);
  });

  it("is missed with advice", () => {
    expect(() => byteTokenizer().encodeChat([{ role: "user", content: "Hi" }])).toThrow(/no chat template/);
  });
});
