"use client";

import { useMemo, useState } from "react";
import { download } from "@/components/chat/export";
import { Button } from "@/components/ui/Button";
import { Segmented } from "@/components/ui/Field";
import { scaleTop, valueAt } from "./heat";
import { formatNats } from "./numbers";
import { useProbe, type Compared } from "./probe";
import { TokenDetail } from "./TokenDetail";
import { tokensCsv } from "./tokens-csv";
import { TokenText } from "./TokenText";

type Shade = "a" | "b" | "difference";

/** The text token by token: where the patterns leave the teacher. */
export function TokenPanel({ a, b, stale, family }: { a: Compared; b: Compared | null; stale: boolean; family: string }) {
  const vocabulary = useProbe((state) => state.vocabulary);
  const [wanted, setShade] = useState<Shade>("a");
  // Until a token is chosen, the costliest one is looked at.
  const [pointed, setPointed] = useState<number | null>(null);
  // A second pattern counts when it was compared on the same text.
  const other = b && b.text === a.text ? b : null;
  const shade = other ? wanted : "a";
  const shown = shade === "b" && other ? other : a;
  const values = useMemo(() => (shade === "difference" && other ? a.comparison.kl.map((kl, position) => (other.comparison.kl[position] ?? 0) - kl) : shown.comparison.kl), [shade, shown, a, other]);
  const active = Math.min(pointed ?? largest(values), a.text.tokens.length - 1);
  // One scale for both patterns, so that their colours can be compared.
  const top = useMemo(
    () => (shade === "difference" ? scaleTop(values) : Math.max(scaleTop(a.comparison.kl), other ? scaleTop(other.comparison.kl) : 0)),
    [shade, values, a, other],
  );
  const differs = useMemo(() => (position: number) => shown.comparison.agree[position] === 0, [shown]);
  const columns = [{ name: other ? "Pattern A" : "Hybrid", compared: a }, ...(other ? [{ name: "Pattern B", compared: other }] : [])];

  return (
    <div className={`grid grid-cols-[minmax(0,1fr)] gap-3 [--heat-less:#7fa8f5] [--heat:#f0a04a] dark:[--heat-less:#2c5cb8] dark:[--heat:#9a5510] ${stale ? "opacity-50" : ""}`} aria-busy={stale}>
      <div className="flex flex-wrap items-end gap-x-4 gap-y-2">
        {other && (
          <div className="w-full max-w-72">
            <Segmented
              label="Colour"
              value={shade}
              options={[
                { value: "a", label: "KL of A" },
                { value: "b", label: "KL of B" },
                { value: "difference", label: "B − A" },
              ]}
              onChange={setShade}
            />
          </div>
        )}
        <Legend top={top} difference={shade === "difference"} />
        <Button look="ghost" icon="download" className="ml-auto h-7 px-2 text-xs" onClick={() => download(`${family}-tokens.csv`, "text/csv", tokensCsv({ a, b: other }, vocabulary))}>
          CSV
        </Button>
      </div>
      <div className="grid grid-cols-[minmax(0,1fr)] items-start gap-3 xl:grid-cols-[minmax(0,1fr)_17rem]">
        <TokenText pieces={a.text.pieces} values={values} top={top} differs={differs} active={active} onActive={setPointed} label="Tokens of the text, coloured by what the prediction after each costs" />
        <TokenDetail position={active} columns={columns} vocabulary={vocabulary} />
      </div>
    </div>
  );
}

/** Position of the largest value, among those that have a next token. */
function largest(values: Float32Array): number {
  let best = 0;
  for (let position = 1; position + 1 < values.length; position++) if ((values[position] ?? 0) > (values[best] ?? 0)) best = position;
  return best;
}

function Legend({ top, difference }: { top: number; difference: boolean }) {
  return (
    <div className="grid gap-1 text-2xs text-ink-2">
      <span>{difference ? "KL of B minus KL of A after each token, nat" : "KL(teacher ‖ hybrid) of the prediction after each token, nat"}</span>
      <div aria-hidden className={`h-2.5 w-56 rounded-[2px] border border-line ${difference ? "bg-linear-to-r/oklab from-(--heat-less) via-transparent to-(--heat)" : "bg-linear-to-r/oklab from-transparent to-(--heat)"}`} />
      <div className="tabular flex w-56 justify-between text-ink-3">
        {(difference ? [-top, 0, top] : [0, valueAt(0.5, top), top]).map((value, index) => (
          <span key={index}>
            {value < 0 ? "≤ −" : index === 2 ? "≥ " : ""}
            {formatNats(Math.abs(value))}
          </span>
        ))}
      </div>
      <span className="text-ink-3">Dotted line: the likeliest token is another than the teacher&apos;s</span>
    </div>
  );
}
