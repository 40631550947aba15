"use client";

import { useId } from "react";
import { SelectField } from "@/components/ui/Field";
import type { ListedFamily } from "@/lib/home/listing";
import type { ConfigDocument } from "@/lib/training/types";
import { formatLarge } from "../words";
import { setField, showStage } from "./draft";

type TeacherFieldProps = { config: ConfigDocument; families: readonly ListedFamily[]; problem: string | null };

/** The model whose attention is replaced. */
export function TeacherField({ config, families, problem }: TeacherFieldProps) {
  const note = useId();
  const family = typeof config.family === "string" ? config.family : "";
  const found = families.find((one) => one.family === family);
  const missing = found?.files.some(({ use, state }) => use === "base" && state !== "present") ?? false;
  return (
    <div className="mt-3 grid gap-1 sm:max-w-md" data-field="family">
      <SelectField
        label={config.method === "pretrain" ? "Family of the new teacher" : "Teacher"}
        value={family}
        options={[...(found ? [] : [{ value: family, label: family === "" ? "choose…" : `${family} (not here)` }]), ...families.map((one) => ({ value: one.family, label: `${one.title} (${one.family})` }))]}
        onChange={(chosen) => {
          showStage(null);
          setField("family", chosen);
        }}
      />
      <p id={note} className="text-2xs text-ink-3">
        {problem ?? (found?.shape ? `${found.shape.layers} layers, width ${found.shape.width}, ${found.shape.heads} query and ${found.shape.keyValueHeads} key/value heads, vocabulary ${formatLarge(found.shape.vocabulary)}.` : "Its shape is not known here.")}
        {missing && " Its weights are not on this machine yet: they are fetched when the run is launched, or on the Models page."}
      </p>
    </div>
  );
}
