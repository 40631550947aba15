/** What long benchmarks have found so far, so that an interrupted one goes on where it stopped. */
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { homeFolder } from "../lib/paths.mjs";

/** Values by key, in one JSON file of the home folder. */
export class Kept {
  private constructor(
    private readonly file: string,
    private readonly values: Record<string, unknown>,
  ) {}

  static async open(name: string, { fresh }: { fresh: boolean }): Promise<Kept> {
    const file = path.join(homeFolder(), "bench", `${name}.json`);
    if (fresh) await rm(file, { force: true });
    const text = await readFile(file, "utf8").catch(() => "{}");
    return new Kept(file, JSON.parse(text) as Record<string, unknown>);
  }

  /** The value of `key`: kept, or made now and kept. */
  async get<T>(key: string, make: () => Promise<T>): Promise<T> {
    if (key in this.values) return this.values[key] as T;
    const value = await make();
    await this.put(key, value);
    return value;
  }

  /** All values whose key begins with `prefix`. */
  all<T>(prefix: string): T[] {
    return Object.keys(this.values).filter((key) => key.startsWith(prefix)).map((key) => this.values[key] as T);
  }

  async put(key: string, value: unknown): Promise<void> {
    this.values[key] = value;
    await mkdir(path.dirname(this.file), { recursive: true });
    await writeFile(`${this.file}.part`, JSON.stringify(this.values));
    await rename(`${this.file}.part`, this.file);
  }
}
