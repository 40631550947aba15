"use client";

import { useRef, type ReactNode } from "react";
import { Icon } from "@/components/ui/Icon";

/** A button that opens a short list of actions; it closes when one is chosen, on Escape, and when the focus leaves it. */
export function Menu({ label, children }: { label: string; children: ReactNode }) {
  const menu = useRef<HTMLDetailsElement>(null);
  const close = (): void => {
    if (menu.current) menu.current.open = false;
  };
  return (
    <details
      ref={menu}
      className="relative"
      onBlur={(event) => !event.currentTarget.contains(event.relatedTarget) && close()}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        close();
        menu.current?.querySelector("summary")?.focus();
      }}
    >
      <summary className="flex h-8 list-none items-center gap-1.5 rounded-md border border-line-strong bg-surface px-3 text-[13px] font-medium whitespace-nowrap hover:bg-sunken [&::-webkit-details-marker]:hidden">
        {label}
        <Icon name="chevron" className="size-3 rotate-90 text-ink-3" />
      </summary>
      <div className="absolute top-9 right-0 z-20 grid w-60 rounded-md border border-line bg-surface p-1 shadow-lg max-sm:right-auto max-sm:left-0" onClick={close}>
        {children}
      </div>
    </details>
  );
}

/** Look of an entry of a menu, be it a link or a button. */
export const menuItem = "flex items-center gap-2 rounded px-2 py-1.5 text-left text-[13px] hover:bg-sunken disabled:pointer-events-none disabled:opacity-45";
