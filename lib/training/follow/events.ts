import type { NodeError } from "../hosts/errors";
import type { RunRecord } from "../runs/record";
import type { TrainingEvent } from "../types";

type EventOf<Type extends TrainingEvent["type"]> = Extract<TrainingEvent, { type: Type }>;

/** What a follower tells. `seen`: the node answered, or why it did not. */
export type FollowEvent =
  | { type: "record"; record: RunRecord }
  | { type: "seen"; node: string; time: number; error: NodeError | null }
  | EventOf<"run-removed">
  | EventOf<"metrics">
  | EventOf<"log">
  | EventOf<"samples">;
