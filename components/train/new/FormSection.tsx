"use client";

import { useState, type ReactNode } from "react";
import { valueAt, parsePath } from "@/lib/training/config/document";
import { fieldsOf, matters, situationOf, type Field } from "@/lib/training/config/fields";
import { sectionTitles, type SectionId } from "@/lib/training/config/field-notes";
import { mixerOptionFields } from "@/lib/training/config/mixer-options";
import type { ConfigDocument, ConfigProblem } from "@/lib/training/types";
import { FieldRow } from "./FieldRow";

type FormSectionProps = {
  section: SectionId;
  /** The document that the fields are written to: the config, or one stage of it. */
  own: ConfigDocument;
  /** What all stages share; empty where `own` is the whole config. */
  shared: ConfigDocument;
  problems: readonly ConfigProblem[];
  /** Paths that the section's children show in another way. */
  without?: readonly string[];
  children?: ReactNode;
};

/** One card of the form. Fields that do not matter for the method are left out, unless they are set. */
export function FormSection({ section, own, shared, problems, without = [], children }: FormSectionProps) {
  const [open, setOpen] = useState(false);
  const situation = situationOf({ ...shared, ...own, ...mergedSections(shared, own) });
  const all: readonly Field[] = section === "mixer" ? [...fieldsOf(section), ...mixerOptionFields] : fieldsOf(section);
  const at = (document: ConfigDocument, path: string): unknown => valueAt(document, parsePath(path));
  const shown = all.filter((field) => !without.includes(field.path) && field.path !== "mixer.options" && (matters(field, situation) || at(own, field.path) !== undefined));
  if (shown.length === 0 && !children) return null;
  const wrong = (field: Field): ConfigProblem[] => problems.filter(({ path }) => path === field.path || path.startsWith(`${field.path}.`));
  const plain = shown.filter((field) => !field.advanced);
  const advanced = shown.filter((field) => field.advanced);
  const unfolded = open || advanced.some((field) => wrong(field).length > 0);
  const set = advanced.filter((field) => at(own, field.path) !== undefined).length;
  const row = (field: Field): ReactNode => {
    const inherited = at(shared, field.path);
    return <FieldRow key={field.path} field={field} own={at(own, field.path)} inherited={inherited === undefined ? field.default : inherited} problems={wrong(field)} />;
  };
  return (
    <section id={`section-${section}`} aria-labelledby={`heading-${section}`} className="scroll-mt-16 rounded-xl border border-line bg-surface p-4 sm:p-5">
      <h2 id={`heading-${section}`} className="text-[13px] font-semibold">
        {sectionTitles[section]}
      </h2>
      {children}
      {plain.length > 0 && <div className="mt-3 grid gap-x-6 gap-y-4 sm:grid-cols-2">{plain.map(row)}</div>}
      {advanced.length > 0 && (
        <>
          <button type="button" aria-expanded={unfolded} onClick={() => setOpen(!open)} className="mt-4 flex items-center gap-1.5 text-xs font-medium text-ink-2 hover:text-ink">
            <svg aria-hidden viewBox="0 0 16 16" className={`size-3 transition-transform ${unfolded ? "rotate-90" : ""}`} fill="none" stroke="currentColor" strokeWidth={1.6}>
              <path d="m6 4 4 4-4 4" />
            </svg>
            {unfolded ? "Fewer fields" : `${advanced.length} more ${advanced.length === 1 ? "field" : "fields"}`}
            {set > 0 && <span className="font-normal text-ink-3">{set} set</span>}
          </button>
          {unfolded && <div className="mt-3 grid gap-x-6 gap-y-4 sm:grid-cols-2">{advanced.map(row)}</div>}
        </>
      )}
    </section>
  );
}

/** Sections of both documents in one, so that a stage's `loss.beta` leaves the shared `loss.alpha`. */
function mergedSections(shared: ConfigDocument, own: ConfigDocument): ConfigDocument {
  const merged: ConfigDocument = {};
  for (const [key, value] of Object.entries(own)) {
    const held = shared[key];
    if (typeof value === "object" && value !== null && !Array.isArray(value) && typeof held === "object" && held !== null) merged[key] = { ...held, ...value };
  }
  return merged;
}
