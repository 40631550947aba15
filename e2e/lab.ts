/** What the browser tests do over and over, in the visitor's terms. */
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { expect, type Locator, type Page, type TestInfo } from "@playwright/test";

/** Opens the chat on a selection, such as `family=tiny&variant=attn50`. */
export async function openChat(page: Page, query: string): Promise<void> {
  await page.goto(`/chat?${query}`);
  await expect(page.getByRole("textbox", { name: /Message|Text to continue/ })).toBeVisible();
}

/** The provider that a Playwright project stands for, as it is in the address. */
export function providerOf(project: string): "wasm" | "webgpu" {
  return project === "webgpu" ? "webgpu" : "wasm";
}

export function slot(page: Page, name: "a" | "b"): Locator {
  return page.getByTestId(`slot-${name}`);
}

/** Waits until a column's model is loaded. */
export async function waitReady(page: Page, name: "a" | "b" = "a"): Promise<void> {
  await expect(slot(page, name)).toHaveAttribute("data-status", "ready", { timeout: 60_000 });
}

/** Sets a number in the sampling panel. */
export async function setNumber(page: Page, label: string, value: number): Promise<void> {
  const field = page.getByRole("spinbutton", { name: label });
  if (!(await field.isVisible())) await page.locator("summary", { hasText: "Sampling" }).click();
  await field.fill(String(value));
}

export async function chooseGreedy(page: Page): Promise<void> {
  const greedy = page.getByText("Greedy", { exact: true });
  if (!(await greedy.isVisible())) await page.locator("summary", { hasText: "Sampling" }).click();
  await greedy.click();
}

/** Writes a prompt and sends it. */
export async function send(page: Page, text: string): Promise<void> {
  await page.locator("#prompt").fill(text);
  await page.locator("#prompt").press("Enter");
}

/** Waits until nothing is being written any more. */
export async function waitIdle(page: Page): Promise<void> {
  await expect(page.getByRole("button", { name: "Stop" })).toBeHidden({ timeout: 60_000 });
}

/** Tokens that the last answer has by its own account. */
export async function tokensOf(timings: Locator): Promise<number> {
  const text = await timings.innerText();
  return Number(/(\d+) tokens(?!\/s)/.exec(text)?.[1] ?? Number.NaN);
}

const axePath = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** Violations of WCAG 2.1 A and AA that axe finds, one line each. */
export async function violations(page: Page): Promise<string[]> {
  // Evaluated, not added as a script: the page's Content-Security-Policy runs no script but its own.
  if (!(await page.evaluate(() => "axe" in window))) await page.evaluate(await readFile(axePath, "utf8"));
  return page.evaluate(async () => {
    const { axe } = window as unknown as { axe: typeof import("axe-core") };
    const result = await axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] });
    return result.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`);
  });
}

/** Pixels by which the page is wider than the window. */
export function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
}

/** Keeps what is seen, for a person to judge, in the test's own folder of artefacts. */
export async function keepScreenshot(page: Page, info: TestInfo, name: string): Promise<void> {
  const path = info.outputPath(`${name}.png`);
  await page.screenshot({ path });
  await info.attach(name, { path, contentType: "image/png" });
}

/** What a click downloads: its name and its bytes. */
export async function downloaded(page: Page, click: () => Promise<void>): Promise<{ name: string; bytes: Buffer }> {
  const downloading = page.waitForEvent("download");
  await click();
  const file = await downloading;
  return { name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
}

/** Records of a CSV file as RFC 4180 has it, by column. Fails on rows of unequal length. */
export function parseCsv(text: string): Record<string, string>[] {
  const fields = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|$)/gy;
  const rows: string[][] = [[]];
  for (let match = fields.exec(text); match && match.index < text.length; match = fields.exec(text)) {
    rows.at(-1)?.push(match[1]?.replaceAll('""', '"') ?? match[2] ?? "");
    if (match[3] === "\r\n") rows.push([]);
  }
  expect(rows.pop(), "a line end after the last row").toEqual([]);
  const [head = [], ...records] = rows;
  for (const record of records) expect(record).toHaveLength(head.length);
  return records.map((record) => Object.fromEntries(head.map((column, index) => [column, record[index] ?? ""])));
}
