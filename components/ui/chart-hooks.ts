"use client";

import { useCallback, useState, useSyncExternalStore } from "react";

function watchTheme(listener: () => void): () => void {
  const observer = new MutationObserver(listener);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  return () => observer.disconnect();
}

/** The theme in force, for what is painted by numbers. */
export function useThemeName(): "light" | "dark" {
  return useSyncExternalStore(
    watchTheme,
    () => (document.documentElement.dataset.theme === "dark" ? "dark" : "light"),
    () => "light",
  );
}

function watchPixels(listener: () => void): () => void {
  addEventListener("resize", listener);
  return () => removeEventListener("resize", listener);
}

/** Device pixels in a CSS pixel; changes with the page's zoom and the screen it is on. */
export function usePixelRatio(): number {
  return useSyncExternalStore(
    watchPixels,
    () => devicePixelRatio,
    () => 1,
  );
}

/** Width of an element in CSS pixels, 0 until it is known; give the first of the pair as its `ref`. */
export function useWidth(): [(element: HTMLElement | null) => (() => void) | undefined, number] {
  const [width, setWidth] = useState(0);
  const ref = useCallback((element: HTMLElement | null) => {
    if (!element) return undefined;
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry?.contentRect.width ?? 0)));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}
