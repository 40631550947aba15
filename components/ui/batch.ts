/**
 * Gathers what comes faster than the page is to be drawn: `show` is given all of it together, `every()` milliseconds after the first. `flush` shows at
 * once what still waits.
 */
export function batch<T>(show: (items: readonly T[]) => void, every: () => number): { add: (item: T) => void; flush: () => void } {
  let waiting: T[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (waiting.length === 0) return;
    const items = waiting;
    waiting = [];
    show(items);
  };
  return {
    add: (item) => {
      waiting.push(item);
      timer ??= setTimeout(flush, every());
    },
    flush,
  };
}
