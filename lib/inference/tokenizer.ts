/** A family's tokenizer and chat template, on Hugging Face's own packages. */
import { Template } from "@huggingface/jinja";
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { z } from "zod";
import { BadInputError } from "./errors";

export type ChatMessage = { readonly role: "system" | "user" | "assistant"; readonly content: string };

const special = z.union([z.string(), z.object({ content: z.string() })]).nullish();
const configSchema = z.looseObject({ chat_template: z.string().nullish(), bos_token: special, eos_token: special, unk_token: special, pad_token: special });

export class Tokenizer {
  private readonly tokenizer: HuggingFaceTokenizer;
  private readonly template: Template | null;
  private readonly specials: Readonly<Record<string, string | null>>;

  /** `tokenizer` and `config`: the parsed `tokenizer.json` and `tokenizer_config.json`. */
  constructor(tokenizer: object, config: object) {
    const parsed = configSchema.parse(config);
    this.tokenizer = new HuggingFaceTokenizer(tokenizer, config);
    this.template = parsed.chat_template ? new Template(parsed.chat_template) : null;
    const text = (token: z.infer<typeof special>): string | null => (typeof token === "object" && token ? token.content : (token ?? null));
    this.specials = { bos_token: text(parsed.bos_token), eos_token: text(parsed.eos_token), unk_token: text(parsed.unk_token), pad_token: text(parsed.pad_token) };
  }

  get hasChatTemplate(): boolean {
    return this.template !== null;
  }

  /** Token ids of a text, with the special tokens that the tokenizer adds by itself. */
  encode(text: string): number[] {
    return this.tokenizer.encode(text).ids;
  }

  /** Token ids of a conversation up to where the assistant answers. Throws BadInputError for a family without a chat template. */
  encodeChat(messages: readonly ChatMessage[]): number[] {
    if (!this.template) throw new BadInputError("This family has no chat template: it continues text.", "Give a prompt instead of messages.");
    const text = this.template.render({ ...this.specials, messages: [...messages], add_generation_prompt: true });
    return this.tokenizer.encode(text, { add_special_tokens: false }).ids;
  }

  decode(tokens: readonly number[], { keepSpecial = false } = {}): string {
    return tokens.length === 0 ? "" : this.tokenizer.decode([...tokens], { skip_special_tokens: !keepSpecial, clean_up_tokenization_spaces: false });
  }
}

const INCOMPLETE = "\uFFFD";

/**
 * Turns a stream of tokens into a stream of text. A character whose bytes are spread over several tokens is held back until it is
 * whole, so that what comes out is always valid text and its concatenation is the decoding of all tokens.
 */
export class Detokeniser {
  private tokens: number[] = [];
  /** Tokens before `settled` have been given out; decoding starts at `from`, since a decoder may treat the first token apart. */
  private from = 0;
  private settled = 0;

  constructor(private readonly decode: (tokens: readonly number[]) => string) {}

  /** The text that `token` completes: may be empty. */
  push(token: number): string {
    this.tokens.push(token);
    return this.emit((text) => !text.endsWith(INCOMPLETE));
  }

  /** What is left at the end, without an incomplete character. */
  flush(): string {
    const text = this.emit(() => true);
    return text.replace(/\uFFFD+$/, "");
  }

  private emit(ready: (text: string) => boolean): string {
    const known = this.decode(this.tokens.slice(this.from, this.settled));
    const text = this.decode(this.tokens.slice(this.from));
    if (text.length <= known.length || !ready(text)) return "";
    this.from = this.settled;
    this.settled = this.tokens.length;
    return text.slice(known.length);
  }
}
