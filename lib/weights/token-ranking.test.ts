import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { allFilesOf, fileOf, parseManifest } from "./manifest";
import { makeTestBundle, sha256 } from "./testing/bundle";
import { parseTokenRanking } from "./token-ranking";

const { manifest } = makeTestBundle();
const VOCABULARY = manifest.architecture.vocab_size;

const bytesOf = (tokens: readonly number[]): Uint8Array => {
  const bytes = new Uint8Array(4 * tokens.length);
  tokens.forEach((token, place) => new DataView(bytes.buffer).setUint32(4 * place, token, true));
  return bytes;
};
const ranked = (bytes: Uint8Array, count: number) => ({ ...manifest, token_ranking: { file: "token-ranking.bin", bytes: 4 * count, sha256: sha256(bytes), count } });
const read = (tokens: readonly number[], count = tokens.length) => parseTokenRanking(bytesOf(tokens), ranked(bytesOf(tokens), count));

describe("a token ranking", () => {
  it("is read as it was written, from any place of a buffer", () => {
    const some = fc.uniqueArray(fc.nat(VOCABULARY - 1), { minLength: 1, maxLength: VOCABULARY });
    fc.assert(
      fc.property(some, fc.nat(3), (tokens, offset) => {
        const buffer = new Uint8Array(offset + 4 * tokens.length);
        buffer.set(bytesOf(tokens), offset);
        expect([...parseTokenRanking(buffer.subarray(offset), ranked(buffer, tokens.length))]).toEqual(tokens);
      }),
    );
  });

  it("is refused if it is cut, leaves the vocabulary or names a token twice, and says what to do", () => {
    const refused = (message: string) => expect.objectContaining({ code: "ranking-invalid", message: expect.stringContaining(message), action: expect.stringContaining("token-ranking") });
    expect(() => read([3, 1, 2], 4)).toThrow(refused("12 bytes where 4 tokens take 16"));
    expect(() => read([3, VOCABULARY])).toThrow(refused(`place 1 has token ${VOCABULARY}`));
    expect(() => read([3, 1, 3])).toThrow(refused("token 3 comes twice, the second time at place 2"));
  });

  it("is one of the bundle's files, whether the manifest lists it there or not", () => {
    const bytes = bytesOf([5, 4]);
    const given = parseManifest(ranked(bytes, 2));
    expect(fileOf(given, "token-ranking.bin")).toEqual({ name: "token-ranking.bin", bytes: 8, sha256: sha256(bytes) });
    const listed = parseManifest({ ...given, files: allFilesOf(given) });
    expect(allFilesOf(listed)).toEqual(allFilesOf(given));
    expect(() => fileOf(manifest, "token-ranking.bin")).toThrow("lists no file");
  });
});
