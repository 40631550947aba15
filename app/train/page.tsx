import type { Metadata } from "next";
import { NotBuilt } from "@/components/shell/NotBuilt";

export const metadata: Metadata = { title: "Train" };

export default function TrainPage() {
  return (
    <NotBuilt
      title="Train"
      purpose="Launch a distillation on this machine or on a GPU node, and follow its loss, speed and samples live."
      figure={
        <svg viewBox="0 0 320 170" className="w-full" fill="none">
          <path d="M8 8v154h304" className="stroke-line-strong" />
          <path d="M10 20c22 74 46 104 92 116s130 16 206 18" className="stroke-attention" strokeWidth="2" />
          <path d="M10 34c30 40 52 62 96 76s134 26 202 30" className="stroke-mamba" strokeWidth="2" />
        </svg>
      }
    />
  );
}
