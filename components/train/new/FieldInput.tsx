"use client";

import { useState, type ReactNode } from "react";
import { IconButton } from "@/components/ui/Button";
import { choiceNotes } from "@/lib/training/config/field-notes";
import type { Field } from "@/lib/training/config/fields";
import { formatLayers, parseLayers } from "@/lib/training/config/layer-list";
import { isObject } from "@/lib/training/config/document";

export type InputProps = {
  field: Field;
  id: string;
  /** What counts: the own value, else the inherited or the default. */
  value: unknown;
  invalid: boolean;
  describedBy: string;
  onChange: (value: unknown) => void;
  onClear: () => void;
};

const box = "h-8 w-full rounded-md border bg-surface px-2.5 text-[13px] disabled:opacity-50";
const edge = (invalid: boolean): string => (invalid ? "border-bad" : "border-line-strong");

/** The control of a field, by its kind. */
export function FieldInput(props: InputProps): ReactNode {
  switch (props.field.kind) {
    case "boolean":
      return props.field.nullable ? <Choice {...props} choices={["true", "false"]} /> : <Switch {...props} />;
    case "choice":
      return <Choice {...props} choices={props.field.choices} />;
    case "integer":
    case "number":
      return <NumberInput {...props} />;
    case "layers":
      return <LayersInput {...props} />;
    case "texts":
    case "names":
      return <LinesInput {...props} />;
    case "sources":
      return <SourcesInput {...props} />;
    case "mixture":
      return <MixtureInput {...props} />;
    case "object":
      return <ObjectInput {...props} />;
    default:
      return <TextInput {...props} />;
  }
}

function TextInput({ id, field, value, invalid, describedBy, onChange, onClear }: InputProps) {
  return (
    <input
      id={id}
      type="text"
      spellCheck={false}
      aria-invalid={invalid}
      aria-describedby={describedBy}
      value={typeof value === "string" ? value : ""}
      placeholder={field.nullable ? "none" : undefined}
      onChange={(event) => (event.target.value === "" && field.nullable ? onClear() : onChange(event.target.value))}
      className={`${box} ${edge(invalid)} font-mono text-xs`}
    />
  );
}

/** Text while it is typed, so that `1e-` can become `1e-3`; a value as soon as it is a number. */
function NumberInput({ id, field, value, invalid, describedBy, onChange, onClear }: InputProps) {
  const [typed, setTyped] = useState<string | null>(null);
  const shown = typed ?? (typeof value === "number" ? formatValue(value) : value === null || value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value));
  return (
    <input
      id={id}
      type="text"
      inputMode="decimal"
      spellCheck={false}
      aria-invalid={invalid}
      aria-describedby={describedBy}
      value={shown}
      placeholder={field.nullable ? "none" : undefined}
      onChange={(event) => {
        const text = event.target.value;
        setTyped(text);
        if (text.trim() === "") onClear();
        else onChange(Number.isNaN(Number(text)) ? text : Number(text));
      }}
      onBlur={() => setTyped(null)}
      className={`${box} ${edge(invalid)} tabular`}
    />
  );
}

const formatValue = (value: number): string => (value !== 0 && Math.abs(value) < 1e-3 ? value.toExponential().replace("e-0", "e-") : String(value));

function Switch({ id, value, describedBy, onChange }: InputProps) {
  return (
    <label className="flex h-8 cursor-pointer items-center gap-2 text-[13px]">
      <input id={id} type="checkbox" checked={value === true} aria-describedby={describedBy} onChange={(event) => onChange(event.target.checked)} className="size-4 accent-accent" />
      <span className="text-ink-2">{value === true ? "on" : "off"}</span>
    </label>
  );
}

function Choice({ id, field, value, invalid, describedBy, choices, onChange, onClear }: InputProps & { choices: readonly string[] }) {
  const text = value === null || value === undefined ? "" : String(value);
  const known = choices.includes(text) || (text === "" && field.nullable);
  return (
    <div className="relative">
      <select
        id={id}
        value={text}
        aria-invalid={invalid}
        aria-describedby={describedBy}
        onChange={(event) => (event.target.value === "" ? onClear() : onChange(valueOf(field, event.target.value)))}
        className={`${box} ${edge(invalid)} appearance-none truncate pr-7`}
      >
        {field.nullable && <option value="">{field.kind === "boolean" ? "automatic" : "none"}</option>}
        {!known && <option value={text}>{text === "" ? "choose…" : text}</option>}
        {choices.map((choice) => (
          <option key={choice} value={choice}>
            {field.kind === "boolean" ? (choice === "true" ? "yes" : "no") : (choiceNotes[field.path]?.[choice]?.title ?? choice)}
          </option>
        ))}
      </select>
      <svg aria-hidden viewBox="0 0 16 16" className="pointer-events-none absolute top-2 right-2 size-4 text-ink-3" fill="none" stroke="currentColor" strokeWidth={1.4}>
        <path d="m5 6.5 3 3 3-3" />
      </svg>
    </div>
  );
}

