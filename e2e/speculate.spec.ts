/** Speculative decoding in the page, on the family that ships: exact, told cycle by cycle, measured, and shared by a link. */
import { expect, test, type Page } from "@playwright/test";
import { chart, exportAll, openTab } from "./explorer";
import { keepScreenshot, overflow, violations } from "./lab";

test.beforeEach(({}, { project }) => {
  test.skip(project.name !== "wasm", "the unit tests cover the other provider");
});

const model = (page: Page) => page.getByTestId("speculative");
const summary = (page: Page) => page.getByTestId("run-summary");

async function open(page: Page, query: string): Promise<void> {
  await page.goto(`/speculate?family=stories&provider=wasm&${query}`);
  await page.getByRole("button", { name: "Load", exact: true }).click();
  await expect(model(page)).toHaveAttribute("data-status", "ready", { timeout: 60_000 });
}

async function run(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await expect(summary(page)).toHaveAttribute("data-phase", "done", { timeout: 60_000 });
}

/** How many tokens of the answer came about in each way. */
async function tags(page: Page): Promise<Record<string, number>> {
  const found = await page.getByTestId("answer").locator("[data-tag]").evaluateAll((tokens) => tokens.map((token) => (token as HTMLElement).dataset.tag ?? ""));
  return found.reduce<Record<string, number>>((counts, tag) => ({ ...counts, [tag]: (counts[tag] ?? 0) + 1 }), {});
}

test("a run gives plain decoding's text, and shows how each token came about", async ({ page }, info) => {
  await open(page, "target=attn50&draft=attn0&k=3&tokens=40");
  await expect(page.getByLabel("Drafts a cycle, K")).toHaveValue("3");
  await run(page);
  await expect(summary(page)).toContainText("The text is that of plain decoding, token for token.");
  await expect(summary(page)).toContainText("over plain decoding");
  const counts = await tags(page);
  expect(counts.prompt).toBe(1);
  expect((counts.accepted ?? 0) + (counts.corrected ?? 0) + (counts.bonus ?? 0)).toBe(39);
  expect(counts.accepted).toBeGreaterThan(10);

  await test.step("cycle by cycle", async () => {
    const { records } = await exportAll(page, chart(page, /^Cycles/));
    const total = (column: string): number => records.reduce((sum, record) => sum + Number(record[column]), 0);
    expect(total("accepted")).toBeGreaterThanOrEqual(counts.accepted ?? 0);
    for (const record of records) {
      expect(Number(record.drafts)).toBeLessThanOrEqual(3);
      expect(Number(record["verify, ms"])).toBeGreaterThan(0);
    }
    const text = await page.getByTestId("answer").innerText();
    const joined = records.map((record) => record.text).join("");
    expect(text.replaceAll(/\s/g, "").endsWith(joined.replaceAll(/\s/g, ""))).toBe(true);
    await page.getByRole("listbox", { name: /^Cycles/ }).focus();
    await page.keyboard.press("Home");
    const detail = page.getByRole("region", { name: "Cycle 1", exact: true });
    await expect(detail.getByRole("row")).toHaveCount(Number(records[0]?.drafts) + 2);
    await page.keyboard.press("ArrowRight");
    await expect(page.getByRole("region", { name: "Cycle 2", exact: true })).toBeVisible();
    await expect(page.getByRole("listbox", { name: /^Cycles/ }).getByRole("option", { selected: true })).toHaveAccessibleName(/^Cycle 2:/);
  });
  await keepScreenshot(page, info, "speculate");

  await openTab(page, "Acceptance");
  const { records } = await exportAll(page, chart(page, /^Acceptance by draft position/));
  expect(records.length).toBeGreaterThan(0);
  for (const record of records) expect(Number(record["this run"])).toBeLessThanOrEqual(1);
  expect(await violations(page)).toEqual([]);
});

