/** Prompts at hand, of kinds that differ in how easy the next token is to guess. */
import type { GenerateInput } from "@/workers/protocol";

export type KindId = "question" | "story" | "list" | "code" | "repeat";
export type SamplePrompt = { readonly kind: KindId; readonly text: string };

export const kindNames: Readonly<Record<KindId, string>> = {
  question: "Questions",
  story: "Stories",
  list: "Lists",
  code: "Code",
  repeat: "Rewriting",
};

const chat: readonly SamplePrompt[] = [
  { kind: "question", text: "What is the difference between weather and climate?" },
  { kind: "question", text: "Why does the Moon always show us the same side?" },
  { kind: "story", text: "Write a short story about a lighthouse keeper who finds a message in a bottle." },
  { kind: "story", text: "Tell me a bedtime story about a fox and an owl." },
  { kind: "list", text: "Give me ten ideas for a cheap and healthy breakfast." },
  { kind: "list", text: "List the planets of the solar system with one fact about each." },
  { kind: "code", text: "Write a Python function that returns the n-th Fibonacci number, with a short explanation." },
  { kind: "code", text: "Show me how to read a text file line by line in Python." },
  { kind: "repeat", text: "Repeat this text, with every sentence on its own line: The river rises in the hills. It runs through three towns. In spring it floods the meadows. In autumn it is slow and clear." },
  { kind: "repeat", text: "Correct the spelling of this text and write it again: The old house stood at the end of the street. Its windos were dark. Nobody had lived there for ten yaers, and the garden was wild." },
];

const texts: readonly SamplePrompt[] = [
  { kind: "story", text: "Once upon a time there was a little boat" },
  { kind: "story", text: "One day, a girl named Lily found a big red ball in the park." },
  { kind: "story", text: "Tom had a toy train. He loved to play with it every day." },
  { kind: "story", text: "The bird wanted to fly, but" },
  { kind: "repeat", text: "The cat sat. The dog sat. The cat ran. The dog ran. The cat" },
  { kind: "repeat", text: "Mia said, \"I want to play.\" Ben said, \"I want to play too.\" Mia said," },
];

/** Prompts that suit the family: turns for a chat model, beginnings for others. */
export const samplePrompts = (chatTemplate: boolean | null): readonly SamplePrompt[] => (chatTemplate === false ? texts : chat);

/** What the worker is given for a prompt. */
export const inputOf = (text: string, chatTemplate: boolean): GenerateInput => (chatTemplate ? { messages: [{ role: "user", content: text }] } : { prompt: text });
