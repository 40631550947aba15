"use client";

import { TOP } from "@/lib/evaluation/types";
import type { Compared } from "./probe";
import { formatNats, formatProbability } from "./numbers";

type Named = { name: string; compared: Compared };

/** One position: what comes next in the text, and what the teacher and each pattern would say. */
export function TokenDetail({ position, columns, vocabulary }: { position: number; columns: Named[]; vocabulary: ReadonlyMap<number, string> }) {
  const first = columns[0]?.compared;
  if (!first) return null;
  const { pieces, tokens } = first.text;
  const next = position + 1 < tokens.length ? (pieces[position + 1] ?? "") : null;
  const { comparison } = first;
  const slice = <T extends Int32Array | Float32Array>(array: T): number[] => Array.from(array.subarray(position * TOP, (position + 1) * TOP));
  const models = [
    { name: "Teacher", ids: slice(comparison.teacherTop.ids), probabilities: slice(comparison.teacherTop.probabilities), logProbability: comparison.teacherLogProbability[position] ?? NaN, kl: null },
    ...columns.map(({ name, compared }) => ({
      name,
      ids: slice(compared.comparison.top.ids),
      probabilities: slice(compared.comparison.top.probabilities),
      logProbability: compared.comparison.logProbability[position] ?? NaN,
      kl: compared.comparison.kl[position] ?? NaN,
    })),
  ];
  return (
    <div aria-live="polite" className="grid content-start gap-3 [font-variant-ligatures:none] rounded-lg border border-line bg-surface p-3.5" data-testid="token-detail">
      <p className="tabular text-xs text-ink-2">
        Position {position}: after <Piece text={pieces[position] ?? ""} />
        {next === null ? (
          " the text ends."
        ) : (
          <>
            {" "}
            comes <Piece text={next} />
          </>
        )}
      </p>
      <div className={`grid gap-4 ${models.length > 2 ? "sm:grid-cols-3 xl:grid-cols-1" : "sm:grid-cols-2 xl:grid-cols-1"}`}>
        {models.map(({ name, ids, probabilities, logProbability, kl }) => (
          <table key={name} className="w-full table-fixed text-xs">
            <caption className="tabular pb-1 text-left text-2xs text-ink-3">
              <span className="font-medium text-ink-2">{name}</span>
              {kl !== null && <> · KL {formatNats(kl)} nat</>}
              {Number.isFinite(logProbability) && <> · log p(next) {logProbability.toFixed(2)}</>}
            </caption>
            <tbody>
              {ids.map((id, rank) => (
                <tr key={rank}>
                  <th scope="row" className={`relative truncate py-0.5 pr-2 pl-1 text-left font-mono font-normal ${id === tokens[position + 1] ? "font-semibold" : ""}`}>
                    <span aria-hidden className={`absolute inset-y-0.5 left-0 rounded-[2px] ${name === "Teacher" ? "bg-attention/20" : "bg-mamba/25"}`} style={{ width: `${100 * (probabilities[rank] ?? 0)}%` }} />
                    <span className="relative">
                      {visible(vocabulary.get(id) ?? `#${id}`)}
                      {id === tokens[position + 1] && <span className="sr-only"> (the next token)</span>}
                    </span>
                  </th>
                  <td className="tabular w-12 py-0.5 text-right text-ink-2">{formatProbability(probabilities[rank] ?? 0)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        ))}
      </div>
    </div>
  );
}

/** Spaces and line ends that would not be seen, as marks. */
export function visible(text: string): string {
  return text.replaceAll("\n", "↵").replaceAll("\t", "⇥").replaceAll(" ", "␣") || "·";
}

function Piece({ text }: { text: string }) {
  return <span className="rounded-[3px] bg-sunken px-1 font-mono text-ink">{visible(text)}</span>;
}
