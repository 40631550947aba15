/**
 * Turns bytes of metrics.jsonl into columns. The trainer writes flat objects whose keys come in few different orders, so a
 * line's text between its numbers is the same as in lines before: it is compared, the numbers are read, and JSON.parse sees
 * only lines of a new form.
 */
import { Table, type Column } from "./columns";
import { cursor, scanNumber } from "./scan-number";

const NEWLINE = 0x0a;
/** Forms of lines that are kept; a stage's name and a new measure each make new ones. */
const MAX_FORMS = 24;

/** Keys that are places, not measures. */
const places = new Set(["kind", "step", "tokens", "time", "stage", "stage_name"]);

/** A line's form: `literals[k]` stands before number k, the last one after all. */
interface Form {
  literals: Uint8Array[];
  table: Table;
  /** Where each number goes; null: nowhere. */
  targets: (Column | null)[];
  /** Places in `targets` of step, tokens and time; -1: absent. */
  step: number;
  tokens: number;
  time: number;
  stage: number;
  stageName: string | null;
  values: Float64Array;
}

export class MetricLines {
  readonly tables = new Map<string, Table>();
  readonly stageNames = new Map<number, string>();
  /** Lines that are no object with a kind and a step. */
  skipped = 0;
  lines = 0;
  /** Bytes of the lines that were read, garbage included. */
  bytesRead = 0;
  readonly #forms: Form[] = [];
  #time = NaN;
  /** Seconds by which the clock was set back so far. */
  #setBack = 0;

  /**
   * Reads whole lines of `bytes` from `from`. Returns where the first line starts that does not end within `to`: a line that
   * is still being written.
   */
  append(bytes: Uint8Array, from = 0, to = bytes.length): number {
    // Scanning stops at the last newline, so that a number is never read past the end of what was written.
    const end = bytes.lastIndexOf(NEWLINE, to - 1);
    let at = from;
    while (at <= end) {
      const next = this.#known(bytes, at);
      at = next >= 0 ? next : this.#odd(bytes, at);
    }
    this.bytesRead += Math.max(0, end + 1 - from);
    return Math.max(from, end + 1);
  }

  /** The byte after a line that has a known form, or -1. */
  #known(bytes: Uint8Array, at: number): number {
    const forms = this.#forms;
    for (let f = 0; f < forms.length; f++) {
      const form = forms[f] as Form;
      const next = matchForm(form, bytes, at);
      if (next < 0) continue;
      if (f > 1) {
        forms.splice(f, 1);
        forms.unshift(form);
      }
      if (this.#store(form)) return next;
      this.skipped++;
      return next;
    }
    return -1;
  }

  #store(form: Form): boolean {
    const { table, values, targets } = form;
    const step = form.step < 0 ? NaN : (values[form.step] as number);
    if (!Number.isFinite(step)) return false;
    table.reserve();
    const row = table.length++;
    for (let k = 0; k < targets.length; k++) {
      const target = targets[k];
      if (target) target.values[row] = values[k] as number;
    }
    if (form.tokens < 0) table.tokens.values[row] = NaN;
    if (form.stage < 0) table.stage.values[row] = 0;
    else if (form.stageName !== null) this.stageNames.set(values[form.stage] as number, form.stageName);
    // A clock that was set back must not make time run backwards: what comes after is moved forward by as much.
    const time = form.time < 0 ? NaN : (values[form.time] as number);
    if (Number.isFinite(time)) {
      const last = Number.isNaN(this.#time) ? time : this.#time;
      this.#setBack = Math.max(this.#setBack, last - time);
      this.#time = Math.max(last, time + this.#setBack);
    }
    table.time.values[row] = this.#time;
    this.lines++;
    return true;
  }

  /** Reads a line of a new form with JSON.parse and learns the form. */
  #odd(bytes: Uint8Array, at: number): number {
    const end = bytes.indexOf(NEWLINE, at);
    const next = end + 1;
    const line = Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString("utf8");
    if (line.trim() === "") return next;
    const record = parseRecord(line);
    if (!record) {
      this.skipped++;
      return next;
    }
    const form = this.#formOf(record, line);
    if (form && matchForm(form, bytes, at) === next) {
      this.#forms.unshift(form);
      if (this.#forms.length > MAX_FORMS) this.#forms.pop();
      if (!this.#store(form)) this.skipped++;
      return next;
    }
    this.#storeRecord(record);
    return next;
  }

  #table(kind: string): Table {
    const known = this.tables.get(kind);
    if (known) return known;
    const table = new Table();
    this.tables.set(kind, table);
    return table;
  }

