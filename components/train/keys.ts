/** Names of what is kept in the query cache. */
export const keys = {
  all: ["training"] as const,
  nodes: ["training", "nodes"] as const,
  runs: ["training", "runs"] as const,
  trash: ["training", "trash"] as const,
  run: (node: string, id: string) => ["training", "run", node, id] as const,
  metrics: (node: string, id: string, ...rest: readonly (string | number | null)[]) => ["training", "metrics", node, id, ...rest] as const,
  samples: (node: string, id: string) => ["training", "samples", node, id] as const,
  log: (node: string, id: string) => ["training", "log", node, id] as const,
};
