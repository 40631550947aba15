/** One cell a layer, first layer at the left: blue for attention, copper for Mamba. */
import { isAttentionLayer } from "@/lib/hybrid/config";

type LayerStripProps = {
  layers: string[];
  /** `compact` leaves out the legend. */
  size?: "full" | "compact";
};


/** What a layer spec means in words. */
export function describeLayer(layer: string): string {
  const [mixer = "", set] = layer.split(":");
  const name = isAttentionLayer(layer) ? "attention" : mixer === "mamba2" ? "Mamba-2" : "Mamba";
  return set === undefined ? name : `${name}, set ${set}`;
}

export function LayerStrip({ layers, size = "full" }: LayerStripProps) {
  const attention = layers.filter(isAttentionLayer).length;
  const mamba = layers.length - attention;
  const summary = `${layers.length} layers: ${attention} attention, ${mamba} Mamba`;
  return (
    <div>
      <div role="img" aria-label={summary} className={`flex gap-px ${size === "full" ? "h-6" : "h-3"}`}>
        {layers.map((layer, index) => (
          <span
            key={index}
            title={`Layer ${index}: ${describeLayer(layer)}`}
            className={`min-w-0 flex-1 rounded-[2px] hover:opacity-75 ${isAttentionLayer(layer) ? "bg-attention" : "bg-mamba"}`}
          />
        ))}
      </div>
      {size === "full" && (
        <p aria-hidden className="tabular mt-1.5 flex gap-4 text-2xs text-ink-3">
          <Key color="bg-attention" text={`${attention} attention`} />
          <Key color="bg-mamba" text={`${mamba} Mamba`} />
          <span className="ml-auto">{layers.length} layers</span>
        </p>
      )}
    </div>
  );
}

function Key({ color, text }: { color: string; text: string }) {
  return (
    <span className="inline-flex items-center gap-1.5">
      <span className={`size-2 rounded-[2px] ${color}`} />
      {text}
    </span>
  );
}
