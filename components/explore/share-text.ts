/** A short text inside a link: UTF-8, deflate, base64url. */
import { deflateSync, inflateSync } from "fflate";

/** Characters that a text may take in a link. */
export const LINK_LIMIT = 2048;
/** Bytes that a link's text may unfold to, so that a crafted link cannot fill the memory. */
const TEXT_LIMIT = 1_000_000;

/** The text as it stands in a link, or null if it is too long for one. */
export function packText(text: string): string | null {
  if (text.length > TEXT_LIMIT) return null;
  const bytes = deflateSync(new TextEncoder().encode(text), { level: 9 });
  // Three bytes are four characters.
  if (bytes.length * 4 > LINK_LIMIT * 3) return null;
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** The inverse of {@link packText}; null if it is damaged or too long. */
export function unpackText(packed: string): string | null {
  if (packed === "" || packed.length > LINK_LIMIT || !/^[A-Za-z0-9_-]+$/.test(packed)) return null;
  try {
    const binary = atob(packed.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
    // A full buffer of its own size is the sign of more: the library stops writing at the buffer's end.
    const unfolded = inflateSync(bytes, { out: new Uint8Array(TEXT_LIMIT + 1) });
    if (unfolded.length > TEXT_LIMIT) return null;
    return new TextDecoder("utf-8", { fatal: true }).decode(unfolded);
  } catch {
    return null;
  }
}
