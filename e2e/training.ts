/** Run directories for the training pages' tests, and what those tests do over and over. */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { expect, type Locator, type Page } from "@playwright/test";

const config = {
  method: "distill",
  family: "stories",
  bundle: ["public/models"],
  layers: [1, 3, 5, 7],
  mixer: { init: "attention" },
  data: { train: "data/training/tiny/train", evaluation: "data/training/tiny/evaluation", seq_len: 64 },
  optimiser: { steps: 100, batch: 8, learning_rate: 0.001 },
  log_every: 1,
  sample_every: 20,
};

export const logText = ["2026-11-22 10:00:00 distill: torch on cpu", ...Array.from({ length: 60 }, (_, index) => `2026-11-22 10:00:0${index % 10} train ${index}/100  loss 0.${100 - index}`), "Warning: a checkpoint was skipped", "RuntimeError: the disk is full"].join("\n");

/** The loss of a line of the made-up runs. */
export const lossAt = (step: number, lines: number): number => Number((0.1 + Math.exp((-6 * step) / lines) + 0.02 * Math.sin(step)).toFixed(6));

type MadeRun = { id: string; name: string; lines: number; state?: string; samples?: boolean; tokensPerStep?: number };

/** Writes a run directory as the trainer would have left it. */
export async function writeRun(home: string, { id, name, lines, state = "stopped", samples = false }: MadeRun): Promise<void> {
  const folder = path.join(home, "runs", id);
  await mkdir(folder, { recursive: true });
  const begun = 1795340000;
  const metrics = Array.from({ length: lines }, (_, index) => {
    const step = index + 1;
    const loss = lossAt(step, lines);
    return JSON.stringify({ kind: "train", step, tokens: 512 * step, time: begun + step / 10, learning_rate: 0.001, loss, kl: loss, ce: loss + 1, teacher_ce: 1.1, agreement: 0.8, grad_norm: 1 + loss, tokens_per_second: 5120 });
  });
  await writeFile(path.join(folder, "config.json"), JSON.stringify({ ...config, name, optimiser: { ...config.optimiser, steps: lines } }, null, 1));
  await writeFile(path.join(folder, "status.json"), JSON.stringify({ state, updated: begun + lines / 10, step: lines, steps: lines, tokens: 512 * lines }));
  await writeFile(path.join(folder, "metrics.jsonl"), `${metrics.join("\n")}\n`);
  await writeFile(path.join(folder, "log.txt"), `${logText}\n`);
  if (!samples) return;
  const texts = [20, 40, 60].map((step) => JSON.stringify({ step, prompt: "Once upon a time", text: `, the student wrote at step ${step}.`, teacher: ", the teacher wrote." }));
  await writeFile(path.join(folder, "samples.jsonl"), `${texts.join("\n")}\n`);
}

export const row = (page: Page, id: string): Locator => page.locator(`tr[data-run="${id}"]`);

/** The runs that the table shows, in its order. */
export async function runsShown(page: Page): Promise<string[]> {
  return page.locator("tr[data-run]").evaluateAll((rows) => rows.map((element) => element.getAttribute("data-run") ?? ""));
}

export async function openRuns(page: Page, query = ""): Promise<void> {
  await page.goto(`/train${query}`);
  await expect(page.locator("tr[data-run]").or(page.getByText("No run fits the search.")).first()).toBeVisible({ timeout: 60_000 });
}

/** Opens a run and waits for its curves. */
export async function openRun(page: Page, node: string, id: string, query = ""): Promise<void> {
  await page.goto(`/train/run?node=${node}&id=${id}${query}`);
  await expect(plot(page, /KL|Total loss/)).toBeVisible({ timeout: 60_000 });
}

/** The area of a chart that is pointed at and dragged over. */
export const plot = (page: Page, title: string | RegExp): Locator => page.getByRole("figure", { name: title }).getByRole("application").first();

/** Drags over a chart from one share of its width to another. */
export async function dragOver(page: Page, area: Locator, from: number, to: number): Promise<void> {
  await area.scrollIntoViewIfNeeded();
  const box = await area.boundingBox();
  if (!box) throw new Error("The chart is not laid out.");
  const y = box.y + box.height / 2;
  await page.mouse.move(box.x + from * box.width, y);
  await page.mouse.down();
  await page.mouse.move(box.x + to * box.width, y, { steps: 8 });
  await page.mouse.up();
}
