"use client";

import { memo, useEffect, useId, useRef } from "react";
import { usePixelRatio } from "@/components/ui/chart-hooks";
import { formatNumber } from "@/components/ui/format";
import { type Painting, paintMatrix } from "@/components/ui/heatmap-paint";
import { wholeView } from "@/components/ui/heatmap-view";

const SIDE = 44;

export type HeadTile = { readonly attention: Painting; readonly mamba: Painting; readonly relativeError: number; readonly cosine: number };

/** All heads small: both matrices of each, and how near they are. Radio buttons, so arrow keys go from head to head. */
export const HeadPicker = memo(function HeadPicker({ tiles, head, onHead }: { tiles: readonly HeadTile[]; head: number; onHead: (head: number) => void }) {
  const name = useId();
  return (
    <fieldset className="min-w-0">
      <legend className="mb-1.5 text-xs text-ink-2">
        Head <span className="text-ink-3">left attention, right Mamba-2; relative error and cosine between them</span>
      </legend>
      <div className="grid grid-cols-[repeat(auto-fill,minmax(6.75rem,1fr))] gap-1.5">
        {tiles.map((tile, index) => (
          <label
            key={index}
            className="grid cursor-pointer justify-items-center gap-1 rounded-md border border-line p-1.5 text-2xs text-ink-2 hover:border-line-strong has-checked:border-accent has-checked:bg-accent-soft has-focus-visible:outline-2 has-focus-visible:outline-accent"
          >
            <input
              type="radio"
              name={name}
              className="sr-only"
              checked={index === head}
              onChange={() => onHead(index)}
              aria-label={`Head ${index}, relative error ${formatNumber(tile.relativeError)}, cosine ${formatNumber(tile.cosine)}`}
            />
            <span className="flex gap-0.5">
              <Thumbnail painting={tile.attention} />
              <Thumbnail painting={tile.mamba} />
            </span>
            <span aria-hidden className="tabular flex w-full justify-between gap-1 px-0.5">
              <span className="font-medium text-ink">{index}</span>
              <span title="Relative error">{formatNumber(tile.relativeError)}</span>
              <span title="Cosine">{formatNumber(tile.cosine).replace("-", "−")}</span>
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
});

function Thumbnail({ painting }: { painting: Painting }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const ratio = usePixelRatio();
  useEffect(() => {
    const element = canvas.current;
    const context = element?.getContext("2d");
    if (!element || !context) return;
    const side = Math.round(SIDE * ratio);
    element.width = element.height = side;
    const image = context.createImageData(side, side);
    paintMatrix(new Uint32Array(image.data.buffer), side, side, wholeView(painting.n), painting);
    context.putImageData(image, 0, 0);
  }, [painting, ratio]);
  return <canvas ref={canvas} aria-hidden className="rounded-[2px] bg-sunken" style={{ width: SIDE, height: SIDE }} />;
}
