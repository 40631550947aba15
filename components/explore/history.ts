/** Undo and redo of values that are replaced, never changed. */
export type History<T> = { readonly past: readonly T[]; readonly present: T; readonly future: readonly T[] };

/** Steps that can be undone; older ones are forgotten. */
export const LIMIT = 200;

export function begin<T>(present: T): History<T> {
  return { past: [], present, future: [] };
}

/** A new present; what was undone is forgotten. */
export function record<T>({ past, present }: History<T>, next: T): History<T> {
  return { past: [...past, present].slice(-LIMIT), present: next, future: [] };
}

export function undo<T>(history: History<T>): History<T> {
  const before = history.past.at(-1);
  if (before === undefined) return history;
  return { past: history.past.slice(0, -1), present: before, future: [history.present, ...history.future] };
}

export function redo<T>(history: History<T>): History<T> {
  const [after, ...future] = history.future;
  if (after === undefined) return history;
  return { past: [...history.past, history.present], present: after, future };
}
