"use client";

import { fieldsByPath } from "@/lib/training/config/fields";
import type { ConfigProblem } from "@/lib/training/types";
import { showStage } from "./draft";
import { capital } from "./FieldRow";

/** All that is wrong, each a button that goes to its field. */
export function ProblemList({ problems }: { problems: readonly ConfigProblem[] }) {
  if (problems.length === 0) return null;
  return (
    <div role="alert" className="rounded-md border border-bad/30 bg-bad-soft px-3 py-2.5 text-xs">
      <p className="font-medium">{problems.length === 1 ? "One field is to be corrected" : `${problems.length} fields are to be corrected`}</p>
      <ul className="mt-1.5 grid gap-1">
        {problems.map(({ path, message }) => (
          <li key={`${path} ${message}`}>
            <button type="button" onClick={() => goTo(path)} className="text-left underline decoration-bad/40 underline-offset-2 hover:decoration-bad">
              {labelOf(path)}: {path === "" ? capital(message) : path.startsWith("stages.") ? message.replace(/^stage [^:]*: /, "") : message}
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function labelOf(path: string): string {
  const [, stage, rest] = /^stages\.(\d+)\.(.*)$/.exec(path) ?? [];
  const own = rest ?? path;
  const field = fieldsByPath.get(own) ?? fieldsByPath.get(own.split(".").slice(0, -1).join("."));
  const name = field?.label ?? (own === "" ? "Config" : own);
  return stage === undefined ? name : `Stage ${Number(stage) + 1}, ${name}`;
}

/** Shows the field of a path, in its stage if it has one, and gives it the focus. */
function goTo(path: string): void {
  const [, stage, rest] = /^stages\.(\d+)\.(.*)$/.exec(path) ?? [];
  showStage(stage === undefined ? null : Number(stage));
  // After the stage's fields are drawn.
  setTimeout(() => {
    const parts = (rest ?? path).split(".");
    for (let length = parts.length; length > 0; length -= 1) {
      const place = document.querySelector<HTMLElement>(`[data-field="${CSS.escape(parts.slice(0, length).join("."))}"]`);
      if (!place) continue;
      place.scrollIntoView({ block: "center", behavior: "smooth" });
      (place.querySelector<HTMLElement>("input, select, textarea") ?? place.querySelector<HTMLElement>("button"))?.focus({ preventScroll: true });
      return;
    }
    document.querySelector<HTMLElement>('[aria-label="The config as JSON"]')?.focus();
  }, 50);
}
