/** Reading a text file that the visitor chose or dropped. */

export const FILE_LIMIT = 1_000_000;

/** The file's text as UTF-8, or a sentence on why it is not taken. */
export async function readTextFile(file: Pick<File, "name" | "size" | "type" | "arrayBuffer">): Promise<{ text: string } | { problem: string }> {
  if (!/\.(txt|md|markdown)$/i.test(file.name) && !file.type.startsWith("text/")) return { problem: `"${file.name}" is not a .txt or .md file.` };
  if (file.size > FILE_LIMIT) return { problem: `"${file.name}" has ${(file.size / 1e6).toFixed(1)} MB; texts of up to 1 MB are read.` };
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
    return text.includes("\0") ? { problem: `"${file.name}" is not a text.` } : { text: text.replaceAll("\r\n", "\n") };
  } catch {
    return { problem: `"${file.name}" is not UTF-8 text.` };
  }
}
