import { formatBytes, formatCount, formatNumber } from "@/components/ui/format";
import { fixedBytes } from "@/lib/hybrid/costs";
import type { Compared } from "./models";

const units = ["", " k", " M", " G", " T"] as const;

/** A count with a metric prefix and three significant digits, such as `135 M`. */
export function formatLarge(value: number): string {
  let size = value;
  let unit = 0;
  while (Math.abs(size) >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  return `${formatNumber(size)}${units[unit]}`;
}

type Row = { label: string; hint: string; value: (model: Compared) => number; format: (value: number) => string };

/** Parameters, memory and arithmetic of each model, beside the teacher's. */
export function BenefitSummary({ models, contextTokens }: { models: readonly Compared[]; contextTokens: number }) {
  const teacher = models[0];
  if (!teacher) return null;
  const atText = ({ costs }: Compared) => costs.curve.find(({ context }) => context === contextTokens) ?? costs.curve[0];
  const rows: Row[] = [
    { label: "Parameters", hint: "Embedding, MLPs, norms and mixers", value: ({ costs }) => costs.account.parameters, format: formatLarge },
    { label: "of which mixers", hint: "Attention and Mamba-2 layers without their MLPs", value: ({ costs }) => costs.account.layers.reduce((sum, { mixerParameters }) => sum + mixerParameters, 0), format: formatLarge },
    { label: "KV cache a token", hint: "What each further token of context adds, float32", value: ({ costs }) => costs.account.kvBytesPerToken, format: formatBytes },
    { label: "Mamba state", hint: "Whatever the context, float32", value: ({ costs }) => fixedBytes(costs.account), format: formatBytes },
    { label: `Memory at ${formatCount(contextTokens)} tokens`, hint: "KV cache and state after your text", value: (model) => atText(model)?.bytes ?? Number.NaN, format: formatBytes },
    { label: "FLOPs a token there", hint: "To decode the next token after your text", value: (model) => atText(model)?.flops ?? Number.NaN, format: formatLarge },
  ];
  return (
    <div className="overflow-x-auto rounded-xl border border-line bg-surface" role="region" aria-label="Costs beside the teacher's" tabIndex={0}>
      <table className="w-full min-w-[20rem] text-xs">
        <thead className="text-2xs text-ink-3">
          <tr>
            <th scope="col" className="px-4 py-2 text-left font-normal sm:px-5">
              What it takes
            </th>
            {models.map(({ key, label, colour }) => (
              <th key={key} scope="col" className="px-3 py-2 text-right font-medium text-ink-2 sm:px-5">
                <span aria-hidden className="mr-1.5 inline-block size-2 rounded-[2px]" style={{ background: colour }} />
                {label}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ label, hint, value, format }) => (
            <tr key={label} className="border-t border-line align-baseline">
              <th scope="row" title={hint} className="px-4 py-1.5 text-left font-normal text-ink-2 sm:px-5">
                {label}
              </th>
              {models.map((model) => (
                <td key={model.key} className="px-3 py-1.5 text-right whitespace-nowrap sm:px-5">
                  {format(value(model))}
                  {model !== teacher && value(teacher) > 0 && <span className="block text-2xs text-ink-3 sm:ml-2 sm:inline">{formatNumber((100 * value(model)) / value(teacher))} %</span>}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
