/** A run on this machine's processor, from the form to the chat with what it made. */
import { expect, test, type Page } from "@playwright/test";
import { chooseGreedy, keepScreenshot, send, tokensOf, waitIdle, waitReady } from "./lab";
import { plot } from "./training";
import { hasTrainerEnvironment } from "./trainer-environment";

test.beforeEach(({}, { project }) => {
  test.skip(project.name !== "wasm", "does not depend on the provider");
  test.skip(!hasTrainerEnvironment, "needs the trainer's Python environment: npm test makes it");
});

const state = (page: Page) => page.getByTestId("run-state");
const training = 12 * 60_000;

test("a hybrid is distilled, watched, stopped, resumed, evaluated, exported, explored and talked to", async ({ page, context }, info) => {
  test.setTimeout(2 * training);
  await test.step("the form: the quick demo, made shorter", async () => {
    await page.goto("/train/new?preset=stories-demo");
    await page.getByRole("button", { name: "JSON" }).click();
    const json = page.getByRole("textbox", { name: "The config as JSON" });
    const config = JSON.parse(await json.inputValue()) as Record<string, Record<string, unknown>>;
    const shorter = { ...config, optimiser: { ...config.optimiser, steps: 24, batch: 2, warmup: 2 }, data: { ...config.data, seq_len: 64 }, samples: { tokens: 8 }, log_every: 1, eval_every: 12, eval_batches: 1, checkpoint_every: 4, sample_every: 8 };
    await json.fill(JSON.stringify(shorter));
    await page.getByLabel("Name", { exact: true }).fill("From the browser");
    await page.getByRole("button", { name: "Launch" }).click();
    await expect(page).toHaveURL(/\/train\/run\?node=local&id=from-the-browser-/, { timeout: training });
  });
  await test.step("its curves grow while it runs, here and in the list", async () => {
    await expect(state(page)).toHaveAttribute("data-state", "running", { timeout: training });
    const list = await context.newPage();
    await list.goto("/train?state=active");
    await expect(list.locator("tr[data-run]", { hasText: "From the browser" })).toContainText("Running");
    await list.close();
    await expect(plot(page, "KL to the teacher")).toBeVisible({ timeout: training });
    const rows = () => page.getByRole("figure", { name: "KL to the teacher" }).locator("table tbody tr").count();
    const before = await rows();
    await expect.poll(rows, { timeout: training }).toBeGreaterThan(before);
    await keepScreenshot(page, info, "live");
  });
  await test.step("stopped with a checkpoint, and resumed", async () => {
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await expect(state(page)).toHaveAttribute("data-state", /stopped|finished/, { timeout: training });
    if ((await state(page).getAttribute("data-state")) === "stopped") await page.getByRole("button", { name: "Resume" }).click();
    await expect(state(page)).toHaveAttribute("data-state", "finished", { timeout: training });
  });
  await test.step("samples and evaluation", async () => {
    await page.getByRole("tab", { name: "Samples" }).click();
    await expect(page.getByRole("slider", { name: "Step 24" })).toBeVisible();
    await page.getByRole("tab", { name: "Results" }).click();
    await expect(page.getByRole("region", { name: "Results of agreement" }).getByRole("row")).not.toHaveCount(1);
    await keepScreenshot(page, info, "results");
  });
  await test.step("the explorer shows its layers", async () => {
    const explore = await context.newPage();
    await explore.goto((await page.getByRole("link", { name: "Open in explorer" }).getAttribute("href")) ?? "");
    await expect(explore.getByTestId("strip-a").locator('[data-layer][aria-pressed="true"]')).toHaveCount(4, { timeout: 60_000 });
    await explore.close();
  });
  await test.step("the chat runs it", async () => {
    await page.getByRole("link", { name: "Chat", exact: true }).last().click();
    await expect(page).toHaveURL(/\/chat\?family=stories&variant=/);
    await waitReady(page);
    await chooseGreedy(page);
    await send(page, "Once upon a time");
    await waitIdle(page);
    expect(await tokensOf(page.getByTestId("timings").last())).toBeGreaterThan(3);
    await keepScreenshot(page, info, "chat");
  });
});
