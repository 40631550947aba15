import type { Metadata } from "next";
import { NotBuilt } from "@/components/shell/NotBuilt";

export const metadata: Metadata = { title: "Explore" };

const mamba = new Set([1, 2, 4, 5, 6, 8]);

export default function ExplorePage() {
  return (
    <NotBuilt
      title="Explore"
      purpose="Replace the attention layers of a Llama by Mamba layers, layer by layer, and see at once what it costs and what it buys."
      figure={
        <div className="grid gap-1.5">
          {Array.from({ length: 10 }, (_, layer) => (
            <div key={layer} className={`h-4 rounded-sm ${mamba.has(layer) ? "ml-6 bg-mamba/60" : "mr-6 bg-attention/60"}`} />
          ))}
        </div>
      }
    />
  );
}
