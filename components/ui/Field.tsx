import { useId, type ReactNode } from "react";

export type Option<T extends string> = { value: T; label: string; disabled?: boolean };

type SelectFieldProps<T extends string> = {
  label: string;
  value: T;
  options: Option<T>[];
  onChange: (value: T) => void;
  disabled?: boolean;
};

/** A labelled choice from a list. */
export function SelectField<T extends string>({ label, value, options, onChange, disabled }: SelectFieldProps<T>) {
  const id = useId();
  return (
    <div className="grid gap-1">
      <label htmlFor={id} className="text-xs text-ink-2">
        {label}
      </label>
      <div className="relative">
        <select
          id={id}
          value={value}
          disabled={disabled}
          onChange={(event) => {
            const chosen = options.find((option) => option.value === event.target.value);
            if (chosen) onChange(chosen.value);
          }}
          className="h-8 w-full appearance-none truncate rounded-md border border-line-strong bg-surface pr-7 pl-2.5 text-[13px] disabled:opacity-50"
        >
          {options.map((option) => (
            <option key={option.value} value={option.value} disabled={option.disabled}>
              {option.label}
            </option>
          ))}
        </select>
        <svg aria-hidden viewBox="0 0 16 16" className="pointer-events-none absolute top-2 right-2 size-4 text-ink-3" fill="none" stroke="currentColor" strokeWidth={1.4}>
          <path d="m5 6.5 3 3 3-3" />
        </svg>
      </div>
    </div>
  );
}

type SegmentedProps<T extends string> = {
  label: string;
  value: T;
  options: Option<T>[];
  onChange: (value: T) => void;
};

/** A short exclusive choice shown side by side; native radio buttons carry focus and arrow keys. */
export function Segmented<T extends string>({ label, value, options, onChange }: SegmentedProps<T>) {
  const name = useId();
  return (
    <fieldset className="grid min-w-0 gap-1">
      <legend className="mb-1 text-xs text-ink-2">{label}</legend>
      <div className="flex rounded-md border border-line bg-sunken p-0.5">
        {options.map((option) => (
          <label
            key={option.value}
            className="flex-1 rounded-[5px] px-2 py-1 text-center text-xs whitespace-nowrap text-ink-2 has-checked:bg-raised has-checked:font-medium has-checked:text-ink has-checked:shadow-sm has-focus-visible:outline-2 has-focus-visible:outline-accent has-enabled:cursor-pointer has-disabled:opacity-45"
          >
            <input
              type="radio"
              name={name}
              className="sr-only"
              checked={option.value === value}
              disabled={option.disabled}
              onChange={() => onChange(option.value)}
            />
            {option.label}
          </label>
        ))}
      </div>
    </fieldset>
  );
}

type NumberFieldProps = {
  label: string;
  hint?: string;
  value: number;
  min: number;
  max: number;
  step: number;
  onChange: (value: number) => void;
  disabled?: boolean;
};

/** A slider with its number beside it; both set the same value. */
export function NumberField({ label, hint, value, min, max, step, onChange, disabled }: NumberFieldProps) {
  const id = useId();
  const set = (text: string) => {
    const number = Number(text);
    if (text !== "" && Number.isFinite(number)) onChange(Math.min(max, Math.max(min, number)));
  };
  return (
    <div className={`grid grid-cols-[1fr_4.25rem] items-center gap-x-3 gap-y-0.5 ${disabled ? "opacity-45" : ""}`}>
      <label htmlFor={id} className="text-xs text-ink-2" title={hint}>
        {label}
      </label>
      <input
        id={id}
        type="number"
        value={value}
        min={min}
        max={max}
        step={step}
        disabled={disabled}
        onChange={(event) => set(event.target.value)}
        className="tabular row-span-2 plain-number h-7 w-full rounded-md border border-line bg-surface px-2 text-right text-xs"
      />
      <input
        type="range"
        aria-label={label}
        value={value}
        min={min}
        max={max}
        step={step}
        disabled={disabled}
        onChange={(event) => set(event.target.value)}
        className="slider w-full"
      />
    </div>
  );
}

/** A titled part of a panel that folds. */
export function Disclosure({ title, aside, open, children }: { title: string; aside?: ReactNode; open?: boolean; children: ReactNode }) {
  return (
    <details open={open} className="group border-t border-line">
      <summary className="flex items-center gap-1.5 py-2.5 text-xs font-medium text-ink-2 select-none hover:text-ink [&::-webkit-details-marker]:hidden">
        <svg aria-hidden viewBox="0 0 16 16" className="size-3 transition-transform group-open:rotate-90" fill="none" stroke="currentColor" strokeWidth={1.6}>
          <path d="m6 4 4 4-4 4" />
        </svg>
        {title}
        <span className="ml-auto font-normal text-ink-3">{aside}</span>
      </summary>
      <div className="pb-4">{children}</div>
    </details>
  );
}
