/** Writes a conversation as a file: Markdown to read, JSON to process. */
import { slots, type Conversation } from "./conversation";

/** A conversation as Markdown; each answer is headed by its variant. */
export function toMarkdown(conversation: Conversation, family: string): string {
  const parts = [`# ${family}`];
  if (conversation.system.trim()) parts.push(`> ${conversation.system.trim().replaceAll("\n", "\n> ")}`);
  for (const turn of conversation.turns) {
    parts.push(`## Prompt\n\n${turn.prompt}`);
    for (const slot of slots) {
      const answer = turn.answers[slot];
      if (answer) parts.push(`### ${answer.title}\n\n${answer.text || `(${answer.error?.message ?? "no answer"})`}`);
    }
  }
  return `${parts.join("\n\n")}\n`;
}

/** A conversation as JSON, with timings and seeds. */
export function toJson(conversation: Conversation, family: string): string {
  return `${JSON.stringify({ format: "mambascope-conversation", version: 1, family, ...conversation }, null, 2)}\n`;
}

/** Offers text to the visitor as a download. */
export function download(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
