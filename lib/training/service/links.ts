/** The links to all nodes, each made when it is first needed. */
import type { NodeAddressInput } from "../hosts/address";
import type { AgentConnection } from "../hosts/connection";
import { NodeError } from "../hosts/errors";
import { NodeLink, type LinkOptions, type LinkState } from "../hosts/link";

export class Links {
  private readonly links = new Map<string, NodeLink>();
  private closed = false;

  /**
   * addressOf: throws if the node is not known.
   * changed: told when a node's state changes.
   */
  constructor(
    private readonly addressOf: (node: string) => NodeAddressInput,
    private readonly changed: (node: string, state: LinkState) => void,
    private readonly options: LinkOptions = {},
  ) {}

  /** The node's link, new or not; it connects when it is asked to. Throws if the node is not known. */
  of(node: string): NodeLink {
    const known = this.links.get(node);
    if (known) return known;
    const link = new NodeLink(this.addressOf(node), this.options);
    this.links.set(node, link);
    link.subscribe((state) => {
      if (this.links.get(node) === link) this.changed(node, state);
    });
    return link;
  }

  /** How the node stands; nothing is started for it. */
  stateOf(node: string): Pick<LinkState, "state" | "error"> {
    return this.links.get(node)?.state ?? { state: "idle", error: null };
  }

  /** The connection, made if there is none. Rejects with NodeError. */
  async get(node: string, signal?: AbortSignal): Promise<AgentConnection> {
    if (this.closed) throw new NodeError("cancelled", "The server is being stopped.", "Start it again.");
    return this.of(node).get(signal);
  }

  /** As {@link get}, but a node that was away when it was last tried is not tried again. */
  async getUnlessAway(node: string): Promise<AgentConnection> {
    const { connection, state } = this.of(node);
    if (!connection && state.error) throw new NodeError(state.error.code, state.error.message, state.error.action);
    return this.get(node);
  }

  /** Ends a node's connection, as after a change of its address. Runs go on. */
  drop(node: string): void {
    const link = this.links.get(node);
    this.links.delete(node);
    link?.close();
  }

  /** For good: whoever asks for a connection later gets none. */
  closeAll(): void {
    this.closed = true;
    for (const node of [...this.links.keys()]) this.drop(node);
  }
}
