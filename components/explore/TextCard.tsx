"use client";

import { useId, useRef, useState } from "react";
import { Button } from "@/components/ui/Button";
import { SelectField } from "@/components/ui/Field";
import { formatCount, formatNumber } from "@/components/ui/format";
import { Notice } from "@/components/ui/Notice";
import { useProbe } from "./probe";
import { sampleIds, samples, type SampleId } from "./samples";
import { chooseSource, setOwnText, useExplore } from "./session";
import { readTextFile } from "./text-file";

/** The text that everything is measured on. */
export function TextCard({ id, text }: { id: SampleId | "own"; text: string }) {
  const own = useExplore((state) => state.own);
  const info = useProbe((state) => state.info);
  const read = useProbe((state) => state.text);
  const fresh = useProbe(({ wanted, done }) => wanted.text !== null && wanted.text === done.text);
  const [problem, setProblem] = useState<string | null>(null);
  const [over, setOver] = useState(false);
  const file = useRef<HTMLInputElement>(null);
  const field = useId();

  const open = async (chosen: File | undefined) => {
    setOver(false);
    if (!chosen) return;
    const result = await readTextFile(chosen);
    setProblem("problem" in result ? result.problem : null);
    if ("text" in result) setOwnText(result.text, chosen.name);
  };

  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-2">
      <SelectField
        label="Text"
        value={id}
        options={[...sampleIds.map((sample) => ({ value: sample, label: `Sample: ${samples[sample].title}` })), { value: "own" as const, label: own.name ? `Own: ${own.name}` : "Own text" }]}
        onChange={chooseSource}
      />
      <div
        onDragOver={(event) => {
          event.preventDefault();
          setOver(true);
        }}
        onDragLeave={() => setOver(false)}
        onDrop={(event) => {
          event.preventDefault();
          void open(event.dataTransfer.files[0]);
        }}
        className={`rounded-md border ${over ? "border-accent bg-accent-soft" : "border-line-strong bg-surface"} focus-within:border-accent`}
      >
        <label htmlFor={field} className="sr-only">
          The text that is measured
        </label>
        <textarea
          id={field}
          value={text}
          spellCheck={false}
          onChange={(event) => {
            setProblem(null);
            setOwnText(event.target.value, id === "own" ? own.name : null);
          }}
          placeholder="Paste or write a text, or drop a .txt or .md file here."
          className="block h-44 w-full resize-y bg-transparent px-2.5 py-2 text-xs leading-5 outline-none placeholder:text-ink-3"
        />
        <div className="flex items-center gap-1 border-t border-line px-1 py-1">
          <Button look="ghost" className="h-7 px-2 text-xs" onClick={() => file.current?.click()}>
            Open a file
          </Button>
          <input
            ref={file}
            type="file"
            accept=".txt,.md,.markdown,text/plain,text/markdown"
            className="hidden"
            aria-label="Open a text file"
            tabIndex={-1}
            onChange={(event) => {
              void open(event.target.files?.[0]);
              event.target.value = "";
            }}
          />
          <Button look="ghost" className="h-7 px-2 text-xs" disabled={text === ""} onClick={() => setOwnText("")}>
            Clear
          </Button>
          <p className="tabular ml-auto pr-1.5 text-2xs text-ink-3" data-testid="token-count">
            {read && fresh ? `${formatCount(read.tokens.length)} tokens` : `${formatCount(text.length)} characters`}
          </p>
        </div>
      </div>
      {problem && <Notice tone="bad" message={problem} action="Choose another file, or paste a part of the text." />}
      {read && fresh && read.dropped > 0 && (
        <Notice tone="warn" message={`The text is longer than ${formatCount(info?.maxTokens ?? read.tokens.length)} tokens: the last ${formatCount(read.dropped)} are left out.`} />
      )}
      {read && fresh && read.teacherPerplexity !== null && <p className="tabular text-2xs text-ink-3">Teacher&apos;s perplexity {formatNumber(read.teacherPerplexity)}</p>}
    </div>
  );
}
