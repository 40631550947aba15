import { expect, test } from "@playwright/test";
import { chart, exportAll } from "./explorer";
import { openChat, send, setNumber, slot, waitIdle, waitReady } from "./lab";

test("auto passes over a WebGPU that is emulated in software, and says so", async ({ page }) => {
  await openChat(page, "family=tiny&variant=attn50");
  await waitReady(page);
  await expect(page.getByTestId("runs-on")).toContainText("WebAssembly");
  await expect(slot(page, "a")).toContainText(/software/);
});

test("a lost GPU device is said, and the model loads again", async ({ page, browser }) => {
  await openChat(page, "family=tiny&variant=attn50&provider=webgpu");
  await waitReady(page);
  await setNumber(page, "Most tokens", 4);
  const session = await browser.newBrowserCDPSession();
  // As when a driver resets.
  await session.send("Browser.crashGpuProcess");
  const alert = slot(page, "a").getByRole("alert");
  await expect(alert).toContainText("GPU");
  await alert.getByRole("button", { name: "Load again" }).click();
  await waitReady(page);
  await send(page, "Once more");
  await waitIdle(page);
  await expect(page.getByTestId("timings").last()).toContainText("4 tokens");
});

const speculations = [
  ["the target's first layers", "family=tiny&target=attn50&draft=first-2"],
  ["a draft on the target's features", "family=tiny-drafts&target=teacher&draft=eagle1"],
] as const;
for (const [draft, models] of speculations) test(`speculative decoding on WebGPU by ${draft}: exact, with one read-back a cycle; sampled, step by step`, async ({ page }) => {
  test.slow(); // shaders are compiled for each number of steps
  await page.goto(`/speculate?${models}&k=3&tokens=16&provider=webgpu`);
  await page.getByRole("button", { name: "Load", exact: true }).click();
  await expect(page.getByTestId("speculative")).toHaveAttribute("data-status", "ready", { timeout: 60_000 });
  const summary = page.getByTestId("run-summary");
  const run = async (): Promise<number[]> => {
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await expect(summary).toHaveAttribute("data-phase", "done", { timeout: 60_000 });
    const { records } = await exportAll(page, chart(page, /^Cycles/));
    return records.map((record) => Number(record["read-backs"]));
  };
  const together = await run();
  await expect(summary).toContainText("The text is that of plain decoding, token for token.");
  expect(new Set(together)).toEqual(new Set([1]));
  // The first draft was the draft's own choice, and both models say how probable it is.
  await page.getByRole("listbox", { name: /^Cycles/ }).focus();
  await page.keyboard.press("Home");
  const [, first] = await page.getByRole("region", { name: "Cycle 1", exact: true }).getByRole("row").allInnerTexts();
  const [, , q, p] = (first ?? "").split("\t").map(Number);
  for (const probability of [q, p]) expect(probability).toBeGreaterThan(0);
  await page.getByRole("spinbutton", { name: "Temperature" }).fill("0.8");
  expect(Math.max(...(await run()))).toBeGreaterThan(1);
});
