"use client";

import { useId } from "react";
import { Button } from "@/components/ui/Button";
import { Segmented } from "@/components/ui/Field";
import { formatPlace } from "./plot";
import type { ChartView } from "./view";

const MOST = 0.99;

/** Axis, scale, smoothing and zoom of all charts of a page. */
export function ChartControls({ view, onView }: { view: ChartView; onView: (change: Partial<ChartView>) => void }) {
  const slider = useId();
  return (
    <div role="group" aria-label="Charts" className="flex flex-wrap items-end gap-x-5 gap-y-3">
      <Segmented
        label="Horizontal axis"
        value={view.axis}
        options={[
          { value: "step", label: "Steps" },
          { value: "tokens", label: "Tokens" },
          { value: "time", label: "Time" },
        ]}
        onChange={(axis) => onView({ axis, zoom: null })}
      />
      <Segmented
        label="Vertical axis"
        value={view.log ? "log" : "linear"}
        options={[
          { value: "linear", label: "Linear" },
          { value: "log", label: "Log" },
        ]}
        onChange={(scale) => onView({ log: scale === "log" })}
      />
      <div className="grid gap-1">
        <label htmlFor={slider} className="text-xs text-ink-2">
          Smoothing <span className="tabular text-ink-3">{view.smoothing === 0 ? "off" : view.smoothing.toFixed(2)}</span>
        </label>
        <div className="flex h-[30px] items-center">
          <input id={slider} type="range" className="slider w-36" min={0} max={MOST} step={0.01} value={view.smoothing} onChange={(event) => onView({ smoothing: Number(event.target.value) })} />
        </div>
      </div>
      <div className="flex h-8 items-center gap-2 text-xs">
        {view.zoom ? (
          <>
            <span className="tabular text-ink-2">
              {formatPlace(view.axis, Math.round(view.zoom[0]))} – {formatPlace(view.axis, Math.round(view.zoom[1]))}
            </span>
            <Button className="h-7 px-2 text-xs" icon="undo" onClick={() => onView({ zoom: null })}>
              Show all
            </Button>
          </>
        ) : (
          <span className="text-ink-3 max-sm:hidden">Drag over a chart to zoom.</span>
        )}
      </div>
    </div>
  );
}
