import type { ReactNode } from "react";
import { Icon } from "./Icon";

type SidePanelProps = {
  /** Names the panel for screen readers. */
  label: string;
  id: string;
  open: boolean;
  onOpen: (open: boolean) => void;
  /** What the button says that folds it. */
  title: string;
  aside: string;
  className?: string;
  children: ReactNode;
};

/** The settings beside a page's work: a column on a wide screen, folded above the work on a narrow one. */
export function SidePanel({ label, id, open, onOpen, title, aside, className = "", children }: SidePanelProps) {
  return (
    <aside aria-label={label} className="relative border-line bg-surface max-lg:border-b lg:min-h-0 lg:overflow-y-auto lg:border-r">
      <button type="button" aria-expanded={open} aria-controls={id} onClick={() => onOpen(!open)} className="flex w-full items-center gap-2 px-4 py-2.5 text-left text-[13px] lg:hidden">
        <Icon name="chevron" className={`size-3.5 text-ink-3 transition-transform ${open ? "rotate-90" : ""}`} />
        <span className="font-medium">{title}</span>
        <span className="truncate text-ink-2">{aside}</span>
      </button>
      <div id={id} className={`${open ? "" : "hidden"} ${className} lg:block`}>
        {children}
      </div>
    </aside>
  );
}
