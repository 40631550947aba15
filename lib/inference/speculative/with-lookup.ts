/**
 * A draft that copies where it can: behind tokens that occurred before, what followed them there is drafted at no cost, and the model is asked
 * elsewhere. Texts repeat themselves (names, code, quotations of the prompt) in ways that a small model does not remember.
 */
import type { Chain, ChainedCycle } from "../runner";
import type { Draft } from "./acceptance";
import type { Drafter, DrafterMemory, DraftRequest } from "./drafter";
import { type Copied, copyOf } from "./lookup";

export class WithLookup implements Drafter {
  constructor(private readonly model: Drafter) {}

  get stepwise(): boolean {
    return this.model.stepwise;
  }

  get memory(): DrafterMemory {
    return this.model.memory;
  }

  get chain(): Chain | null {
    return this.model.chain ?? null;
  }

  copy(tokens: readonly number[], count: number): Copied {
    return copyOf(tokens, count);
  }

  begin(...given: Parameters<Drafter["begin"]>): Promise<void> {
    return this.model.begin(...given);
  }

  draft(tokens: readonly number[], request: DraftRequest): Promise<Draft[]> {
    return this.model.draft(tokens, request);
  }

  draftAndVerify(tokens: readonly number[], count: number, logits: boolean): Promise<ChainedCycle | null> {
    return this.model.draftAndVerify?.(tokens, count, logits) ?? Promise.resolve(null);
  }

  clear(): void {
    this.model.clear?.();
  }

  dispose(): Promise<void> {
    return this.model.dispose();
  }
}
