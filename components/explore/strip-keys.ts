/** The layer strip's keyboard: which key moves, extends, or toggles. */

/** `focus` is the cell with the focus; the range runs from `anchor` to it, in any order. */
export type Cursor = { readonly focus: number; readonly anchor: number };

export type Press = { key: string; shift?: boolean; control?: boolean };

export type Effect = { readonly cursor: Cursor; readonly toggle: boolean };

/**
 * What a key does in a strip of `count` cells in rows of `columns`: arrows, Home and End move, with Shift they extend the range,
 * Space and Enter toggle the range, Ctrl+A takes all, Escape ends the range. Null: the key means nothing here.
 */
export function pressKey(cursor: Cursor, { key, shift = false, control = false }: Press, count: number, columns: number): Effect | null {
  if (control && key.toLowerCase() === "a") return { cursor: { anchor: 0, focus: count - 1 }, toggle: false };
  if (control) return null;
  if (key === " " || key === "Enter") return { cursor, toggle: true };
  if (key === "Escape") return cursor.anchor === cursor.focus ? null : { cursor: { focus: cursor.focus, anchor: cursor.focus }, toggle: false };
  const target = destination(cursor.focus, key, count, columns);
  if (target === null) return null;
  const focus = Math.min(count - 1, Math.max(0, target));
  return { cursor: { focus, anchor: shift ? cursor.anchor : focus }, toggle: false };
}

function destination(from: number, key: string, count: number, columns: number): number | null {
  switch (key) {
    case "ArrowLeft":
      return from - 1;
    case "ArrowRight":
      return from + 1;
    // A row up or down; in the first and last row these keys stay, so that they never jump to another column.
    case "ArrowUp":
      return from >= columns ? from - columns : from;
    case "ArrowDown":
      return from + columns < count ? from + columns : from;
    case "Home":
      return 0;
    case "End":
      return count - 1;
    default:
      return null;
  }
}

/** The first and last layer of a cursor's range. */
export function rangeOf({ focus, anchor }: Cursor): [number, number] {
  return focus < anchor ? [focus, anchor] : [anchor, focus];
}
