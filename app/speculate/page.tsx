import type { Metadata } from "next";
import { NotBuilt } from "@/components/shell/NotBuilt";

export const metadata: Metadata = { title: "Speculate" };

const cycles = [5, 3, 4, 1, 5, 2];

export default function SpeculatePage() {
  return (
    <NotBuilt
      title="Speculate"
      purpose="Watch speculative decoding draft, accept and reject tokens, and compare its speed-ups on attention and on recurrent state."
      figure={
        <div className="grid gap-1.5">
          {cycles.map((accepted, row) => (
            <div key={row} className="grid grid-cols-5 gap-1.5">
              {Array.from({ length: 5 }, (_, slot) => (
                <div
                  key={slot}
                  className={`h-6 rounded-sm ${slot < accepted ? "bg-attention/60" : "border border-dashed border-line-strong"}`}
                />
              ))}
            </div>
          ))}
        </div>
      }
    />
  );
}
