import { expect, test } from "@playwright/test";
import { overflow, violations, waitReady } from "./lab";

for (const scheme of ["light", "dark"] as const) {
  test(`pages are accessible, ${scheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    for (const address of ["/chat?family=tiny&variant=attn50&provider=wasm", "/models", "/explore", "/speculate", "/train"]) {
      await page.goto(address);
      if (address.startsWith("/chat")) await waitReady(page);
      else await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      if (address === "/models") await expect(page.getByRole("article").first()).toBeVisible();
      expect(await violations(page), address).toEqual([]);
    }
  });
}

test("the navigation reaches every page", async ({ page }) => {
  await page.goto("/");
  await expect(page).toHaveURL(/\/chat/);
  await page.getByRole("link", { name: "Speculate", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Speculate" })).toBeVisible();
  await page.getByRole("link", { name: "Train", exact: true }).click();
  await expect(page.getByRole("link", { name: "New run" })).toBeVisible();
  await page.getByRole("link", { name: "Explore", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: "Explore" })).toBeVisible();
  await page.getByRole("link", { name: "Models", exact: true }).click();
  await expect(page.getByRole("article", { name: "Tiny", exact: true })).toBeVisible();
});

test("the chosen theme is there at the first paint of the next visit", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "light" });
  await page.goto("/explore");
  await page.getByRole("radio", { name: "Dark" }).click();
  await page.goto("/train", { waitUntil: "commit" });
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.getByRole("radio", { name: "Follow the system" }).click();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "light");
});

test("pages are cross-origin isolated and fit a phone", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  for (const address of ["/chat?family=tiny&variant=attn50&provider=wasm", "/models", "/explore"]) {
    await page.goto(address);
    await expect(page.getByRole("navigation", { name: "Pages" })).toBeVisible();
    expect(await page.evaluate(() => crossOriginIsolated)).toBe(true);
    await expect.poll(() => overflow(page)).toBeLessThanOrEqual(0);
  }
});

test("a bundle's files are served by ranges, and nothing outside is", async ({ request }) => {
  const file = "/bundles/tiny/base-00001-of-00001.safetensors";
  const whole = await request.get(file);
  const bytes = await whole.body();
  expect(whole.headers()).toMatchObject({ "accept-ranges": "bytes", "cross-origin-resource-policy": "same-origin" });
  const etag = whole.headers()["etag"] ?? "";

  const part = await request.get(file, { headers: { Range: "bytes=100-199" } });
  expect(part.status()).toBe(206);
  expect(part.headers()["content-range"]).toBe(`bytes 100-199/${bytes.length}`);
  expect(await part.body()).toEqual(bytes.subarray(100, 200));

  const head = await request.head(file);
  expect([head.status(), head.headers()["etag"], (await head.body()).length]).toEqual([200, etag, 0]);
  expect((await request.get(file, { headers: { Range: `bytes=${bytes.length}-` } })).status()).toBe(416);
  expect((await request.get(file, { headers: { "If-None-Match": etag } })).status()).toBe(304);
  expect((await request.get(`${file}?v=${etag.slice(1, 17)}`)).headers()["cache-control"]).toContain("immutable");
  for (const outside of ["/bundles/tiny/..%2f..%2fpackage.json", "/bundles/..%2f..%2f/package.json", "/bundles/tiny/.hidden", "/bundles/tiny/%00"]) {
    expect((await request.get(outside)).status(), outside).toBeGreaterThanOrEqual(400);
  }
});

test("another site cannot start a fetch", async ({ request }) => {
  const answer = await request.post("/api/families/tiny-to-fetch/fetch", { headers: { Origin: "http://example.com" } });
  expect(answer.status()).toBe(403);
});

test("results are folded by file, opened, and found by words", async ({ page }) => {
  await page.goto("/models");
  const results = page.getByRole("region", { name: "Results" });
  const quality = results.getByRole("region", { name: "quality", exact: true });
  await expect(quality.getByText(/^\d+ measurements$/)).toBeVisible();
  await expect(results.getByRole("rowheader")).toHaveCount(0);
  await quality.getByRole("heading").click();
  await expect(quality.getByRole("rowheader").first()).toBeVisible();

  await page.getByLabel("Find in the results").fill("smollm2 attn50 ppl_ratio");
  await expect(quality.getByRole("rowheader").filter({ hasNotText: "quality.ppl_ratio" })).toHaveCount(0);
  await expect(quality.getByRole("row").filter({ hasText: "quality.ppl_ratio" }).first()).toContainText("attn50");
  await expect(results.getByRole("region", { name: "training", exact: true }).getByRole("rowheader")).toHaveCount(0);
  await page.getByLabel("Find in the results").fill("nothing of this name");
  await expect(results.getByText(/^0 of \d+$/).first()).toBeVisible();
  await expect(results.getByRole("rowheader")).toHaveCount(0);
});