test("without a draft in the address, the family's own decodes; every draft that ships can be chosen", async ({ page }, info) => {
  await open(page, "tokens=40");
  const draft = page.getByLabel("Draft", { exact: true });
  await expect(page.getByLabel("Target", { exact: true })).toHaveValue("attn50");
  await expect(draft).toHaveValue("eagle2+lookup"); // it learned this target
  await expect(page.getByLabel("Drafts a cycle, K")).toHaveValue("adaptive");
  await expect(draft.getByRole("option", { name: "Draft: 2 attention layers", exact: true })).toHaveAttribute("value", "draft2-attention");
  await run(page);
  await expect(summary(page)).toContainText("token for token");
  expect((await tags(page)).accepted).toBeGreaterThan(5);
  await keepScreenshot(page, info, "speculate-draft");
  await draft.selectOption({ label: "Draft: 2 Mamba-2 layers, and prompt lookup" });
  await page.getByRole("button", { name: "Change the draft" }).click();
  await expect(model(page)).toHaveAttribute("data-status", "ready", { timeout: 60_000 });
  await run(page);
  await expect(summary(page)).toContainText("token for token");
  await expect(page).toHaveURL(/draft=draft2%2Blookup/);
  await page.goto("/speculate?family=smollm2-135m-instruct&provider=wasm");
  await expect(draft).toHaveValue("eagle2+lookup");
  for (const name of ["draft2", "draft2-attention", "eagle2"]) await expect(draft.locator(`option[value="${name}"]`)).toHaveCount(1);
});

test("the default draft follows the target; one on features says beside which it learned", async ({ page }) => {
  await open(page, "tokens=24");
  const [target, draft] = [page.getByLabel("Target", { exact: true }), page.getByLabel("Draft", { exact: true })];
  await expect(page.getByRole("link", { name: "Li et al., EAGLE" })).toBeVisible();
  await expect(page.getByText("It learned beside")).toHaveCount(0);
  await target.selectOption("attn25");
  await expect(draft).toHaveValue("draft2+lookup");
  await draft.selectOption("eagle2");
  await expect(page.getByText("It learned beside 50% attention: beside another target fewer of its drafts stand.")).toBeVisible();
  await page.getByRole("button", { name: "Load", exact: true }).click();
  await expect(model(page)).toHaveAttribute("data-status", "ready", { timeout: 60_000 });
  await run(page);
  await expect(summary(page)).toContainText("token for token");
  expect(await violations(page)).toEqual([]);
});

test("another draft is loaded beside the target; a lookup needs none; sampling works", async ({ page }) => {
  await open(page, "target=attn0&draft=first-1&k=adaptive&tokens=24");
  await run(page);
  await expect(summary(page)).toContainText("token for token");
  await page.getByLabel("Draft", { exact: true }).selectOption({ label: "Prompt lookup (n-gram)" });
  await page.getByRole("button", { name: "Change the draft" }).click();
  await expect(model(page)).toHaveAttribute("data-status", "ready", { timeout: 60_000 });
  await page.getByLabel("Sample prompts").selectOption({ index: 5 });
  await run(page);
  await expect(summary(page)).toContainText("token for token");
  expect((await tags(page)).accepted ?? 0).toBeGreaterThan(0);
  await page.getByRole("spinbutton", { name: "Temperature" }).fill("0.8");
  await run(page);
  await page.getByRole("listbox", { name: /^Cycles/ }).focus();
  await page.keyboard.press("Home");
  await expect(page.getByRole("columnheader", { name: /Chance min/ })).toBeVisible();
});

test("a run goes cycle by cycle, slowly, on, and stops", async ({ page }) => {
  await open(page, "target=attn50&draft=attn0&k=2&tokens=48");
  await page.getByLabel("Decode plainly first, to compare").uncheck();
  await page.getByText("Step", { exact: true }).click();
  await page.getByRole("button", { name: "Run", exact: true }).click();
  const cycles = page.getByRole("listbox", { name: /^Cycles/ }).getByRole("option");
  const next = page.getByRole("button", { name: "Next cycle" });
  await expect(next).toBeEnabled();
  const before = await cycles.count();
  await page.waitForTimeout(300);
  expect(await cycles.count()).toBe(before); // it waits
  await next.click();
  await expect(cycles).toHaveCount(before + 1);
  await expect(next).toBeEnabled();
  await page.keyboard.press("n");
  await expect(cycles).toHaveCount(before + 2);
  await page.getByText("Slow", { exact: true }).click();
  await expect.poll(() => cycles.count()).toBeGreaterThan(before + 2);
  await page.keyboard.press("Escape");
  await expect(summary(page)).toHaveAttribute("data-phase", "done");
  const stopped = await cycles.count();
  await page.waitForTimeout(400);
  expect(await cycles.count()).toBe(stopped);
  await page.getByText("Full speed", { exact: true }).click();
  await run(page);
  expect(Object.values(await tags(page)).reduce((sum, count) => sum + count, 0)).toBe(48);
});

