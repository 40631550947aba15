/** Addresses of the training pages, and what of their state is in them. Pure. */
import { nodeIdPattern, runIdPattern } from "@/lib/training/types";
import { plainView, type ChartView } from "./charts/view";
import { axes, type Range } from "./series";

export type RunName = { readonly node: string; readonly id: string };

export const runHref = ({ node, id }: RunName): string => `/train/run?node=${encodeURIComponent(node)}&id=${encodeURIComponent(id)}`;
export const compareHref = (runs: readonly RunName[]): string => `/train/compare?runs=${runs.map(({ node, id }) => `${node}:${id}`).join(",")}`;
export const duplicateHref = ({ node, id }: RunName): string => `/train/new?from=${encodeURIComponent(`${node}:${id}`)}`;

/** The most runs that one chart can show apart. */
export const MOST_COMPARED = 8;

/** The runs that an address names; parts that name none are left out, and a run counts once. */
export function readRuns(text: string | null): RunName[] {
  const found = new Map<string, RunName>();
  for (const part of (text ?? "").split(",")) {
    const [node = "", id = ""] = part.split(":");
    if (nodeIdPattern.test(node) && runIdPattern.test(id)) found.set(part, { node, id });
  }
  return [...found.values()].slice(0, MOST_COMPARED);
}

/** A run's name from an address, or null. */
export function readRun(query: URLSearchParams): RunName | null {
  const [node, id] = [query.get("node") ?? "", query.get("id") ?? ""];
  return nodeIdPattern.test(node) && runIdPattern.test(id) ? { node, id } : null;
}

/** The charts' state in an address; what cannot be read is as by default. */
export function readView(query: URLSearchParams): ChartView {
  const smoothing = Number(query.get("smooth") ?? "");
  return {
    axis: axes.find((axis) => axis === query.get("axis")) ?? plainView.axis,
    log: query.get("log") === "1",
    smoothing: query.has("smooth") && smoothing >= 0 && smoothing <= 0.99 ? smoothing : plainView.smoothing,
    zoom: readRange(query.get("zoom")),
  };
}

function readRange(text: string | null): Range | null {
  const match = /^(-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?)$/.exec(text ?? "");
  const [from, to] = [Number(match?.[1]), Number(match?.[2])];
  return match && to > from ? [from, to] : null;
}

/** Writes the charts' state into an address; what is as by default is left out. */
export function writeView(query: URLSearchParams, view: ChartView): void {
  const set = (key: string, value: string | null): void => (value === null ? query.delete(key) : query.set(key, value));
  set("axis", view.axis === plainView.axis ? null : view.axis);
  set("log", view.log ? "1" : null);
  set("smooth", view.smoothing === plainView.smoothing ? null : String(Number(view.smoothing.toFixed(2))));
  set("zoom", view.zoom ? `${short(view.zoom[0])}..${short(view.zoom[1])}` : null);
}

/** As a plain decimal with digits enough to find the place again. */
const short = (value: number): string => String(Number(value.toFixed(Math.abs(value) < 1000 ? 3 : 0)));
