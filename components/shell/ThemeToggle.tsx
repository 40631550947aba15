"use client";

import { useSyncExternalStore } from "react";
import { Icon } from "@/components/ui/Icon";
import { readTheme, subscribeTheme, themeChoices, writeTheme } from "./theme";

const labels = { system: "Follow the system", light: "Light", dark: "Dark" } as const;
const icons = { system: "display", light: "sun", dark: "moon" } as const;

/** Three-way switch: system, light, dark. */
export function ThemeToggle() {
  const theme = useSyncExternalStore(subscribeTheme, readTheme, () => "system" as const);
  return (
    <div role="radiogroup" aria-label="Theme" className="flex rounded-md border border-line bg-sunken p-0.5">
      {themeChoices.map((choice) => (
        <button
          key={choice}
          type="button"
          role="radio"
          aria-checked={theme === choice}
          aria-label={labels[choice]}
          title={labels[choice]}
          onClick={() => writeTheme(choice)}
          className={`grid size-6 place-items-center rounded-[5px] ${
            theme === choice ? "bg-raised text-ink shadow-sm" : "text-ink-3 hover:text-ink"
          }`}
        >
          <Icon name={icons[choice]} />
        </button>
      ))}
    </div>
  );
}
