"use client";

import { useId } from "react";
import { Icon } from "@/components/ui/Icon";
import type { Field } from "@/lib/training/config/fields";
import { choiceNotes } from "@/lib/training/config/field-notes";
import { formatLayers } from "@/lib/training/config/layer-list";
import type { ConfigProblem } from "@/lib/training/types";
import { clearField, setField } from "./draft";
import { FieldInput } from "./FieldInput";

type FieldRowProps = {
  field: Field;
  /** The value of this place; undefined: it is left to what is inherited. */
  own: unknown;
  /** What holds where there is no own value. */
  inherited: unknown;
  problems: readonly ConfigProblem[];
};

/** A field with its explanation, its default and what is wrong with it. */
export function FieldRow({ field, own, inherited, problems }: FieldRowProps) {
  const id = useId();
  const invalid = problems.length > 0;
  const given = own !== undefined;
  const optional = inherited !== undefined;
  const about = choiceNotes[field.path]?.[String(given ? own : inherited)]?.about ?? field.description;
  const wide = ["sources", "mixture", "object", "names", "texts"].includes(field.kind);
  return (
    <div data-field={field.path} className={`grid content-start gap-1 ${wide ? "sm:col-span-2" : ""}`}>
      <div className="flex min-h-5 items-baseline gap-2">
        <label htmlFor={id} className={`text-xs ${given ? "font-medium text-ink" : "text-ink-2"}`}>
          {field.label}
          {field.unit && <span className="font-normal text-ink-3">, {field.unit}</span>}
        </label>
        <code className="ml-auto hidden truncate font-mono text-[10px] text-ink-3 sm:block">{field.path}</code>
        {given && optional && (
          <button
            type="button"
            aria-label={`Back to ${describeValue(inherited)}: ${field.label}`}
            title={`Back to ${describeValue(inherited)}`}
            onClick={() => clearField(field.path)}
            className="grid size-4 shrink-0 place-items-center self-center rounded text-ink-3 hover:text-ink max-sm:ml-auto"
          >
            <Icon name="undo" className="size-3" />
          </button>
        )}
      </div>
      <FieldInput field={field} id={id} value={given ? own : inherited} invalid={invalid} describedBy={`${id}-about`} onChange={(value) => setField(field.path, value, field.kind !== "choice" && field.kind !== "boolean")} onClear={() => clearField(field.path)} />
      <div id={`${id}-about`} className="grid gap-0.5 text-2xs">
        {problems.map(({ message }) => (
          <p key={message} className="font-medium text-bad">
            {capital(message)}
          </p>
        ))}
        {about && <p className="text-ink-3">{sentence(about)}</p>}
      </div>
    </div>
  );
}

/** With a full stop, unless it has an end. */
const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

export const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

function describeValue(value: unknown): string {
  if (value === null) return "none";
  if (Array.isArray(value) && value.every((one) => typeof one === "number")) return value.length === 0 ? "none" : formatLayers(value);
  return typeof value === "string" ? `“${value}”` : JSON.stringify(value);
}
