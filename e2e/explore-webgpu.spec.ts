/** The explorer on WebGPU: the same page, and the same numbers as on WebAssembly. */
import { expect, test } from "@playwright/test";
import { cell, computedFrom, loaded, settled, total } from "./explorer";
import { keepScreenshot } from "./lab";

test("a pattern is compared, changed and looked into", async ({ page }, info) => {
  test.setTimeout(180_000);
  const text = "Tom had a big red ball. He threw the ball over the wall.";
  const costs: number[] = [];
  for (const provider of ["webgpu", "wasm"]) {
    await page.goto(`/explore?family=stories&provider=${provider}`);
    await loaded(page);
    await expect(page.getByTestId("runs-on")).toContainText(provider === "webgpu" ? "WebGPU" : "WebAssembly");
    await page.getByLabel("The text that is measured").fill(text);
    await expect(page.getByTestId("token-count")).toHaveText(/tokens$/, { timeout: 60_000 });
    await settled(page);
    costs.push(await total(page, "KL a token"));
    await cell(page, 6).click();
    expect(await computedFrom(page)).toBe(6);
    costs.push(await total(page, "KL a token"));
    await page.keyboard.press("Control+z");
  }
  const [onGpu = Number.NaN, changedOnGpu = Number.NaN, onCpu = Number.NaN, changedOnCpu = Number.NaN] = costs;
  expect(Math.abs(onGpu - onCpu)).toBeLessThan(0.01);
  expect(Math.abs(changedOnGpu - changedOnCpu)).toBeLessThan(0.01);
  await page.getByRole("tab", { name: /^Inside layer/ }).click();
  await expect(page.getByRole("application").first()).toBeVisible({ timeout: 60_000 });
  await keepScreenshot(page, info, "webgpu");
});
