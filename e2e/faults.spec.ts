import { expect, test, type Page } from "@playwright/test";
import { openChat, send, setNumber, slot, waitIdle, waitReady } from "./lab";

/** The page goes on: another family loads and answers. */
async function expectWorking(page: Page): Promise<void> {
  await page.getByLabel("Family").selectOption("tiny");
  await waitReady(page);
  await setNumber(page, "Most tokens", 4);
  await send(page, "Still here");
  await waitIdle(page);
  await expect(page.getByTestId("timings").last()).toContainText("4 tokens");
}

/** Files in the browser's storage whose content is not what their name, a checksum, says. */
const brokenFiles = (page: Page) =>
  page.evaluate(async () => {
    type Folder = FileSystemDirectoryHandle & { entries(): AsyncIterable<[string, FileSystemFileHandle]> };
    const root = await navigator.storage.getDirectory();
    const folder = (await root.getDirectoryHandle("weights", { create: true })) as Folder;
    const broken: string[] = [];
    for await (const [name, handle] of folder.entries()) {
      const digest = await crypto.subtle.digest("SHA-256", await (await handle.getFile()).arrayBuffer());
      const checksum = Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
      if (checksum !== name) broken.push(name);
    }
    return broken;
  });

async function expectRefused(page: Page, family: string, message: RegExp): Promise<void> {
  await openChat(page, `family=${family}&variant=attn50&provider=wasm`);
  const load = slot(page, "a").getByRole("button", { name: "Load", exact: true });
  const alert = slot(page, "a").getByRole("alert");
  // A file that is known to be missing or short is loaded only on request.
  await expect(slot(page, "a")).toHaveAttribute("data-status", /loading|failed|empty/);
  if (await load.isVisible()) await load.click();
  // Broken connections are tried again for a while before they are reported.
  await expect(alert).toContainText(message, { timeout: 60_000 });
  await expect(alert.locator("p")).toHaveCount(2);
  await expect(alert.locator("p").nth(1)).not.toBeEmpty();
}

for (const [family, message] of [
  ["tiny-damaged", /checksum|damaged/i],
  ["tiny-wrong-checksum", /checksum|damaged/i],
  ["tiny-truncated", /ended|short|truncat|bytes/i],
  ["tiny-missing", /missing|not found|404|no such/i],
] as const) {
  test(`${family}: said with what to do, nothing broken is kept, the page goes on`, async ({ page }) => {
    await expectRefused(page, family, message);
    expect(await brokenFiles(page)).toEqual([]);
    await expectWorking(page);
  });
}

test("a manifest of another version is said with what to do", async ({ page }) => {
  await openChat(page, "family=tiny-other-version");
  await expect(page.getByRole("main").getByRole("alert").filter({ hasText: "version" })).toContainText("99");
  await expectWorking(page);
});

test("bytes that change on the wire are refused, and a clean load works after", async ({ page }) => {
  let broken = true;
  await page.route("**/*.safetensors*", async (route) => {
    const response = await route.fetch();
    const body = await response.body();
    if (broken) body[body.length - 1] = (body[body.length - 1] ?? 0) ^ 1;
    await route.fulfill({ response, body });
  });
  await expectRefused(page, "tiny", /checksum|damaged/i);
  expect(await brokenFiles(page)).toEqual([]);
  broken = false;
  await slot(page, "a").getByRole("button", { name: "Load again" }).click();
  await waitReady(page);
});

test("a lost connection is said, and the next try works", async ({ page }) => {
  await page.route("**/*.safetensors*", (route) => route.abort("connectionreset"));
  await expectRefused(page, "tiny", /network|connection|reach|load/i);
  await page.unroute("**/*.safetensors*");
  await slot(page, "a").getByRole("button", { name: "Load again" }).click();
  await waitReady(page);
});

test("a prompt longer than the context is refused, and a short one is answered", async ({ page }) => {
  await openChat(page, "family=tiny&variant=attn50&provider=wasm");
  await waitReady(page);
  await setNumber(page, "Most tokens", 4);
  await send(page, "word ".repeat(600));
  await expect(page.getByRole("article").getByRole("alert")).toContainText(/at most \d+/);
  await send(page, "Short");
  await waitIdle(page);
  await expect(page.getByTestId("timings").last()).toContainText("4 tokens");
});

test("without WebGPU the page says so, and WebAssembly works", async ({ page }) => {
  await openChat(page, "family=tiny&variant=attn50&provider=webgpu");
  await expect(slot(page, "a").getByRole("alert")).toContainText("WebGPU");
  await page.getByText("Auto", { exact: true }).click();
  await waitReady(page);
  await expect(page.getByTestId("runs-on")).toContainText("WebAssembly");
});

test("a fetch without network is said with what to do, and the page goes on", async ({ page }) => {
  test.setTimeout(180_000);
  await openChat(page, "family=tiny-to-fetch");
  await page.getByTestId("fetch").first().getByRole("button", { name: "Fetch them" }).click();
  await expect(page.getByTestId("fetch").first().getByRole("alert")).toContainText(/cannot be reached|Python|could not be/, { timeout: 120_000 });
  await expectWorking(page);
});
