/** What the browser tests do over and over, in the visitor's terms. */
import { expect, type Locator, type Page } from "@playwright/test";

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