/** Numbers and truth values that stand in a list of choices. */
function valueOf(field: Field, text: string): unknown {
  if (field.kind === "boolean") return text === "true";
  return typeof field.default === "number" ? Number(text) : text;
}

function LayersInput({ id, value, field, invalid, describedBy, onChange, onClear }: InputProps) {
  const [typed, setTyped] = useState<string | null>(null);
  const layers = Array.isArray(value) ? value.filter((one): one is number => typeof one === "number") : [];
  return (
    <input
      id={id}
      type="text"
      spellCheck={false}
      aria-invalid={invalid}
      aria-describedby={describedBy}
      value={typed ?? formatLayers(layers)}
      placeholder={field.nullable ? "all" : "0-3, 6"}
      onChange={(event) => {
        const text = event.target.value;
        setTyped(text);
        const parsed = parseLayers(text);
        if (text.trim() === "") onClear();
        else if (parsed) onChange(parsed);
      }}
      onBlur={() => setTyped(null)}
      className={`${box} ${edge(invalid)} tabular`}
    />
  );
}

/** One text a line. A single line of `names` is written as a text, several as a list. */
function LinesInput({ id, field, value, invalid, describedBy, onChange, onClear }: InputProps) {
  const [typed, setTyped] = useState<string | null>(null);
  const lines = Array.isArray(value) ? value.map(String) : typeof value === "string" ? [value] : [];
  return (
    <textarea
      id={id}
      rows={Math.max(1, Math.min(5, (typed ?? lines.join("\n")).split("\n").length))}
      spellCheck={false}
      aria-invalid={invalid}
      aria-describedby={describedBy}
      value={typed ?? lines.join("\n")}
      placeholder={field.kind === "names" ? "none: all mixers are new" : "one a line; none: built in"}
      onChange={(event) => {
        const text = event.target.value;
        setTyped(text);
        const wanted = text.split("\n").map((line) => line.trim()).filter((line) => line !== "");
        if (wanted.length === 0) onClear();
        else onChange(field.kind === "names" && wanted.length === 1 ? wanted[0] : wanted);
      }}
      onBlur={() => setTyped(null)}
      className={`min-h-8 w-full resize-y rounded-md border bg-surface px-2.5 py-1.5 font-mono text-xs ${edge(invalid)}`}
    />
  );
}

type Row = Record<string, unknown>;

function rowsOf(value: unknown): Row[] {
  return Array.isArray(value) ? value.map((row) => (isObject(row) ? row : {})) : [];
}

/** One data folder, or several with shares. */
function SourcesInput(props: InputProps) {
  const { value, onChange, field } = props;
  if (!Array.isArray(value)) {
    return (
      <div className="grid gap-1.5">
        <TextInput {...props} />
        <AddButton label="Mix several folders" onClick={() => onChange([{ folder: typeof value === "string" ? value : "", share: 1 }, { folder: "", share: 1 }])} />
      </div>
    );
  }
  const rows = rowsOf(value);
  const put = (index: number, part: Row): void => onChange(rows.map((row, at) => (at === index ? { ...row, ...part } : row)));
  return (
    <div className="grid gap-1.5">
      {rows.map((row, index) => (
        <div key={index} className="flex items-center gap-1.5">
          <SmallText label={`Folder ${index + 1} of ${field.label}`} value={String(row.folder ?? "")} onChange={(folder) => put(index, { folder })} />
          <SmallNumber label={`Share of folder ${index + 1}`} value={row.share ?? 1} onChange={(share) => put(index, { share })} />
          <IconButton icon="close" label={`Remove folder ${index + 1}`} onClick={() => onChange(rows.length === 2 ? String(rows[1 - index]?.folder ?? "") : rows.filter((_, at) => at !== index))} />
        </div>
      ))}
      <AddButton label="Add a folder" onClick={() => onChange([...rows, { folder: "", share: 1 }])} />
    </div>
  );
}