  /** The form of a line that JSON.parse can read; null if its values are not flat, or a key comes twice. */
  #formOf(record: Record<string, unknown>, line: string): Form | null {
    const table = this.#table(String(record.kind));
    const form: Form = {
      literals: [],
      table,
      targets: [],
      step: -1,
      tokens: -1,
      time: -1,
      stage: -1,
      stageName: typeof record.stage_name === "string" ? record.stage_name : null,
      values: new Float64Array(0),
    };
    const names = new Set<string>();
    let literal = 0;
    const pair = /\s*("(?:[^"\\]|\\.)*")\s*:\s*("(?:[^"\\]|\\.)*"|[^",{}[\]\s]+)\s*(,|\}\s*$)/gy;
    pair.lastIndex = line.indexOf("{") + 1;
    for (let ended = false; !ended; ) {
      const match = pair.exec(line);
      if (!match) return null;
      const [whole, quoted = "", value = "", close = ""] = match;
      const name: unknown = JSON.parse(quoted);
      if (typeof name !== "string" || names.has(name)) return null;
      names.add(name);
      ended = close !== ",";
      if (value.startsWith('"') || value === "true" || value === "false") continue;
      const start = match.index + whole.length - close.length - value.length - trailing(whole, close);
      form.literals.push(Buffer.from(line.slice(literal, start)));
      literal = start + value.length;
      const k = form.targets.length;
      if (name === "step" || name === "tokens" || name === "time" || name === "stage") form[name] = k;
      form.targets.push(columnOf(table, name));
    }
    form.literals.push(Buffer.from(`${line.slice(literal)}\n`));
    form.values = new Float64Array(form.targets.length);
    return form;
  }

  #storeRecord(record: Record<string, unknown>): void {
    const table = this.#table(String(record.kind));
    const names = Object.keys(record).filter((name) => typeof record[name] === "number" || record[name] === null);
    const at = (name: string) => names.indexOf(name);
    const stored = this.#store({
      literals: [],
      table,
      targets: names.map((name) => columnOf(table, name)),
      step: at("step"),
      tokens: at("tokens"),
      time: at("time"),
      stage: at("stage"),
      stageName: typeof record.stage_name === "string" ? record.stage_name : null,
      values: Float64Array.from(names, (name) => (typeof record[name] === "number" ? record[name] : NaN)),
    });
    if (!stored) this.skipped++;
  }

  /** Bytes that the columns take. */
  get bytes(): number {
    let sum = 0;
    for (const table of this.tables.values()) sum += table.bytes;
    return sum;
  }
}

/** The byte after the line at `at` if it has the form, whose `values` are then set; else -1. */
function matchForm(form: Form, bytes: Uint8Array, at: number): number {
  const { literals, values } = form;
  const count = values.length;
  let i = at;
  for (let k = 0; ; k++) {
    const literal = literals[k] as Uint8Array;
    const size = literal.length;
    // The last bytes tell most forms apart, and the loop is too short for a call.
    for (let j = size - 1; j >= 0; j--) if (bytes[i + j] !== literal[j]) return -1;
    i += size;
    if (k === count) return i;
    values[k] = scanNumber(bytes, i);
    i = cursor.end;
    if (i < 0) return -1;
  }
}

function columnOf(table: Table, name: string): Column | null {
  if (name === "step" || name === "tokens" || name === "time" || name === "stage") return table[name];
  return places.has(name) ? null : table.measure(name);
}

/** Length of the white space between a pair's value and what closes it. */
function trailing(whole: string, close: string): number {
  const body = whole.slice(0, whole.length - close.length);
  return body.length - body.trimEnd().length;
}

function parseRecord(line: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
    const record: Record<string, unknown> = { ...value };
    return typeof record.kind === "string" && typeof record.step === "number" ? record : null;
  } catch {
    return null;
  }
}
