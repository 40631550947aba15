/** A name as a folder under data/runs: lower-case letters, digits and hyphens. */
export function runFolder(name: string): string {
  const text = name.normalize("NFKD").toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 50).replace(/-+$/, "");
  return text === "" ? "run" : text;
}

/** Tags as they are typed, separated by commas; each once. */
export function readTags(text: string): string[] {
  return [...new Set(text.split(",").map((tag) => tag.trim()).filter((tag) => tag !== ""))].map((tag) => tag.slice(0, 40)).slice(0, 20);
}
