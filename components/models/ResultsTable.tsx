import { formatNumber } from "@/components/ui/format";
import { Notice } from "@/components/ui/Notice";
import type { ResultEntry, ResultsFile } from "@/lib/home/results";

/** The measurements that ship with the project, one table a file. */
export function ResultsTable({ files }: { files: ResultsFile[] }) {
  if (files.length === 0) return <p className="text-ink-2">There are no results yet. Measurements are kept in results/.</p>;
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-6">
      {files.map((file) =>
        "problem" in file ? (
          <Notice key={file.name} tone="warn" message={`results/${file.name}.json cannot be read: ${file.problem}`} action="Measure it again." />
        ) : (
          <section key={file.name} aria-label={file.name} className="overflow-hidden rounded-xl border border-line bg-surface">
            <header className="flex flex-wrap items-baseline gap-x-4 gap-y-1 px-5 py-3">
              <h3 className="font-medium">{file.name}</h3>
              <p className="tabular text-2xs text-ink-3">
                {file.results.date.slice(0, 10)}, {describeMachine(file.results.machine)}, commit {file.results.commit.slice(0, 9)}
              </p>
              <code className="font-mono text-2xs text-ink-3">{file.results.command}</code>
            </header>
            <div className="relative overflow-x-auto">
              <table className="w-full min-w-[44rem] text-xs">
                <thead className="text-left text-2xs text-ink-3">
                  <tr className="border-t border-line">
                    <th className="py-2 pr-4 pl-5 font-normal">Metric</th>
                    <th className="py-2 pr-4 font-normal">Of</th>
                    <th className="py-2 pr-4 text-right font-normal">Value</th>
                    <th className="py-2 pr-4 text-right font-normal">Peer</th>
                    <th className="py-2 pr-5 text-right font-normal">Ratio</th>
                  </tr>
                </thead>
                <tbody>
                  {file.results.entries.map((entry, index) => (
                    <Row key={index} entry={entry} />
                  ))}
                </tbody>
              </table>
            </div>
          </section>
        ),
      )}
    </div>
  );
}

function Row({ entry }: { entry: ResultEntry }) {
  return (
    <tr className="border-t border-line align-baseline" title={describeMaking(entry)}>
      <th scope="row" className="py-1.5 pr-4 pl-5 text-left font-mono font-normal">
        {entry.metric}
      </th>
      <td className="py-1.5 pr-4 text-ink-2">{describe(entry.of)}</td>
      <td className="py-1.5 pr-4 text-right whitespace-nowrap">
        {formatMeasured(entry.value)}
        {entry.stderr === undefined ? "" : ` ± ${formatMeasured(entry.stderr)}`} <span className="text-ink-3">{entry.unit}</span>
      </td>
      <td className="py-1.5 pr-4 text-right whitespace-nowrap text-ink-2">{entry.peer ? `${formatMeasured(entry.peer.value)} ${entry.peer.name}` : ""}</td>
      <td className="py-1.5 pr-5 text-right">{entry.ratio === undefined ? "" : `${formatNumber(entry.ratio)}×`}</td>
    </tr>
  );
}

function formatMeasured(value: number): string {
  return value !== 0 && Math.abs(value) < 0.001 ? value.toExponential(2) : formatNumber(value);
}

function describeMachine(machine: string | Record<string, unknown>): string {
  return typeof machine === "string" ? machine : Object.values(machine).filter((part) => typeof part === "string" || typeof part === "number").join(", ");
}

/** How an entry was made, where that is not what the table's head says; otherwise nothing. */
function describeMaking({ date, machine, commit, command }: ResultEntry): string | undefined {
  const parts = [date?.slice(0, 10), machine && describeMachine(machine), commit && `commit ${commit.slice(0, 9)}`, command];
  return parts.filter((part) => part).join(", ") || undefined;
}

/** Names speak for themselves; numbers and flags get their key. */
function describe(of: ResultEntry["of"]): string {
  return Object.entries(of)
    .map(([key, value]) => (typeof value === "string" ? value : `${key.replaceAll("_", " ")} ${value}`))
    .join(", ");
}
