"use client";

import { useMemo } from "react";
import { formatBytes, formatCount, formatNumber } from "@/components/ui/format";
import { Notice } from "@/components/ui/Notice";
import { memoryCrossing } from "@/lib/hybrid/costs";
import { HybridConfigError } from "@/lib/hybrid/config";
import { PatternError } from "@/lib/hybrid/pattern";
import { BenefitSummary, formatLarge } from "./BenefitSummary";
import { CostChart } from "./CostChart";
import { chartContexts, type Compared, comparedModels } from "./models";
import type { BenefitPanelProps } from "./props";
import { QualityChart } from "./QualityChart";
import { ReportedChart } from "./ReportedChart";
import { SpeedChart } from "./SpeedChart";

type Comparison = { readonly models: readonly Compared[]; readonly contexts: readonly number[] } | { readonly problem: { message: string; action: string } };

/** What a hybrid buys: memory, parameters, arithmetic and speed beside the teacher's, and quality against the attention kept. */
export function BenefitPanel({ family, architecture, mixerSets, patternA, patternB, contextTokens, ownPoints, results, variants }: BenefitPanelProps) {
  const comparison = useMemo((): Comparison => {
    try {
      const contexts = chartContexts({ architecture, contextTokens });
      return { contexts, models: comparedModels({ family, architecture, mixerSets, patternA, patternB, contextTokens }, contexts) };
    } catch (error) {
      if (error instanceof HybridConfigError || error instanceof PatternError) return { problem: error };
      throw error;
    }
  }, [family, architecture, mixerSets, patternA, patternB, contextTokens]);

  if ("problem" in comparison) return <Notice tone="bad" message={comparison.problem.message} action={comparison.problem.action} />;
  const { models, contexts } = comparison;
  const name = [family];
  const shared = { name, models, contexts, contextTokens, limit: architecture.max_position_embeddings };
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-4">
      <BenefitSummary models={models} contextTokens={contextTokens} />
      <div className="grid grid-cols-[minmax(0,1fr)] gap-4 lg:grid-cols-2">
        <CostChart
          {...shared}
          title="Memory of the context"
          unit="KV cache and Mamba state, bytes (float32)"
          description={crossingsInWords(models)}
          value={({ bytes }) => bytes}
          format={formatBytes}
        />
        <CostChart
          {...shared}
          title="Arithmetic a token"
          unit="FLOPs to decode one token"
          description={flopsInWords(models, contexts)}
          value={({ flops }) => flops}
          format={formatLarge}
        />
        <QualityChart family={family} results={results} variants={variants} ownPoints={ownPoints} name={name} />
        <ReportedChart name={["reported"]} />
        <div className="min-w-0 lg:col-span-2">
          <SpeedChart family={family} architecture={architecture} models={models} name={name} />
        </div>
      </div>
    </div>
  );
}

/** Where each hybrid begins to take less memory than the teacher, and how much less in the long run. */
export function crossingsInWords(models: readonly Compared[]): string {
  const [teacher, ...hybrids] = models;
  if (!teacher) return "";
  const sentences = hybrids.map(({ label, costs }) => {
    const crossing = memoryCrossing(costs.account, teacher.costs.account);
    if (crossing === null) return `${label} never takes less memory than the teacher.`;
    const share = costs.account.kvBytesPerToken / teacher.costs.account.kvBytesPerToken;
    const then =
      share === 0 ? `and stays at ${formatBytes(costs.curve[0]?.bytes ?? 0)} from there on` : `and each further token adds ${formatNumber(100 * share)} % of what it adds to the teacher`;
    return crossing === 0 ? `${label} always takes less memory than the teacher, ${then}.` : `${label} takes less memory than the teacher from ${formatCount(crossing)} tokens on, ${then}.`;
  });
  return sentences.join(" ");
}

function flopsInWords(models: readonly Compared[], contexts: readonly number[]): string {
  const last = contexts.at(-1) ?? 0;
  const at = ({ costs }: Compared): number => costs.curve.at(-1)?.flops ?? Number.NaN;
  const [teacher, ...hybrids] = models;
  if (!teacher) return "";
  const shares = hybrids.map((model) => `${model.label} takes ${formatNumber((100 * at(model)) / at(teacher))} % of the teacher's`);
  return `Attention reads the whole context at each token, Mamba-2 only its state. At ${formatCount(last)} tokens ${shares.join(", ")}.`;
}
