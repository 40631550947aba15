/** What is measured: the families and variants that ship. */

export type Family = { name: string; chat: boolean; variants: readonly string[] };

const variants = ["teacher", "attn50", "attn0"];
export const families: readonly Family[] = [
  { name: "stories", chat: false, variants },
  { name: "smollm2-135m-instruct", chat: true, variants },
];
