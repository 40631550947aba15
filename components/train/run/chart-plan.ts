/** Which charts a run has, by what it measured. Pure. */
import type { Kind, SeriesKey } from "../metrics";
import { splitKey } from "../metrics";
import { describeMeasure } from "../words";

export type PlannedLine = { readonly key: SeriesKey; readonly kind: Kind; readonly measure: string; readonly label: string };
export type PlannedChart = { readonly id: string; readonly title: string; readonly unit: string; readonly lines: readonly PlannedLine[]; /** A value that a linear axis always shows. */ readonly floor: number | null; readonly loggable: boolean; /** Set rather than measured: no moving average. */ readonly exact: boolean; readonly note?: string };

type Group = { id: string; title?: string; measures: readonly string[]; /** Also `<measure>.<variant>`, as of patterns that were evaluated. */ variants?: boolean; floor?: number; loggable?: boolean; exact?: boolean };

const groups: readonly Group[] = [
  { id: "loss", measures: ["loss"] },
  { id: "kl", measures: ["kl"], variants: true },
  { id: "ce", title: "Cross-entropy", measures: ["ce", "teacher_ce"] },
  { id: "agreement", measures: ["agreement"], variants: true, loggable: false },
  { id: "acceptance", measures: ["acceptance"], variants: true, loggable: false },
  { id: "learning_rate", measures: ["learning_rate"], floor: 0, exact: true },
  { id: "grad_norm", measures: ["grad_norm"] },
  { id: "tokens_per_second", measures: ["tokens_per_second"], floor: 0 },
  { id: "memory_gib", measures: ["memory_gib"], floor: 0, loggable: false, exact: true },
  { id: "gpu_utilisation", measures: ["gpu_utilisation"], floor: 0, loggable: false },
];

/**
 * Lines that say the same as another chart's, such as a total loss that is the KL alone, are left out by `same`. `lossUnit`: that of the
 * total loss, which depends on the method.
 */
export function planCharts(keys: readonly SeriesKey[], same: (one: SeriesKey, other: SeriesKey) => boolean, lossUnit?: string): PlannedChart[] {
  const all = keys.map((key) => ({ key, parts: splitKey(key) }));
  const taken = new Set<SeriesKey>();
  const charts: PlannedChart[] = [];
  const alone = all.filter(({ parts: [, measure] }) => measure === "loss");
  const redundant = alone.length > 0 && alone.every(({ key, parts: [kind] }) => keys.includes(`${kind}:kl`) && same(key, `${kind}:kl`));
  const add = ({ id, title, measures, variants = false, floor = null, loggable = true, exact = false }: Omit<Group, "floor"> & { floor?: number | null }): void => {
    const own = all.filter(({ parts: [, measure] }) => measures.includes(measure) || (variants && measures.some((base) => measure.startsWith(`${base}.`))));
    if (own.length === 0) return;
    for (const { key } of own) taken.add(key);
    const text = describeMeasure(measures[0] ?? id);
    const both = own.some(({ parts: [kind] }) => kind === "train") && own.some(({ parts: [kind] }) => kind === "eval");
    const lines = own.map(({ key, parts: [kind, measure] }): PlannedLine => {
      const name = measure === measures[0] ? "" : measure.startsWith(`${measures[0]}.`) ? measure.slice((measures[0]?.length ?? 0) + 1) : describeMeasure(measure).label;
      const when = kind === "train" ? "training" : "evaluation";
      return { key, kind, measure, label: name === "" ? (measures.length > 1 ? `${text.label}, ${when}` : when) : both ? `${name}, ${when}` : name };
    });
    charts.push({ id, title: title ?? text.label, unit: id === "loss" && lossUnit !== undefined ? lossUnit : text.unit, lines, floor, loggable, exact, ...(id === "kl" && redundant && { note: "The total loss is this KL alone." }) });
  };
  for (const group of groups) {
    if (group.id === "loss" && redundant) for (const { key } of alone) taken.add(key);
    else add(group);
  }
  for (const { key, parts: [, measure] } of all) if (!taken.has(key)) add({ id: measure, measures: [measure] });
  return charts;
}
