import { expect, test } from "@playwright/test";
import { openChat, send, slot, waitIdle, waitReady } from "./lab";

test("a second visit loads from the browser's own storage, and the models page can empty it", async ({ page }) => {
  await openChat(page, "family=tiny&variant=attn50&provider=wasm");
  await waitReady(page);

  let asked = 0;
  await page.route("**/*.safetensors*", (route) => {
    asked += 1;
    return route.abort();
  });
  await page.reload();
  await waitReady(page);
  expect(asked).toBe(0);

  await page.goto("/models");
  await expect(page.getByRole("cell", { name: /safetensors/ }).first()).toBeVisible();
  await page.getByRole("button", { name: "Delete all" }).click();
  await expect(page.getByText("No weights are kept here yet")).toBeVisible();
});

test("with the browser's storage full, a model loads all the same and says that it is not kept", async ({ page, baseURL }) => {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Storage.overrideQuotaForOrigin", { origin: new URL(baseURL ?? "").origin, quotaSize: 1000 });
  await openChat(page, "family=tiny&variant=attn50&provider=wasm");
  await waitReady(page);
  await expect(slot(page, "a").getByRole("status").filter({ hasText: "no room" })).toBeVisible();
  await send(page, "Once upon a time");
  await waitIdle(page);
  await expect(page.getByTestId("timings").last()).toContainText("tokens");
});

test("a load can be cancelled and begun again", async ({ page }) => {
  await page.route("**/*.safetensors*", async (route) => {
    await new Promise((done) => setTimeout(done, 20_000));
    await route.continue().catch(() => undefined);
  });
  await openChat(page, "family=tiny&variant=attn50&provider=wasm");
  await slot(page, "a").getByRole("button", { name: "Cancel" }).click();
  await expect(slot(page, "a")).toHaveAttribute("data-status", "empty");
  await page.unroute("**/*.safetensors*");
  await slot(page, "a").getByRole("button", { name: "Load", exact: true }).click();
  await waitReady(page);
});
