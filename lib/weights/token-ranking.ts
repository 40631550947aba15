import { WeightError } from "./errors";
import type { Manifest } from "./manifest";

/**
 * The token ids of a ranking's file, by falling frequency. Throws WeightError `ranking-invalid` for a file of another length than the
 * manifest says, an id beyond the vocabulary, or one that comes twice.
 */
export function parseTokenRanking(bytes: Uint8Array, { token_ranking: ranking, architecture }: Pick<Manifest, "token_ranking" | "architecture">): Uint32Array<ArrayBuffer> {
  const count = ranking?.count ?? 0;
  if (bytes.byteLength !== 4 * count) throw invalid(`it has ${bytes.byteLength} bytes where ${count} tokens take ${4 * count}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tokens = Uint32Array.from({ length: count }, (_, place) => view.getUint32(4 * place, true));
  const seen = new Uint8Array(architecture.vocab_size);
  tokens.forEach((token, place) => {
    if (token >= architecture.vocab_size) throw invalid(`place ${place} has token ${token}, and the vocabulary ends at ${architecture.vocab_size - 1}`);
    if (seen[token]) throw invalid(`token ${token} comes twice, the second time at place ${place}`);
    seen[token] = 1;
  });
  return tokens;
}

function invalid(problem: string): WeightError {
  return new WeightError(
    "ranking-invalid",
    `The family's token ranking cannot be used: ${problem}.`,
    'Make it again with the trainer\'s command "token-ranking", or choose a draft without a shortlist.',
  );
}