function MixtureInput({ value, onChange, onClear }: InputProps) {
  const rows = rowsOf(value);
  const put = (index: number, part: Row): void => onChange(rows.map((row, at) => (at === index ? { ...row, ...part } : row)));
  return (
    <div className="grid gap-1.5">
      {rows.map((row, index) => (
        <div key={index} className="grid grid-cols-[6rem_minmax(0,1fr)_4rem_auto] items-center gap-1.5">
          <SmallText label={`Name of pattern ${index + 1}`} value={String(row.name ?? "")} onChange={(name) => put(index, { name })} />
          <SmallLayers label={`Replaced layers of pattern ${index + 1}`} value={row.layers} onChange={(layers) => put(index, { layers })} />
          <SmallNumber label={`Share of pattern ${index + 1}`} value={row.share ?? 1} onChange={(share) => put(index, { share })} />
          <IconButton icon="close" label={`Remove pattern ${index + 1}`} onClick={() => (rows.length === 1 ? onClear() : onChange(rows.filter((_, at) => at !== index)))} />
        </div>
      ))}
      <AddButton label="Add a pattern" onClick={() => onChange([...rows, { name: `pattern${rows.length + 1}`, layers: [1], share: 1 }])} />
    </div>
  );
}

function ObjectInput({ id, value, invalid, describedBy, onChange, onClear }: InputProps) {
  const [typed, setTyped] = useState<string | null>(null);
  const [wrong, setWrong] = useState(false);
  return (
    <textarea
      id={id}
      rows={typed === null && (value === null || value === undefined) ? 1 : 6}
      spellCheck={false}
      aria-invalid={invalid || wrong}
      aria-describedby={describedBy}
      value={typed ?? (value === null || value === undefined ? "" : JSON.stringify(value, null, 1))}
      placeholder="{ }"
      onChange={(event) => {
        const text = event.target.value;
        setTyped(text);
        if (text.trim() === "") return onClear();
        try {
          onChange(JSON.parse(text));
          setWrong(false);
        } catch {
          setWrong(true);
        }
      }}
      onBlur={() => !wrong && setTyped(null)}
      className={`w-full resize-y rounded-md border bg-surface px-2.5 py-1.5 font-mono text-xs ${edge(invalid || wrong)}`}
    />
  );
}

const small = "h-7 w-full min-w-0 rounded-md border border-line-strong bg-surface px-2 text-xs";

function SmallText({ label, value, onChange }: { label: string; value: string; onChange: (value: string) => void }) {
  return <input type="text" aria-label={label} title={label} spellCheck={false} value={value} onChange={(event) => onChange(event.target.value)} className={`${small} font-mono`} />;
}

function SmallNumber({ label, value, onChange }: { label: string; value: unknown; onChange: (value: unknown) => void }) {
  const [typed, setTyped] = useState<string | null>(null);
  return (
    <input
      type="text"
      inputMode="decimal"
      aria-label={label}
      title={label}
      value={typed ?? String(value)}
      onChange={(event) => {
        setTyped(event.target.value);
        const number = Number(event.target.value);
        if (event.target.value.trim() !== "") onChange(Number.isNaN(number) ? event.target.value : number);
      }}
      onBlur={() => setTyped(null)}
      className={`${small} tabular max-w-16`}
    />
  );
}

function SmallLayers({ label, value, onChange }: { label: string; value: unknown; onChange: (value: number[]) => void }) {
  const [typed, setTyped] = useState<string | null>(null);
  const layers = Array.isArray(value) ? value.filter((one): one is number => typeof one === "number") : [];
  return (
    <input
      type="text"
      aria-label={label}
      title={label}
      value={typed ?? formatLayers(layers)}
      onChange={(event) => {
        setTyped(event.target.value);
        const parsed = parseLayers(event.target.value);
        if (parsed) onChange(parsed);
      }}
      onBlur={() => setTyped(null)}
      className={`${small} tabular`}
    />
  );
}

function AddButton({ label, onClick }: { label: string; onClick: () => void }) {
  return (
    <button type="button" onClick={onClick} className="justify-self-start text-xs text-accent underline underline-offset-2">
      {label}
    </button>
  );
}
