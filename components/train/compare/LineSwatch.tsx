"use client";

import { useThemeName } from "@/components/ui/chart-hooks";
import { lineLook } from "../charts/view";

/** A run's colour and dashes, as in the charts. */
export function LineSwatch({ index }: { index: number }) {
  const { colour, dash } = lineLook(index, useThemeName());
  return (
    <svg aria-hidden viewBox="0 0 28 8" className="h-2 w-7 shrink-0">
      <path d="M0 4H28" stroke={colour} strokeWidth={2.5} strokeDasharray={dash || undefined} />
    </svg>
  );
}
