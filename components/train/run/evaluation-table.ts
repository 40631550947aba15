/** Records of the evaluate command as tables, one a task. Pure. */

export type Cell = string | number | null;
export type EvaluationTable = { readonly task: string; readonly columns: readonly string[]; readonly rows: readonly (readonly Cell[])[] };

/** Plain values of a record; those of inner objects under `outer inner`. Lists are left to the file itself. */
function flatten(record: Record<string, unknown>, prefix = ""): [string, Cell][] {
  return Object.entries(record).flatMap(([name, value]): [string, Cell][] => {
    const column = prefix === "" ? name : `${prefix} ${name}`;
    if (typeof value === "string" || typeof value === "number") return [[column, value]];
    if (typeof value === "boolean") return [[column, value ? "yes" : "no"]];
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return flatten(value as Record<string, unknown>, column);
    return [];
  });
}

/** What the page says elsewhere. */
const known = new Set(["task", "family", "run"]);

/** One table a task, its columns in the order in which the records name them; words before numbers. */
export function evaluationTables(records: readonly Record<string, unknown>[]): EvaluationTable[] {
  const tasks = [...new Set(records.map(({ task }) => (typeof task === "string" ? task : "evaluation")))];
  return tasks.map((task) => {
    const flat = records.filter((record) => (typeof record.task === "string" ? record.task : "evaluation") === task).map((record) => new Map(flatten(record).filter(([name]) => !known.has(name))));
    const names = [...new Set(flat.flatMap((row) => [...row.keys()]))];
    const isWord = (name: string): boolean => flat.some((row) => typeof row.get(name) === "string");
    const columns = [...names.filter(isWord), ...names.filter((name) => !isWord(name))];
    return { task, columns, rows: flat.map((row) => columns.map((column) => row.get(column) ?? null)) };
  });
}
