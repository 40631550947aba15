"use client";

import { useState } from "react";
import { CopyButton } from "@/components/ui/CopyButton";
import { isObject } from "@/lib/training/config/document";
import type { ConfigDocument } from "@/lib/training/types";
import { setConfig } from "./draft";

/** The whole config as JSON. What is typed counts as soon as it can be read; the form's changes show here at once. */
export function JsonEditor({ config }: { config: ConfigDocument }) {
  const [typed, setTyped] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const text = typed ?? JSON.stringify(config, null, 2);
  return (
    <section aria-labelledby="heading-json" className="rounded-xl border border-line bg-surface p-4 sm:p-5">
      <div className="flex items-center gap-2">
        <h2 id="heading-json" className="text-[13px] font-semibold">
          The config as JSON
        </h2>
        <span className="ml-auto">
          <CopyButton label="Copy the config" text={() => JSON.stringify(config, null, 2)} />
        </span>
      </div>
      <textarea
        aria-label="The config as JSON"
        aria-invalid={problem !== null}
        spellCheck={false}
        rows={Math.min(40, Math.max(16, text.split("\n").length + 1))}
        value={text}
        onChange={(event) => {
          setTyped(event.target.value);
          const read = parse(event.target.value);
          setProblem(read.problem);
          if (read.config) setConfig(read.config, "json");
        }}
        onBlur={() => problem === null && setTyped(null)}
        className={`mt-3 w-full resize-y rounded-md border bg-sunken p-3 font-mono text-xs leading-relaxed ${problem === null ? "border-line" : "border-bad"}`}
      />
      {problem && (
        <p role="alert" className="mt-1 flex flex-wrap items-baseline gap-x-3 text-xs text-bad">
          {problem} The form keeps the last version that could be read.
          <button
            type="button"
            className="text-accent underline underline-offset-2"
            onClick={() => {
              setTyped(null);
              setProblem(null);
            }}
          >
            Back to that
          </button>
        </p>
      )}
    </section>
  );
}

function parse(text: string): { config: ConfigDocument | null; problem: string | null } {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? { config: value, problem: null } : { config: null, problem: "The config is one object, in { }." };
  } catch (error) {
    return { config: null, problem: `This is no JSON: ${error instanceof Error ? error.message : String(error)}.` };
  }
}
