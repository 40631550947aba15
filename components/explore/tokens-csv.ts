/** A comparison as a table, one row a position. */
import { TOP } from "@/lib/evaluation/types";
import type { Compared } from "./probe";

const quote = (value: string | number): string => {
  const text = typeof value === "number" && !Number.isFinite(value) ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

/** Comma-separated values with a header; positions count from 0, logarithms are natural. */
export function tokensCsv(compared: { a: Compared; b: Compared | null }, vocabulary: ReadonlyMap<number, string>): string {
  const { text, comparison: first } = compared.a;
  const slots = [{ name: "a", comparison: first }, ...(compared.b ? [{ name: "b", comparison: compared.b.comparison }] : [])];
  const ranks = Array.from({ length: TOP }, (_, rank) => rank);
  const topHead = (name: string) => ranks.flatMap((rank) => [`${name}_top${rank + 1}`, `${name}_top${rank + 1}_probability`]);
  const head = ["position", "token_id", "token", "next_token", "teacher_log_probability", ...topHead("teacher")];
  for (const { name } of slots) head.push(`${name}_kl_nat`, `${name}_same_likeliest`, `${name}_log_probability`, ...topHead(name));
  const tops = ({ ids, probabilities }: { ids: Int32Array; probabilities: Float32Array }, position: number): (string | number)[] =>
    ranks.flatMap((rank) => {
      const id = ids[position * TOP + rank] ?? 0;
      return [vocabulary.get(id) ?? `#${id}`, probabilities[position * TOP + rank] ?? NaN];
    });
  const rows = text.tokens.map((token, position) => {
    const row: (string | number)[] = [position, token, text.pieces[position] ?? "", text.pieces[position + 1] ?? "", first.teacherLogProbability[position] ?? NaN, ...tops(first.teacherTop, position)];
    for (const { comparison } of slots) {
      row.push(comparison.kl[position] ?? NaN, comparison.agree[position] ?? NaN, comparison.logProbability[position] ?? NaN, ...tops(comparison.top, position));
    }
    return row;
  });
  return `${[head, ...rows].map((row) => row.map(quote).join(",")).join("\r\n")}\r\n`;
}
