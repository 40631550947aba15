/** The steps of a job that make a recipe's data: the commands of docs/methods.md and docs/shipped-models.md. */
import type { JobStep } from "../types";

export type DataName = "none" | "tiny" | "tiny-pairs" | "stories" | "stories-pairs" | "smollm2" | "smollm2-low" | "smollm2-own" | "smollm2-pairs";

const tiny = "{root}/training/tiny";
const stories = "{root}/training/stories";
const smollm2 = "{root}/training/smollm2";
const smollm2Bundle = ["--bundle", "{shipped}/smollm2-135m-instruct", "{root}/models/smollm2-135m-instruct"];

function step(name: string, title: string, argv: string[], made?: string): JobStep {
  return { name, title, argv, ...(made !== undefined && { skip_if: made }) };
}

/** `made`: what the rows of these stories leave; the file itself may be half a one. */
function grammar(rows: number, seed: number, out: string, made: string): JobStep {
  return step("stories", "Writing stories", ["generate", "--kind", "grammar", "--rows", String(rows), "--seed", String(seed), "--out", out], made);
}

function pairs(name: string, title: string, rows: number, seed: number, out: string): JobStep {
  return step(name, title, ["generate", "--kind", "grammar-pairs", "--rows", String(rows), "--seed", String(seed), "--out", out]);
}

/** Pairs of the teacher's answer and the hybrid's own. A file that was begun is made anew: whether it is whole cannot be seen. */
function answerPairs(name: string, title: string, rows: number, seed: number, out: string): JobStep {
  const sampling = ["--chat-temperature", "0.3", "--student-temperature", "0.8", "--min-p", "0.05"];
  return step(name, title, ["generate", ...smollm2Bundle, "--kind", "preferences", "--student", "attn50", "--rows", String(rows), "--length", "512", "--batch", String(Math.min(rows, 768)), "--seed", String(seed), ...sampling, "--out", out]);
}

/** Rows sampled from SmolLM2: what is made once is found again by the command itself. */
function sampled(name: string, title: string, rows: number, batch: number, seed: number, out: string, sampling: readonly string[] = []): JobStep {
  return step(name, title, ["generate", ...smollm2Bundle, "--kind", "rows", "--rows", String(rows), "--length", "1025", "--batch", String(batch), "--seed", String(seed), ...sampling, "--out", out]);
}

/** Answers as a draft meets them: greedy or nearly so, to questions as varied as ever. */
const low = ["--text-share", "0.05", "--chat-temperature", "0", "0.3", "0.6", "--question-temperature", "0.8"];

/** The hybrid's own, not the teacher's. */
const student = ["--student", "attn50"];

const smollm2Train = sampled("rows", "Sampling training text from SmolLM2", 24_576, 1024, 100, `${smollm2}/train`);

export const dataSteps: Record<DataName, readonly JobStep[]> = {
  none: [],
  tiny: [
    grammar(4000, 11, `${tiny}/grammar.jsonl`, `${tiny}/recipe.json`),
    step("prepare", "Preparing token rows", ["prepare", "--bundle", "{shipped}/stories", "--source", `${tiny}/grammar.jsonl`, "--out", tiny, "--length", "257", "--held-out", "64"], `${tiny}/recipe.json`),
  ],
  "tiny-pairs": [
    pairs("pairs", "Writing pairs of stories", 160, 5, `${tiny}/preferences.jsonl`),
    pairs("held-out-pairs", "Writing held-out pairs", 32, 6, `${tiny}/preferences-held-out.jsonl`),
  ],
  stories: [
    step("teacher-stories", "Sampling stories from SmolLM2", ["generate", ...smollm2Bundle, "--kind", "stories", "--rows", "40960", "--length", "470", "--batch", "2048", "--seed", "203", "--out", `${stories}/teacher.jsonl`], `${stories}/train`),
    grammar(28_000, 1, `${stories}/grammar.jsonl`, `${stories}/train`),
    step("pack", "Packing token rows", ["pack", "--texts", `${stories}/teacher.jsonl`, `${stories}/grammar.jsonl`, "--tokenizer", "{shipped}/stories/tokenizer.json", "--out", stories], `${stories}/train`),
  ],
  "stories-pairs": [
    pairs("pairs", "Writing pairs of stories", 8000, 71, `${stories}/preferences.jsonl`),
    pairs("held-out-pairs", "Writing held-out pairs", 512, 72, `${stories}/preferences-held-out.jsonl`),
  ],
  smollm2: [smollm2Train, sampled("held-out-rows", "Sampling held-out text from SmolLM2", 128, 128, 999, `${smollm2}/evaluation`)],
  "smollm2-low": [
    smollm2Train,
    sampled("low-rows", "Sampling answers at low temperatures", 4096, 1024, 801, `${smollm2}/low`, low),
    sampled("held-out-low-rows", "Sampling held-out answers at low temperatures", 64, 64, 998, `${smollm2}/low-evaluation`, low),
  ],
  "smollm2-own": [
    sampled("own-rows", "Sampling attn50's answers at low temperatures", 18_432, 1024, 801, `${smollm2}/own`, [...low, ...student]),
    sampled("own-text", "Sampling attn50's chats and text", 2048, 1024, 101, `${smollm2}/own-warm`, ["--text-share", "0.15", ...student]),
    sampled("held-out-own-rows", "Sampling attn50's held-out answers", 64, 64, 998, `${smollm2}/own-evaluation`, [...low.with(1, "0"), ...student]),
  ],
  "smollm2-pairs": [
    answerPairs("pairs", "Sampling pairs of answers", 4800, 61, `${smollm2}/preferences.jsonl`),
    answerPairs("held-out-pairs", "Sampling held-out pairs of answers", 256, 62, `${smollm2}/preferences-held-out.jsonl`),
  ],
};
