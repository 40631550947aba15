/** The explorer for everyone: axe on each view in both schemes, and a phone's width. */
import { expect, test } from "@playwright/test";
import { cell, expectMamba, openExplorer, openTab, settled } from "./explorer";
import { keepScreenshot, overflow, violations } from "./lab";

const views = { text: "Token by token", layers: "Layer by layer", inside: /^Inside layer/, benefit: "What it buys" } as const;

test.beforeEach(({}, { project }) => {
  test.skip(project.name !== "wasm", "does not depend on the provider");
});

for (const scheme of ["light", "dark"] as const) {
  test(`every view is accessible at both widths, ${scheme}`, async ({ page }, info) => {
    test.setTimeout(180_000);
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    await openExplorer(page);
    await expect(page.getByTestId("sweep")).toHaveCount(0, { timeout: 60_000 });
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: width === 390 ? 844 : 900 });
      for (const [name, tab] of Object.entries(views)) {
        await openTab(page, tab);
        if (name === "inside") await expect(page.getByRole("application").first()).toBeVisible({ timeout: 60_000 });
        if (name === "benefit") await expect(page.getByRole("figure", { name: /^Reported/ })).toBeVisible();
        await expect.poll(() => overflow(page), `${name} at ${width}`).toBeLessThanOrEqual(0);
        expect(await violations(page), `${name} at ${width}`).toEqual([]);
        if (width === 390) await page.getByRole("tablist").scrollIntoViewIfNeeded();
        await keepScreenshot(page, info, `${name}-${width}-${scheme}`);
      }
    }
    await page.getByRole("button", { name: "Compare A/B" }).click();
    await openTab(page, views.text);
    await settled(page);
    await expect.poll(() => overflow(page)).toBeLessThanOrEqual(0);
    expect(await violations(page), "A/B").toEqual([]);
  });
}

test("a phone paints layers by touch, and folds model and text away", async ({ browser, baseURL }, info) => {
  const context = await browser.newContext({ ...(baseURL && { baseURL }), viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
  const page = await context.newPage();
  await openExplorer(page);
  const fold = page.getByRole("button", { name: /^Model and text/ });
  for (const open of ["true", "false"]) {
    if ((await fold.getAttribute("aria-expanded")) !== open) await fold.tap();
    await expect(fold).toHaveAttribute("aria-expanded", open);
    await expect(page.getByRole("combobox", { name: "Family" })).toBeVisible({ visible: open === "true" });
  }
  await expectMamba(page, "2 4 5 7");
  await cell(page, 0).tap();
  await expectMamba(page, "0 2 4 5 7");
  await settled(page);
  await page.getByRole("listbox", { name: /Tokens of the text/ }).locator('[data-token="3"]').tap();
  await expect(page.getByTestId("token-detail")).toContainText("Position 3");
  await keepScreenshot(page, info, "phone");
  await context.close();
});
