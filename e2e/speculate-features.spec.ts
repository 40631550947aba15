/** Drafts on the target's features: offered and explained where they have a target, left out where they would be alone. */
import { expect, test } from "@playwright/test";
import { violations } from "./lab";

test.beforeEach(({}, { project }) => {
  test.skip(project.name !== "wasm", "on WebGPU: webgpu.spec.ts");
});

test("Speculate decodes with such a draft, step by step and adaptively, and takes another in its place", async ({ page }) => {
  await page.goto("/speculate?family=tiny-drafts&target=teacher&draft=eagle1&k=4&tokens=24&provider=wasm");
  const draft = page.getByLabel("Draft", { exact: true });
  await expect(draft).toHaveValue("eagle1");
  await expect(page.getByRole("link", { name: "Li et al., EAGLE" })).toHaveAttribute("href", /2401\.15077/);
  await page.getByRole("button", { name: "Load", exact: true }).click();
  const model = page.getByTestId("speculative");
  await expect(model).toHaveAttribute("data-status", "ready", { timeout: 60_000 });
  const summary = page.getByTestId("run-summary");
  const run = async (): Promise<void> => {
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await expect(summary).toHaveAttribute("data-phase", "done", { timeout: 60_000 });
    await expect(summary).toContainText("The text is that of plain decoding, token for token.");
  };
  await run();
  await expect(summary).toContainText("Hidden states that drafts may read take");
  await page.getByLabel("Drafts a cycle, K").selectOption("adaptive");
  await run();
  await draft.selectOption("eagle1-attention");
  await page.getByRole("button", { name: "Change the draft" }).click();
  await expect(model).toHaveAttribute("data-status", "ready", { timeout: 60_000 });
  await run();
  await draft.selectOption("draft2");
  await expect(page.getByRole("link", { name: "Li et al., EAGLE" })).toHaveCount(0);
  expect(await violations(page)).toEqual([]);
});

test("the chat leaves such drafts out, and says so of one in the address", async ({ page }) => {
  await page.goto("/chat?family=tiny-drafts&variant=eagle1&provider=wasm");
  const refusal = page.getByRole("status").filter({ hasText: "cannot answer alone" });
  await expect(refusal).toContainText("Choose it as a draft on the Speculate page.");
  const variant = page.getByLabel("Variant", { exact: true });
  await expect(variant).toHaveValue("teacher");
  await expect(variant.getByRole("option")).toHaveText(["Teacher (100% attention)", "Draft (2 Mamba-2 layers)", "Draft (2 attention layers)"]);
  await refusal.getByRole("link", { name: "Speculate with it" }).click();
  await expect(page.getByLabel("Draft", { exact: true })).toHaveValue("eagle1");

  await page.goto("/models");
  const row = page.getByRole("article", { name: "Tiny, with drafts" }).getByRole("row", { name: /eagle1 draft on features/ });
  await expect(row).toContainText("draft on features");
  await expect(row.getByRole("link", { name: "Speculate" })).toHaveAttribute("href", "/speculate?family=tiny-drafts&draft=eagle1");
});
