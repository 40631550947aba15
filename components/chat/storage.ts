/** What the chat keeps in localStorage. Whatever does not fit its schema is dropped, part by part. */
import { z } from "zod";
import { conversationSchema, type Conversation } from "./conversation";
import { defaultSettings, settingsSchema, type Settings } from "./settings";

const key = "mambascope.chat.v1";

export type Stored = { conversations: Record<string, Conversation>; settings: Settings };

const storedSchema = z.object({
  conversations: z.record(z.string(), conversationSchema).catch({}),
  settings: settingsSchema.catch(defaultSettings),
});

/** The stored chat, or an empty one. */
export function readStored(): Stored {
  try {
    return storedSchema.parse(JSON.parse(localStorage.getItem(key) ?? "{}"));
  } catch {
    return { conversations: {}, settings: defaultSettings };
  }
}

/** Stores the chat. False if the browser refuses, such as when storage is full or closed. */
export function writeStored(stored: Stored): boolean {
  try {
    localStorage.setItem(key, JSON.stringify(stored));
    return true;
  } catch {
    return false;
  }
}
