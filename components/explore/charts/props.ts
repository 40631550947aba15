/** What the explorer's charts are given. */
import type { Architecture, MixerSets } from "@/lib/hybrid/config";
import type { ResultsFile } from "@/lib/home/results";
import type { LayerInside } from "@/lib/inference/probe/types";

/** A quantity of every layer; null where it is not known (yet). */
export type LayerSeries = {
  readonly key: string;
  readonly label: string;
  /** Unit as shown, such as `nat/token`; empty for a bare ratio. */
  readonly unit: string;
  readonly values: readonly (number | null)[];
  /** What the quantity is, in a sentence. */
  readonly description?: string;
};

export type LayerBarsProps = {
  /** Layer specs, which colour the bars: a replaced layer is copper. */
  readonly layers: readonly string[];
  readonly series: readonly LayerSeries[];
  /** The selected layer, or null. */
  readonly selected: number | null;
  readonly onSelect: (layer: number) => void;
  /** Layers in the order of the strip; by default first to last. */
  readonly order?: readonly number[];
  /** Starts the names of exported files. */
  readonly name?: string;
};

export type InsidePanelProps = {
  readonly inside: LayerInside | null;
  /** The head shown; the last one where the layer has fewer. */
  readonly head: number;
  readonly onHead: (head: number) => void;
  /** Text of each token; at least `inside.tokens` of them. */
  readonly pieces: readonly string[];
  readonly loading: boolean;
  /** What went wrong and what to do. */
  readonly error: { readonly message: string; readonly action?: string } | null;
  /** Starts the names of exported files. */
  readonly name?: string;
};

/** A hybrid that the user measured on their own text. */
export type OwnPoint = {
  readonly label: string;
  /** Share of layers that are attention, 0..1. */
  readonly attention: number;
  /** Mean KL(teacher || student), nat a token. */
  readonly kl: number;
  /** Share of positions with the same likeliest token, 0..1. */
  readonly agreement: number;
  /** Perplexity over the teacher's; null for a text of one token. */
  readonly ratio: number | null;
};

export type BenefitPanelProps = {
  readonly family: string;
  /** The family's base. */
  readonly architecture: Architecture;
  /** A manifest's `mixer_sets` fit. */
  readonly mixerSets: MixerSets;
  /** Layer specs of the hybrid. */
  readonly patternA: readonly string[];
  readonly patternB: readonly string[] | null;
  /** Tokens of the user's text. */
  readonly contextTokens: number;
  readonly ownPoints: readonly OwnPoint[];
  /** Recorded measurements (`readResults` on the server). */
  readonly results: readonly ResultsFile[];
  /** The family's variants, which say what a recorded variant's layers are. */
  readonly variants: readonly { readonly name: string; readonly title: string; readonly layers: readonly string[] }[];
};
