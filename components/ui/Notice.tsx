import type { ReactNode } from "react";
import { Icon } from "./Icon";

type Tone = "bad" | "warn" | "info";

const tones: Record<Tone, { box: string; icon: string }> = {
  bad: { box: "border-bad/30 bg-bad-soft", icon: "text-bad" },
  warn: { box: "border-warn/30 bg-warn-soft", icon: "text-warn" },
  info: { box: "border-line bg-sunken", icon: "text-ink-3" },
};

type NoticeProps = {
  tone: Tone;
  /** What went wrong or holds. */
  message: string;
  /** What the reader can do. */
  action?: string;
  /** Buttons. */
  children?: ReactNode;
};

/** A message with what to do about it. Errors are announced at once. */
export function Notice({ tone, message, action, children }: NoticeProps) {
  return (
    <div role={tone === "bad" ? "alert" : "status"} className={`flex gap-2.5 rounded-md border px-3 py-2.5 text-[13px] ${tones[tone].box}`}>
      <Icon name={tone === "info" ? "info" : "alert"} className={`mt-0.5 size-4 ${tones[tone].icon}`} />
      <div className="min-w-0 flex-1">
        <p className="text-ink [overflow-wrap:anywhere]">{message}</p>
        {action && <p className="mt-0.5 text-ink-2 [overflow-wrap:anywhere]">{action}</p>}
        {children && <div className="mt-2 flex flex-wrap gap-2">{children}</div>}
      </div>
    </div>
  );
}
