/** A conversation: turns of one prompt and up to two answers, one a column of the side-by-side view. Pure. */
import { z } from "zod";
import { errorCodes, type ChatMessage } from "@/workers/protocol";

export const slots = ["a", "b"] as const;
export type Slot = (typeof slots)[number];

const answerSchema = z.object({
  family: z.string(),
  variant: z.string(),
  title: z.string(),
  text: z.string(),
  /** `null` while it is written, or if the page was closed meanwhile. */
  finish: z.enum(["stop", "length", "context", "cancelled", "error"]).nullable(),
  error: z.object({ code: z.enum(errorCodes), message: z.string(), action: z.string() }).nullable(),
  stats: z
    .object({
      provider: z.string(),
      tokens: z.number(),
      promptTokens: z.number(),
      reusedTokens: z.number(),
      timeToFirstTokenMs: z.number(),
      tokensPerSecond: z.number(),
      seed: z.number(),
    })
    .nullable(),
});

const turnSchema = z.object({
  id: z.string(),
  prompt: z.string(),
  answers: z.object({ a: answerSchema.optional(), b: answerSchema.optional() }),
});

export const conversationSchema = z.object({ system: z.string(), turns: z.array(turnSchema) });

export type Answer = z.infer<typeof answerSchema>;
export type Turn = z.infer<typeof turnSchema>;
export type Conversation = z.infer<typeof conversationSchema>;

export const emptyConversation: Conversation = { system: "", turns: [] };

/** A new turn at the end. */
export function addTurn(conversation: Conversation, id: string, prompt: string): Conversation {
  return { ...conversation, turns: [...conversation.turns, { id, prompt, answers: {} }] };
}

/** Changes a turn's prompt, and drops its answers and all that followed. */
export function rewriteTurn(conversation: Conversation, id: string, prompt: string): Conversation {
  const index = conversation.turns.findIndex((turn) => turn.id === id);
  if (index < 0) return conversation;
  return { ...conversation, turns: [...conversation.turns.slice(0, index), { id, prompt, answers: {} }] };
}

/** Sets or removes the answer of one column in a turn. */
export function setAnswer(conversation: Conversation, id: string, slot: Slot, answer: Answer | undefined): Conversation {
  return {
    ...conversation,
    turns: conversation.turns.map((turn) => (turn.id === id ? { ...turn, answers: { ...turn.answers, [slot]: answer } } : turn)),
  };
}

/** The messages that a column's model answers in a turn: the system prompt, its own earlier answers, the turn's prompt. */
export function messagesFor(conversation: Conversation, id: string, slot: Slot): ChatMessage[] {
  const messages: ChatMessage[] = conversation.system.trim() ? [{ role: "system", content: conversation.system }] : [];
  for (const turn of conversation.turns) {
    const answer = turn.answers[slot] ?? turn.answers.a;
    if (turn.id === id) {
      messages.push({ role: "user", content: turn.prompt });
      break;
    }
    if (!answer?.text) continue;
    messages.push({ role: "user", content: turn.prompt }, { role: "assistant", content: answer.text });
  }
  return messages;
}
