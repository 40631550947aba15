"use client";

import { useId, useState, type FormEvent, type ReactNode } from "react";
import { Button } from "@/components/ui/Button";
import { Notice } from "@/components/ui/Notice";
import type { AddNode } from "@/lib/training/types";
import { readForm, type NodeField, type NodeForm } from "./node-form";

const fields: readonly { field: NodeField; label: string; hint: string; placeholder: string; wide?: boolean; needed?: boolean }[] = [
  { field: "name", label: "Name", hint: "As it is called here.", placeholder: "GPU node", needed: true },
  { field: "destination", label: "SSH destination", hint: "user@host, or a name of your ~/.ssh/config: jump hosts and keys set there work.", placeholder: "me@gpu.example.org", needed: true, wide: true },
  { field: "port", label: "Port", hint: "22, or that of your ssh config.", placeholder: "22" },
  { field: "identityFile", label: "Identity file", hint: "A private key; else your agent's and the usual ones.", placeholder: "~/.ssh/id_ed25519" },
  { field: "root", label: "Folder on the node", hint: "For runs, models and the environment: tens of GB.", placeholder: "~/.mambascope" },
  { field: "python", label: "Python", hint: "3.11 or newer. Its torch is used if it fits.", placeholder: "python3" },
];

type NodeFieldsProps = { initial: NodeForm; submit: string; busy: boolean; failure: { message: string; action: string } | null; onSubmit: (node: AddNode) => void; onCancel?: () => void };

/** The fields of an SSH node; each says what is wrong with it once it was sent. */
export function NodeFields({ initial, submit, busy, failure, onSubmit, onCancel }: NodeFieldsProps) {
  const [form, setForm] = useState(initial);
  const [sent, setSent] = useState(false);
  const base = useId();
  const read = readForm(form);
  const send = (event: FormEvent): void => {
    event.preventDefault();
    setSent(true);
    if (read.node) onSubmit(read.node);
    else document.getElementById(`${base}-${Object.keys(read.problems)[0]}`)?.focus();
  };
  return (
    <form noValidate onSubmit={send} className="grid grid-cols-[minmax(0,1fr)] gap-4">
      <div className="grid grid-cols-[minmax(0,1fr)] gap-x-4 gap-y-3 sm:grid-cols-2 lg:grid-cols-3">
        {fields.map(({ field, label, hint, placeholder, needed }) => {
          const problem = sent ? read.problems?.[field] : undefined;
          return (
            <Labelled key={field} id={`${base}-${field}`} label={label} hint={hint} problem={problem}>
              <input
                id={`${base}-${field}`}
                value={form[field]}
                required={needed}
                aria-invalid={problem !== undefined}
                aria-describedby={`${base}-${field}-hint`}
                placeholder={placeholder}
                autoCapitalize="off"
                autoComplete="off"
                spellCheck={false}
                onChange={(event) => setForm({ ...form, [field]: event.target.value })}
                className={`h-8 w-full rounded-md border bg-surface px-2.5 text-[13px] placeholder:text-ink-3 ${problem ? "border-bad" : "border-line-strong"} ${field === "name" ? "" : "font-mono text-xs"}`}
              />
            </Labelled>
          );
        })}
      </div>
      {failure && <Notice tone="bad" {...failure} />}
      <div className="flex gap-2">
        <Button type="submit" look="primary" disabled={busy}>
          {submit}
        </Button>
        {onCancel && <Button onClick={onCancel}>Cancel</Button>}
      </div>
    </form>
  );
}

function Labelled({ id, label, hint, problem, children }: { id: string; label: string; hint: string; problem: string | undefined; children: ReactNode }) {
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] content-start gap-1">
      <label htmlFor={id} className="text-xs text-ink-2">
        {label}
      </label>
      {children}
      <p id={`${id}-hint`} className={`text-2xs ${problem ? "text-bad" : "text-ink-3"}`}>
        {problem ?? hint}
      </p>
    </div>
  );
}
