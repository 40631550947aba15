/** A benchmark's options: words, such as a family's name, and values, as `prompts=8`. */
import { SetupError } from "../lib/run.mjs";

export class Options {
  private readonly values = new Map<string, string>();
  readonly words: readonly string[];

  /** `names`: the values that the benchmark knows. Throws SetupError for another one. */
  constructor(given: readonly string[], names: readonly string[]) {
    this.words = given.filter((option) => !option.includes("="));
    for (const option of given) {
      const at = option.indexOf("=");
      if (at < 0) continue;
      const name = option.slice(0, at);
      if (!names.includes(name)) throw new SetupError("options", `There is no option "${name}=".`, `Known are ${names.map((known) => `${known}=`).join(", ")}.`);
      this.values.set(name, option.slice(at + 1));
    }
  }

  has(word: string): boolean {
    return this.words.includes(word);
  }

  text(name: string): string | undefined {
    return this.values.get(name);
  }

  list(name: string): readonly string[] | undefined {
    return this.values.get(name)?.split(",");
  }

  /** A number above zero. Throws SetupError for anything else. */
  number(name: string, otherwise: number): number {
    const value = this.values.get(name);
    if (value === undefined) return otherwise;
    const number = Number(value);
    if (!(number > 0 && Number.isFinite(number))) throw new SetupError("options", `${name}=${value} is not a number above zero.`, `Write it as ${name}=${otherwise}.`);
    return number;
  }
}
