import { expect, test } from "@playwright/test";
import { openChat, send, setNumber, slot, waitIdle, waitReady } from "./lab";

test("auto passes over a WebGPU that is emulated in software, and says so", async ({ page }) => {
  await openChat(page, "family=tiny&variant=attn50");
  await waitReady(page);
  await expect(page.getByTestId("runs-on")).toContainText("WebAssembly");
  await expect(slot(page, "a")).toContainText(/software/);
});

test("a lost GPU device is said, and the model loads again", async ({ page, context }) => {
  await openChat(page, "family=tiny&variant=attn50&provider=webgpu");
  await waitReady(page);
  const other = await context.newPage();
  // Ends the browser's GPU process, as a driver reset does.
  await other.goto("chrome://gpucrash").catch(() => undefined);
  await other.close();
  await page.bringToFront();
  await setNumber(page, "Most tokens", 4);
  await send(page, "Once");
  await expect(page.getByRole("main").getByRole("alert").first()).toContainText(/GPU/);
  await waitIdle(page);
  const again = slot(page, "a").getByRole("button", { name: /Load/ });
  await again.click();
  await waitReady(page);
  await send(page, "Once more");
  await waitIdle(page);
  await expect(page.getByTestId("timings").last()).toContainText("4 tokens");
});
