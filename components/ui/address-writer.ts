/** Writes the page's address a moment after its state has changed. */

const PAUSE = 200;

/**
 * `later` asks for a write; `end` gives up what is asked for. A write during a navigation would end it (the router takes the new address for
 * the place to be), so a click on a link writes at once, before the navigation begins.
 */
export function addressWriter(write: () => void): { later: () => void; end: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const now = () => {
    if (timer === undefined) return;
    clearTimeout(timer);
    timer = undefined;
    write();
  };
  const click = ({ target }: MouseEvent) => {
    if (target instanceof Element && target.closest("a[href]")) now();
  };
  addEventListener("click", click, { capture: true });
  return {
    later: () => {
      clearTimeout(timer);
      timer = setTimeout(now, PAUSE);
    },
    end: () => {
      clearTimeout(timer);
      removeEventListener("click", click, { capture: true });
    },
  };
}
