"use client";

import { Disclosure, NumberField, Segmented } from "@/components/ui/Field";
import { Button } from "@/components/ui/Button";
import { changeSettings, resetSettings, useSession } from "./session";

/** How the next token is drawn. Greedy leaves the filters without effect, so they are greyed then. */
export function SamplingPanel() {
  const settings = useSession((state) => state.settings);
  const { greedy } = settings;
  return (
    <Disclosure title="Sampling" aside={greedy ? "greedy" : `temperature ${settings.temperature}`}>
      <div className="grid gap-3">
        <Segmented
          label="Next token"
          value={greedy ? "greedy" : "sample"}
          options={[
            { value: "greedy", label: "Greedy" },
            { value: "sample", label: "Sample" },
          ]}
          onChange={(value) => changeSettings({ greedy: value === "greedy" })}
        />
        <NumberField label="Temperature" value={settings.temperature} min={0.05} max={2} step={0.05} disabled={greedy} onChange={(temperature) => changeSettings({ temperature })} />
        <NumberField label="Top-k" hint="0 turns it off" value={settings.topK} min={0} max={200} step={1} disabled={greedy} onChange={(topK) => changeSettings({ topK: Math.round(topK) })} />
        <NumberField label="Top-p" hint="1 turns it off" value={settings.topP} min={0.05} max={1} step={0.01} disabled={greedy} onChange={(topP) => changeSettings({ topP })} />
        <NumberField label="Min-p" hint="0 turns it off" value={settings.minP} min={0} max={0.5} step={0.01} disabled={greedy} onChange={(minP) => changeSettings({ minP })} />
        <NumberField
          label="Repetition penalty"
          hint="1 turns it off"
          value={settings.repetitionPenalty}
          min={1}
          max={2}
          step={0.01}
          onChange={(repetitionPenalty) => changeSettings({ repetitionPenalty })}
        />
        <NumberField label="Most tokens" value={settings.maxTokens} min={1} max={4096} step={1} onChange={(maxTokens) => changeSettings({ maxTokens: Math.round(maxTokens) })} />
        <div className="grid grid-cols-[1fr_7.5rem] items-center gap-3">
          <label htmlFor="seed" className="text-xs text-ink-2">
            Seed
          </label>
          <input
            id="seed"
            type="text"
            inputMode="numeric"
            value={settings.seed ?? ""}
            placeholder="random"
            disabled={greedy}
            onChange={({ target: { value } }) => {
              const seed = Number(value);
              if (value === "") changeSettings({ seed: null });
              else if (Number.isInteger(seed) && seed >= 0 && seed <= 0xffffffff) changeSettings({ seed });
            }}
            className="tabular h-7 rounded-md border border-line bg-surface px-2 text-right text-xs placeholder:text-ink-3 disabled:opacity-45"
          />
        </div>
        <Button look="ghost" className="justify-self-start px-2" icon="retry" onClick={resetSettings}>
          Reset
        </Button>
      </div>
    </Disclosure>
  );
}
