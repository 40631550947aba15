/** A log's text as lines: which tell of an error, and where a search text is. Pure. */

export type LineTone = "error" | "warning" | "plain";

const errors = /\b\w*(error|exception)\b|\b(failed|failure|fatal|killed|out of memory)\b|Traceback \(most recent call last\)|^\s+File ".*", line \d+/i;
const warnings = /\b\w*warning\b|\b(warn|skipped|retry|retrying)\b/i;

export function toneOf(line: string): LineTone {
  if (errors.test(line) && !/\b0 (errors|failed)\b/i.test(line)) return "error";
  return warnings.test(line) ? "warning" : "plain";
}

/** A log's lines; a torn last one is shown as far as it goes. Bars that overwrite their line (carriage returns) show their last state. */
export function logLines(text: string): string[] {
  const lines = text.split("\n").map((line) => line.replace(/\r$/, "").split("\r").at(-1) ?? "");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

/** The parts of a line: found ones at odd places. Case does not matter. */
export function splitFound(line: string, search: string): string[] {
  if (search === "") return [line];
  const parts: string[] = [];
  const [lower, wanted] = [line.toLowerCase(), search.toLowerCase()];
  let from = 0;
  for (let at = lower.indexOf(wanted); at !== -1; at = lower.indexOf(wanted, from)) {
    parts.push(line.slice(from, at), line.slice(at, at + wanted.length));
    from = at + wanted.length;
  }
  return [...parts, line.slice(from)];
}
