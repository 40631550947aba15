/** The models that the benefit panel compares: the teacher, the hybrid, and a second hybrid. */
import { type HybridCosts, contextLengths, costsOf } from "@/lib/hybrid/costs";
import { formatPattern } from "@/lib/hybrid/pattern";
import type { BenefitPanelProps } from "./props";

export type Compared = {
  readonly key: "teacher" | "a" | "b";
  readonly label: string;
  readonly colour: string;
  readonly dash: string | undefined;
  readonly pattern: string;
  readonly costs: HybridCosts;
};

type Inputs = Pick<BenefitPanelProps, "family" | "architecture" | "mixerSets" | "patternA" | "patternB" | "contextTokens">;

/** The shortest context of the charts (of a shorter text: its own), and the least that they reach to. */
const SHORTEST = 16;
const LEAST_REACH = 131_072;

/** Context lengths of the charts' axis: past the model's own limit, so that the trend is seen. */
export function chartContexts({ architecture, contextTokens }: Pick<Inputs, "architecture" | "contextTokens">): number[] {
  return contextLengths(Math.max(1, Math.min(SHORTEST, contextTokens)), Math.max(LEAST_REACH, architecture.max_position_embeddings), [contextTokens]);
}

/** Costs of the models along `contexts`. Throws HybridConfigError for a pattern that the family's sets cannot make. */
export function comparedModels(inputs: Inputs, contexts: readonly number[]): Compared[] {
  const { family, architecture, mixerSets, patternA, patternB } = inputs;
  const make = (key: Compared["key"], label: string, colour: string, dash: string | undefined, layers: readonly string[]): Compared => ({
    key,
    label,
    colour,
    dash,
    pattern: formatPattern([...layers]),
    costs: costsOf({ family, architecture, layers: [...layers] }, mixerSets, contexts),
  });
  const teacher = Array.from({ length: architecture.num_hidden_layers }, () => "attention");
  return [
    make("teacher", "Teacher", "var(--attention)", undefined, teacher),
    make("a", patternB ? "Hybrid A" : "This hybrid", "var(--mamba)", undefined, patternA),
    ...(patternB ? [make("b", "Hybrid B", "var(--good)", "5 3", patternB)] : []),
  ];
}
