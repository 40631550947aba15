/** The chat's state and what a visitor can do with it. */
import { create } from "zustand";
import { batch } from "@/components/ui/batch";
import { addTurn, emptyConversation, messagesFor, rewriteTurn, setAnswer, type Answer, type Conversation, type Slot } from "./conversation";
import { engineOf, errorData, type Selection } from "./engine";
import { defaultSettings, toSampling, type Settings } from "./settings";
import { readStored, writeStored } from "./storage";

/** A column: which model answers in it, and how it is to be asked. */
export type Column = { slot: Slot; selection: Selection; title: string; chat: boolean };

/** What is known of an answer while it is written. */
export type Live = { tokens: number; tokensPerSecond: number; firstTokenMs: number };

type SessionState = {
  /** False until the stored chat was read, which only the browser can. */
  restored: boolean;
  conversations: Record<string, Conversation>;
  settings: Settings;
  /** The turn being answered, and the column that is writing now. */
  running: { turn: string; live: Partial<Record<Slot, Live>> } | null;
  storageFailed: boolean;
};

export const useSession = create<SessionState>(() => ({
  restored: false,
  conversations: {},
  settings: defaultSettings,
  running: null,
  storageFailed: false,
}));

const { getState: get, setState: set } = useSession;

/** Reads the stored chat, and stores every later change. */
export function restoreSession(): void {
  if (get().restored) return;
  set({ ...readStored(), restored: true });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const store = () => {
    const { conversations, settings } = get();
    const storageFailed = !writeStored({ conversations, settings });
    if (storageFailed !== get().storageFailed) set({ storageFailed });
  };
  useSession.subscribe((state, before) => {
    if (state.conversations === before.conversations && state.settings === before.settings) return;
    clearTimeout(timer);
    timer = setTimeout(store, 250);
  });
  addEventListener("pagehide", store);
}

export function conversationOf(state: Pick<SessionState, "conversations">, family: string): Conversation {
  return state.conversations[family] ?? emptyConversation;
}

function update(family: string, change: (conversation: Conversation) => Conversation): void {
  set((state) => ({ conversations: { ...state.conversations, [family]: change(conversationOf(state, family)) } }));
}

export function changeSettings(settings: Partial<Settings>): void {
  set((state) => ({ settings: { ...state.settings, ...settings } }));
}

export function resetSettings(): void {
  set({ settings: defaultSettings });
}

export function setSystemPrompt(family: string, system: string): void {
  update(family, (conversation) => ({ ...conversation, system }));
}

/** Forgets the turns; the system prompt stays. */
export function newConversation(family: string): void {
  stop();
  update(family, (conversation) => ({ ...emptyConversation, system: conversation.system }));
}

/** A prompt, answered by each column. */
export async function send(columns: Column[], prompt: string): Promise<void> {
  const family = columns[0]?.selection.family;
  if (!family || get().running) return;
  const turn = crypto.randomUUID();
  update(family, (conversation) => addTurn(conversation, turn, prompt));
  await answerTurn(columns, family, turn);
}

/** Answers a turn again, with another prompt if one is given; later turns are dropped. */
export async function redo(columns: Column[], turn: string, prompt?: string): Promise<void> {
  const family = columns[0]?.selection.family;
  if (!family || get().running) return;
  const known = conversationOf(get(), family).turns.find(({ id }) => id === turn);
  if (!known) return;
  update(family, (conversation) => rewriteTurn(conversation, turn, prompt ?? known.prompt));
  await answerTurn(columns, family, turn);
}

/** Lets completion models write on after their own text. */
export async function extend(columns: Column[], turn: string): Promise<void> {
  const family = columns[0]?.selection.family;
  if (!family || get().running) return;
  await answerTurn(columns, family, turn);
}

let stopper: AbortController | null = null;

/** Stops the answers that are being written; what is written stays. */
export function stop(): void {
  stopper?.abort();
}

async function answerTurn(columns: Column[], family: string, turn: string): Promise<void> {
  const controller = new AbortController();
  stopper = controller;
  set({ running: { turn, live: {} } });
  const tasks = columns.map((column) => () => answer(column, family, turn, controller.signal));
  if (get().settings.parallel) await Promise.all(tasks.map((task) => task()));
  else for (const task of tasks) await task();
  if (stopper === controller) {
    stopper = null;
    set({ running: null });
  }
}

async function answer({ slot, selection, title, chat }: Column, family: string, turn: string, signal: AbortSignal): Promise<void> {
  const before = conversationOf(get(), family).turns.find(({ id }) => id === turn);
  if (!before || signal.aborted) return;
  const prefix = before.answers[slot]?.text ?? "";
  let current: Answer = { family, variant: selection.variant, title, text: prefix, finish: null, error: null, stats: null };
  const show = (change: Partial<Answer>) => {
    current = { ...current, ...change };
    update(family, (conversation) => setAnswer(conversation, turn, slot, current));
  };
  show({});

  const engine = engineOf(slot);
  const cancelLoad = () => engine.cancelLoad();
  signal.addEventListener("abort", cancelLoad, { once: true });
  const ready = await engine.load(selection);
  signal.removeEventListener("abort", cancelLoad);
  if (signal.aborted) return show({ finish: "cancelled" });
  if (!ready) return show({ finish: "error", error: engine.store.getState().error });

  const { settings } = get();
  const writer = batch<string>((texts) => show({ text: current.text + texts.join("") }), () => 33); // thirty times a second at most
  // The model has the last word on its template: the listing may have been unable to read it.
  const begun = performance.now();
  let firstTokenMs = 0;
  const template = engine.store.getState().info?.chatTemplate ?? chat;
  try {
    const result = await untilAborted(
      signal,
      engine.generate(template ? { messages: messagesFor(conversationOf(get(), family), turn, slot) } : { prompt: before.prompt + prefix }, {
        sampling: toSampling(settings),
        maxTokens: settings.maxTokens,
        signal,
        onToken: (token) => {
          if (signal.aborted) return;
          writer.add(token.text);
          firstTokenMs ||= performance.now() - begun;
          showLive(slot, { tokens: token.index, tokensPerSecond: token.tokensPerSecond, firstTokenMs });
        },
      }),
    );
    writer.flush();
    if (!result) return show({ finish: "cancelled" });
    show({
      text: prefix + result.text,
      finish: result.finishReason,
      stats: {
        provider: engine.store.getState().info?.provider ?? "",
        tokens: result.tokenIds.length,
        promptTokens: result.promptTokens,
        reusedTokens: result.reusedTokens,
        timeToFirstTokenMs: result.timeToFirstTokenMs,
        tokensPerSecond: result.tokensPerSecond,
        seed: result.seed,
      },
    });
  } catch (error) {
    writer.flush();
    show({ finish: "error", error: errorData(error) });
  }
}

function showLive(slot: Slot, live: Live): void {
  set(({ running }) => ({ running: running && { ...running, live: { ...running.live, [slot]: live } } }));
}

/** The result, or null at once when the visitor stops; the worker then ends its step in the background. */
function untilAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T | null> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => setTimeout(() => resolve(null), 300), { once: true });
    work.then(resolve, reject);
  });
}