test("the speed-up is measured over K, kept, and taken away", async ({ page }, info) => {
  await open(page, "target=attn50&draft=first-1&tab=speed");
  await expect(page.getByText("Not measured on this device yet.")).toBeVisible();
  await page.getByRole("button", { name: "Measure all K" }).click();
  await expect(page.getByText(/^[3-9] of \d+ measured/)).toBeVisible({ timeout: 60_000 });
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(page.getByText("stopped before its end")).toBeVisible();
  const { records } = await exportAll(page, chart(page, /^Speed-up against K/));
  expect(records.length).toBeGreaterThan(0);
  for (const record of records) {
    expect(Number(record["speed-up"])).toBeGreaterThan(0);
    expect(Number(record["tokens a cycle"])).toBeGreaterThanOrEqual(1);
  }
  await keepScreenshot(page, info, "speculate-speed");
  await page.reload();
  await expect(page.getByText("stopped before its end")).toBeVisible();
  await page.getByRole("button", { name: /^Remove the measurement/ }).click();
  await expect(page.getByText("stopped before its end")).toBeHidden();
  await page.getByRole("button", { name: "Put it back" }).click();
  await expect(page.getByText("stopped before its end")).toBeVisible();
  await openTab(page, "Recorded");
  await expect(page.getByRole("region", { name: "Reported by others" })).toContainText("Mamba-2.8B: 1.50× at 60 % acceptance");
});

test("recorded runs are shown by where they ran", async ({ page }) => {
  await page.goto("/speculate?family=smollm2-135m-instruct&provider=wasm&tab=recorded");
  const figure = chart(page, /^Recorded runs of these models/);
  const place = page.getByLabel("Recorded on", { exact: true });
  await expect(place.getByRole("option")).toHaveText(["WebGPU", "WebAssembly", "GPU node (PyTorch, CUDA graphs)"]);
  await expect(figure.getByRole("listitem").filter({ hasText: /^attn50, eagle2$/ })).toBeVisible();
  await place.selectOption("WebAssembly");
  await expect(page.getByText(/^Adaptive K\. .*attn50, eagle2\+lookup: [\d.]+×/)).toBeVisible();
  await place.selectOption("GPU node (PyTorch, CUDA graphs)");
  await expect(figure.getByRole("listitem").filter({ hasText: /^attn50, draft2, passes not fused$/ })).toBeVisible();
  await expect(page.getByText(/^Adaptive K\./)).toHaveCount(0);
});

test("a link restores the view; what it names wrongly is told", async ({ page, context }) => {
  await page.goto("/speculate?family=stories&target=attn0&draft=lookup&k=6&tokens=20&tab=acceptance");
  await expect(page.getByLabel("Target", { exact: true })).toHaveValue("attn0");
  await page.getByRole("textbox").fill("The little bird sang");
  await expect(page).toHaveURL(/prompt=/);
  const other = await context.newPage();
  await other.goto(page.url());
  await expect(other.getByRole("textbox")).toHaveValue("The little bird sang");
  await expect(other.getByLabel("Draft", { exact: true })).toHaveValue("lookup");
  await expect(other.getByLabel("Drafts a cycle, K")).toHaveValue("6");
  await expect(other.getByRole("tab", { name: "Acceptance" })).toHaveAttribute("aria-selected", "true");

  await other.goto("/speculate?family=stories&target=attn75&draft=draft9&k=40");
  await expect(other.getByText('There is no variant "attn75" of Stories')).toBeVisible();
  await expect(other.getByText('There is no draft "draft9" of Stories')).toBeVisible();
  await expect(other.getByText('"k=40" is not a number from 1 to 8')).toBeVisible();
  await other.getByRole("button", { name: "Close" }).click();
  await expect(other.getByText("There is no variant")).toBeHidden();
  await expect(other).not.toHaveURL(/attn75/);
});

for (const theme of ["light", "dark"] as const) {
  test(`the page is accessible, ${theme}, wide and narrow`, async ({ page }, info) => {
    await page.emulateMedia({ colorScheme: theme });
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: 900 });
      await open(page, "target=attn50&draft=attn0&k=4&tokens=24");
      await run(page);
      await page.getByRole("listbox", { name: /^Cycles/ }).focus();
      await page.keyboard.press("End");
      expect(await violations(page)).toEqual([]);
      expect(await overflow(page)).toBeLessThanOrEqual(0);
      await keepScreenshot(page, info, `speculate-${theme}-${width}`);
    }
  });
}
