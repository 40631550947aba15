/** How a node is reached. Checked again here, right before the values become arguments of a program. */
import { z } from "zod";
import type { TrainingNode } from "../types";
import { NodeError } from "./errors";

const text = (pattern: RegExp) => z.string().max(500).regex(pattern);
// No leading "-": ssh must not take it for an option. No "%": ssh would replace it.
const pathLike = text(/^(~\/|\/)[^\0-\x1f%]*$/);

export const nodeAddressSchema = z.object({
  id: z.string(),
  kind: z.enum(["local", "ssh"]),
  /** `user@host`, or an alias of the ssh config; null for this machine. */
  destination: text(/^([A-Za-z0-9_][A-Za-z0-9_.+-]*@)?[A-Za-z0-9_:][A-Za-z0-9_.:-]*$/).nullable().default(null),
  port: z.number().int().min(1).max(65535).nullable().default(null),
  identityFile: pathLike.nullable().default(null),
  /** Absolute, or from ~/; null: `~/.mambascope`, on this machine the home folder. */
  root: pathLike.nullable().default(null),
  /** An absolute path or `python3.x`; null: the first that fits. */
  python: text(/^(\/[A-Za-z0-9_@+.,/ -]+|python3(\.\d{1,2})?)$/).nullable().default(null),
});
export type NodeAddress = z.infer<typeof nodeAddressSchema>;
export type NodeAddressInput = z.input<typeof nodeAddressSchema>;

/** The address of a node. Throws NodeError `bad-address`, also for the read-only node of shipped runs. */
export function addressOf(node: NodeAddressInput | TrainingNode): NodeAddress {
  const parsed = nodeAddressSchema.safeParse(node);
  if (parsed.success && (parsed.data.kind === "local" || parsed.data.destination !== null)) return parsed.data;
  const fields = parsed.success ? "destination" : [...new Set(parsed.error.issues.map(({ path }) => String(path[0] ?? "kind")))].join(", ");
  throw new NodeError("bad-address", `This node cannot be connected to: its ${fields} cannot be used.`, "Edit the node: give user@host or a name of your ssh config, and plain paths.");
}
