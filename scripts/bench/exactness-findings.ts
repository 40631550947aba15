/** What the exactness matrix found, a line each in a file that an ended run goes on with. */
import { appendFile, mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import type { ResultEntry } from "./results";

export type Cell = { readonly target: string; readonly draft: string };
/** Index in the answer, the two tokens there, and how far the greatest of plain decoding's logits is from the next. */
export type Mismatch = { readonly position: number; readonly plain: number | null; readonly speculative: number | null; readonly margin: number };
export type Outcome = Cell & {
  readonly prompt: number;
  readonly K: number;
  /** Tokens of the answer. */
  readonly answered: number;
  /** Share of decided drafts. */
  readonly accepted: number;
  readonly mismatch: Mismatch | null;
};
type Place = Pick<Outcome, "target" | "draft" | "prompt" | "K">;
type Line = Outcome & { readonly weights: string; readonly tokens: number };

type Extent = { readonly family: string; readonly prompts: number; readonly lengthsOf: (prompt: number) => readonly number[]; readonly full: boolean };

const keyOf = ({ target, draft, prompt, K }: Place): string => JSON.stringify([target, draft, prompt, K]);

export class Findings {
  private readonly outcomes = new Map<string, Outcome>();

  private constructor(
    private readonly file: string,
    private readonly weightsOf: (cell: Cell) => string,
    private readonly tokens: number,
  ) {}

  /** `weightsOf` tells the weights of a target and its draft apart from others; lines of other ones, or of another length of answers, do not count. */
  static async open(file: string, weightsOf: (cell: Cell) => string, tokens: number, fresh: boolean): Promise<Findings> {
    if (fresh) await rm(file, { force: true });
    await mkdir(path.dirname(file), { recursive: true });
    const findings = new Findings(file, weightsOf, tokens);
    const text = await readFile(file, "utf8").catch(() => "");
    for (const written of text.split("\n")) {
      const line = parsed(written);
      if (line?.tokens === tokens && line.weights === weightsOf(line)) findings.outcomes.set(keyOf(line), line);
    }
    return findings;
  }

  has(place: Place): boolean {
    return this.outcomes.has(keyOf(place));
  }

  async add(outcome: Outcome): Promise<void> {
    this.outcomes.set(keyOf(outcome), outcome);
    const line: Line = { weights: this.weightsOf(outcome), tokens: this.tokens, ...outcome };
    await appendFile(this.file, `${JSON.stringify(line)}\n`);
  }

  /** An entry a K if each was tried on each prompt, else one for all. */
  entries({ target, draft }: Cell, { family, prompts, lengthsOf, full }: Extent): ResultEntry[] {
    const outcomes = Array.from({ length: prompts }, (_, prompt) => lengthsOf(prompt).map((K) => this.outcomes.get(keyOf({ target, draft, prompt, K })))).flat();
    const found = outcomes.filter((outcome) => outcome !== undefined);
    const groups = full ? [...new Set(found.map(({ K }) => K))].map((K) => ({ K: String(K), some: found.filter((outcome) => outcome.K === K) })) : [{ K: "1 to 8, one a prompt", some: found }];
    return groups.map(({ K, some }) => ({
      metric: "speculative.different",
      value: some.filter(({ mismatch }) => mismatch !== null).length,
      unit: "prompts",
      of: { family, variant: target, draft, K, provider: "wasm", prompts: some.length, tokens: this.tokens },
    }));
  }
}

/** Null for a line that an ended run left unfinished. */
function parsed(text: string): Line | null {
  try {
    return JSON.parse(text) as Line;
  } catch {
    return null;
  }
}
