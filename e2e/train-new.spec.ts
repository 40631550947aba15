/** The page of a new run: form, JSON, problems, undo, what survives a reload; on a phone and in both themes. */
import { expect, test, type Page } from "@playwright/test";
import { keepScreenshot, overflow, violations } from "./lab";

test.beforeEach(({}, { project }) => {
  test.skip(project.name !== "wasm", "nothing is inferred here");
});

const field = (page: Page, path: string) => page.locator(`[data-field="${path}"]`).locator("input, select, textarea").first();
const layerCells = (page: Page) => page.getByRole("group", { name: "Layers that become Mamba-2" }).getByRole("button", { pressed: true });
const mamba = async (page: Page): Promise<string> => (await layerCells(page).evaluateAll((cells) => cells.map((cell) => (cell as HTMLElement).dataset.layer))).join(" ");

async function openForm(page: Page, query = ""): Promise<void> {
  await page.goto(`/train/new${query}`);
  await expect(page.getByRole("group", { name: "Layers that become Mamba-2" })).toBeVisible();
}

test("a preset fills the form; layers, fields and JSON are one config; undo and a reload keep it", async ({ page }) => {
  await openForm(page);
  await expect(page.getByRole("button", { name: /Quick demo/ })).toHaveAttribute("aria-pressed", "true");
  await expect(page.getByRole("region", { name: "Estimate" })).toContainText("164k");
  await expect.poll(() => mamba(page)).toBe("1 3 5 7");

  await test.step("the layers", async () => {
    await page.getByRole("button", { name: "12.5%", exact: true }).click();
    await expect.poll(() => mamba(page)).toBe("1 2 3 4 5 6 7");
    await page.getByRole("button", { name: "Layer 0: Mamba" }).click();
    await expect.poll(() => mamba(page)).toBe("0 1 2 3 4 5 6 7");
    await page.getByRole("button", { name: "Undo (Ctrl+Z)" }).click();
    await expect.poll(() => mamba(page)).toBe("1 2 3 4 5 6 7");
  });
  await test.step("what does not matter is left out", async () => {
    await expect(field(page, "full_probability")).toHaveCount(0);
    await field(page, "pattern").selectOption("random");
    await expect(field(page, "full_probability")).toHaveValue("0.5");
  });
  await test.step("the JSON, both ways", async () => {
    await page.getByRole("button", { name: "JSON", exact: true }).click();
    const json = page.getByRole("textbox", { name: "The config as JSON" });
    const config = JSON.parse(await json.inputValue()) as { pattern: string; layers: number[]; optimiser: Record<string, number> };
    expect(config).toMatchObject({ pattern: "random", layers: [1, 2, 3, 4, 5, 6, 7] });
    await json.fill(JSON.stringify({ ...config, optimiser: { ...config.optimiser, steps: 77 } }, null, 2));
    await json.press("End");
    await json.pressSequentially(" ,");
    await expect(page.getByText("The form keeps the last version that could be read.")).toBeVisible();
    await page.getByRole("button", { name: "Back to that" }).click();
    await page.getByRole("button", { name: "Form", exact: true }).click();
    await expect(field(page, "optimiser.steps")).toHaveValue("77");
  });
  await test.step("a reload", async () => {
    await page.reload();
    await expect(field(page, "optimiser.steps")).toHaveValue("77");
    await expect.poll(() => mamba(page)).toBe("1 2 3 4 5 6 7");
    await expect(page).toHaveURL(/preset=stories-demo/);
  });
  await test.step("the commands", async () => {
    await page.getByText("The same on a command line").click();
    const commands = page.getByLabel("Commands, in the project's folder");
    await expect(commands).toContainText("generate --kind grammar");
    await expect(commands).toContainText('"steps": 77');
    await expect(commands).not.toContainText("{root}");
  });
});

test("problems stand at their fields and in a list that leads there; nothing wrong is launched", async ({ page }) => {
  await openForm(page, "?preset=tiny-mohawk");
  await page.getByRole("button", { name: "2. align" }).click();
  await field(page, "optimiser.learning_rate").fill("fast");
  await page.getByRole("button", { name: "All stages" }).click();
  await field(page, "optimiser.batch").fill("0");
  const list = page.getByRole("alert").filter({ hasText: "2 fields are to be corrected" });
  await expect(list).toContainText("Batch: must be more than 0");
  await expect(list).toContainText("Stage 2, Learning rate: expected a number");
  await expect(page.getByRole("button", { name: "Launch", exact: true })).toBeDisabled();
  await expect(page.locator('[data-field="optimiser.batch"]')).toContainText("Must be more than 0");

  await list.getByRole("button", { name: /Learning rate/ }).click();
  await expect(page.getByRole("button", { name: "2. align" })).toHaveAttribute("aria-pressed", "true");
  await expect(field(page, "optimiser.learning_rate")).toBeFocused();
  await field(page, "optimiser.learning_rate").fill("2e-3");
  await page.getByRole("button", { name: "All stages" }).click();
  await field(page, "optimiser.batch").fill("8");
  await expect(page.getByRole("button", { name: "Launch", exact: true })).toBeEnabled();
});

test("a shipped run is duplicated with its config, on this machine", async ({ page }) => {
  await openForm(page, "?from=shipped:stories-attn50");
  await expect(page.getByText("A copy of the run stories-attn50.")).toBeVisible();
  await expect.poll(() => mamba(page)).toBe("2 4 5 7");
  await expect(field(page, "optimiser.steps")).toHaveValue("1500");
  await expect(page.locator('[data-field="name"] input')).toHaveValue("stories-attn50-2");
  await expect(page.getByLabel("Node", { exact: true })).toHaveValue("local");
});

for (const theme of ["light", "dark"] as const) {
  test(`it is accessible and fits a phone, ${theme}`, async ({ page }, info) => {
    await page.emulateMedia({ colorScheme: theme });
    for (const [width, height] of [[1280, 900], [390, 844]] as const) {
      await page.setViewportSize({ width, height });
      await openForm(page);
      await expect(page.getByRole("region", { name: "Estimate" })).toContainText("164k");
      expect(await overflow(page)).toBeLessThanOrEqual(0);
      expect(await violations(page)).toEqual([]);
      await keepScreenshot(page, info, `train-new-${width}-${theme}`);
    }
  });
}
