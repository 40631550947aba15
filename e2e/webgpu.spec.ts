import { expect, test } from "@playwright/test";
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
