import { expect, test } from "@playwright/test";
import { openChat, waitReady } from "./lab";

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
