/** The text of each token where it stands. */
import { Detokeniser } from "../tokenizer";

/** One piece a token; all pieces in a row are the text. A token that is part of a character gives nothing, the last of them the whole. */
export function piecesOf(tokens: readonly number[], decode: (tokens: readonly number[]) => string): string[] {
  const detokeniser = new Detokeniser(decode);
  const pieces = tokens.map((token) => detokeniser.push(token));
  const rest = detokeniser.flush();
  if (rest && pieces.length > 0) pieces[pieces.length - 1] += rest;
  return pieces;
}
