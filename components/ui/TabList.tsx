"use client";

import type { KeyboardEvent, ReactNode } from "react";

type TabListProps<T extends string> = { label: string; tabs: readonly { readonly id: T; readonly title: string; readonly aside?: string }[]; tab: T; onTab: (tab: T) => void; children: ReactNode };

/** Views of one thing, one at a time; arrow keys move between them. */
export function TabList<T extends string>({ label, tabs, tab, onTab, children }: TabListProps<T>) {
  const press = (event: KeyboardEvent) => {
    const at = tabs.findIndex(({ id }) => id === tab);
    const next = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    const chosen = next === undefined ? undefined : tabs[(next + tabs.length) % tabs.length];
    if (!chosen) return;
    event.preventDefault();
    onTab(chosen.id);
    document.getElementById(`tab-${chosen.id}`)?.focus();
  };
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
      <div role="tablist" aria-label={label} onKeyDown={press} className="flex gap-5 overflow-x-auto border-b border-line">
        {tabs.map(({ id, title, aside }) => (
          <button
            key={id}
            id={`tab-${id}`}
            role="tab"
            type="button"
            aria-selected={id === tab}
            aria-controls={id === tab ? "tab-panel" : undefined}
            tabIndex={id === tab ? 0 : -1}
            onClick={() => onTab(id)}
            className="-mb-px border-b-2 border-transparent py-2 text-[13px] whitespace-nowrap text-ink-2 -outline-offset-2 hover:text-ink aria-selected:border-ink aria-selected:font-medium aria-selected:text-ink"
          >
            {title}
            {aside && <span className="tabular ml-1.5 text-2xs text-ink-3">{aside}</span>}
          </button>
        ))}
      </div>
      <div role="tabpanel" id="tab-panel" aria-labelledby={`tab-${tab}`} className="min-w-0 pb-6">
        {children}
      </div>
    </div>
  );
}
