/** The explorer's patterns and what they cost, on the family that ships. */
import { readFile } from "node:fs/promises";
import { expect, test, type Page } from "@playwright/test";
import { cell, computedFrom, dragCells, expectMamba, loaded, mambaLayers, meanOf, openExplorer, preset, settled, tokenRecords, total } from "./explorer";
import { keepScreenshot, slot, waitReady } from "./lab";

test.beforeEach(({}, { project }) => {
  test.skip(project.name !== "wasm", "one smoke test covers the other provider");
});

const ownText = (page: Page) => page.getByLabel("The text that is measured");
const sentence = "Tom had a big red ball. He threw the ball over the wall, and a dog ran after it.";

test("layers are painted by click, drag and keyboard, set by presets, and taken back; the address keeps them", async ({ page }, info) => {
  test.setTimeout(180_000);
  await openExplorer(page);
  const strip = page.getByTestId("strip-a");
  await expectMamba(page, "2 4 5 7");
  await expect(strip).toContainText("is the shipped variant “50% attention”");
  await expect(strip.getByRole("link", { name: "Open in chat" })).toHaveAttribute("href", "/chat?family=stories&variant=attn50&provider=wasm");

  await test.step("click", async () => {
    await cell(page, 0).click();
    await expectMamba(page, "0 2 4 5 7");
    await expect(strip).toContainText("3 of 8 attention");
    await expect(strip.getByRole("link")).toHaveCount(0);
    await cell(page, 0).click();
    await expectMamba(page, "2 4 5 7");
  });
  await test.step("drag, in both directions", async () => {
    await dragCells(page, 1, 3);
    await expectMamba(page, "1 2 3 4 5 7");
    await dragCells(page, 5, 1);
    await expectMamba(page, "7");
  });
  await test.step("keyboard", async () => {
    await cell(page, 1).focus();
    for (const key of ["Home", "ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight", "Space"]) await page.keyboard.press(key);
    await expectMamba(page, "1 2 3 7");
    for (const key of ["End", "Enter"]) await page.keyboard.press(key);
    await expectMamba(page, "1 2 3");
    await expect(cell(page, 7)).toBeFocused();
    for (const key of ["Control+a", "Space"]) await page.keyboard.press(key);
    await expectMamba(page, "0 1 2 3 4 5 6 7");
  });
  await test.step("undo and redo, by button and by key", async () => {
    await page.getByRole("button", { name: /^Undo/ }).click();
    await expectMamba(page, "1 2 3");
    await page.keyboard.press("Control+z");
    await expectMamba(page, "1 2 3 7");
    await page.keyboard.press("Control+Shift+z");
    await page.getByRole("button", { name: /^Redo/ }).click();
    await expectMamba(page, "0 1 2 3 4 5 6 7");
    await expect(page.getByRole("button", { name: /^Redo/ })).toBeDisabled();
  });
  await test.step("presets", async () => {
    for (const [place, share, layers] of [
      ["Interleaved", "50%", "1 3 5 7"],
      ["Interleaved", "25%", "1 2 3 5 6 7"],
      ["Interleaved", "12.5%", "1 2 3 4 5 6 7"],
      ["First layers", "25%", "2 3 4 5 6 7"],
      ["Last layers", "50%", "0 1 2 3"],
      ["Last layers", "0%", "0 1 2 3 4 5 6 7"],
      ["Last layers", "100%", ""],
    ] as const) {
      await preset(page, share, place);
      await expectMamba(page, layers);
      await expect(page.getByRole("button", { name: share, exact: true })).toHaveAttribute("aria-pressed", "true");
    }
    await expect(strip).toContainText("is the shipped variant “Teacher (100% attention)”");
    expect(await total(page, "KL a token")).toBeLessThan(1e-6);
    expect(await total(page, "Same likeliest token")).toBe(100);
  });
  await test.step("the mixer set of one layer", async () => {
    await cell(page, 4).click();
    const choice = strip.getByRole("combobox");
    await expect(choice).toHaveValue("mamba2:aligned");
    await choice.selectOption("mamba2:attn50");
    await expect(page).toHaveURL(/a=a4\.m~attn50\.a3(&|$)/);
    await expect(cell(page, 4)).toHaveAttribute("title", /Mamba-2, set attn50/);
  });
  await keepScreenshot(page, info, "strip");
  const cost = await total(page, "KL a token");
  await page.reload();
  await loaded(page);
  await expectMamba(page, "4");
  expect(await total(page, "KL a token")).toBe(cost);

  const link = page.getByRole("combobox", { name: "Shipped variant" });
  await link.selectOption({ label: "50% attention" });
  await strip.getByRole("link", { name: "Open in chat" }).click();
  await expect(page).toHaveURL(/\/chat\?.*variant=attn50/);
  await waitReady(page);
  await expect(slot(page, "a").getByRole("img")).toHaveAttribute("aria-label", "8 layers: 4 attention, 4 Mamba");
});

test("a change is computed from its first layer on, and gives the same numbers again", async ({ page }, info) => {
  await openExplorer(page, "a=a8");
  await cell(page, 6).click();
  expect(await computedFrom(page)).toBe(6);
  const late = await total(page, "KL a token");
  expect(late).toBeGreaterThan(0);
  await cell(page, 2).click();
  expect(await computedFrom(page)).toBe(2);
  const both = await total(page, "KL a token");
  expect(both).toBeGreaterThan(late);
  await page.keyboard.press("Control+z");
  await expectMamba(page, "6");
  expect(await total(page, "KL a token")).toBe(late);
  await keepScreenshot(page, info, "cost");
});

test("costs are the trainer's, on a text of one's own, in total and token by token", async ({ page }, info) => {
  test.setTimeout(180_000);
  type Case = { layers: string[]; kl: number; agreement: number; perplexity: number; teacher_perplexity: number; perplexity_ratio: number; tokens: number };
  const fixture = new URL("../lib/inference/probe/fixtures/stories.json", import.meta.url);
  const { text, tokens, cases } = JSON.parse(await readFile(fixture, "utf8")) as { text: string; tokens: number[]; cases: Case[] };

  await openExplorer(page);
  await ownText(page).fill(text);
  await expect(page.getByTestId("token-count")).toHaveText(`${tokens.length} tokens`);
  expect(cases.length).toBeGreaterThan(2);
  for (const { layers, ...expected } of cases) {
    for (const [layer, spec] of layers.entries()) {
      await cell(page, layer).focus();
      await expect(cell(page, layer)).toHaveAttribute("aria-current", "true");
      await page.getByTestId("strip-a").getByRole("combobox").selectOption(spec);
    }
    const records = await tokenRecords(page);
    expect(records.map(({ token_id }) => Number(token_id))).toEqual(tokens);
    expect(records.map(({ token }) => token).join("")).toContain(text);
    expect(Math.abs(meanOf(records, "a_kl_nat") - expected.kl)).toBeLessThan(1e-3);
    expect(Math.abs(meanOf(records, "a_same_likeliest") - expected.agreement)).toBeLessThan(1.5 / expected.tokens);
    expect(Math.exp(-meanOf(records, "a_log_probability")) / expected.perplexity).toBeCloseTo(1, 3);
    expect(Math.exp(-meanOf(records, "teacher_log_probability")) / expected.teacher_perplexity).toBeCloseTo(1, 3);
    // The totals are the same numbers, as far as their digits go.
    expect(await total(page, "Positions")).toBe(expected.tokens);
    expect(Math.abs((await total(page, "KL a token")) - expected.kl)).toBeLessThan(1e-3);
    expect(Math.abs((await total(page, "Over the teacher's")) - expected.perplexity_ratio)).toBeLessThan(2e-3);
    expect(Math.abs((await total(page, "Perplexity")) / expected.perplexity - 1)).toBeLessThan(5e-3);
    expect(Math.abs((await total(page, "Same likeliest token")) / 100 - expected.agreement)).toBeLessThan(1.5 / expected.tokens);
  }
  await keepScreenshot(page, info, "trainer");
});

test("tokens are coloured by their KL and show both models' likeliest five", async ({ page }, info) => {
  await openExplorer(page);
  const records = await tokenRecords(page);
  const kl = records.map((record) => Number(record.a_kl_nat));
  const [worst, best] = [kl.indexOf(Math.max(...kl)), kl.indexOf(Math.min(...kl))];
  const tokens = page.getByRole("listbox", { name: /Tokens of the text/ });
  const token = (position: number) => tokens.locator(`[data-token="${position}"]`);
  const shade = (position: number) => token(position).evaluate((element) => getComputedStyle(element).backgroundColor);
  const opacity = async (position: number) => Number(/(?:\/|rgba.*,)\s*([\d.]+)\)$/.exec(await shade(position))?.[1] ?? 1);
  expect(await opacity(worst)).toBeGreaterThan((await opacity(best)) + 0.5);
  const differs = records.findIndex((record) => record.a_same_likeliest === "0");
  await expect(token(differs)).toHaveCSS("text-decoration-line", "underline");

  const detail = page.getByTestId("token-detail");
  await token(worst).hover();
  await expect(detail).toContainText(`Position ${worst}`);
  await expect(detail.getByRole("table")).toHaveCount(2);
  for (const [index, name] of (["teacher", "a"] as const).entries()) {
    const rows = detail.getByRole("table").nth(index).getByRole("row");
    await expect(rows).toHaveCount(5);
    const shares = await Promise.all([0, 1, 2, 3, 4].map(async (rank) => Number.parseFloat((await rows.nth(rank).getByRole("cell").innerText()).replace("<", ""))));
    expect(shares).toEqual([...shares].sort((one, other) => other - one));
    expect(Math.abs((shares[0] ?? 0) / 100 - Number(records[worst]?.[`${name}_top1_probability`]))).toBeLessThan(0.006);
  }
  await expect(detail).toContainText(/Hybrid · KL [\d.]+ nat/);
  await keepScreenshot(page, info, "tokens");

  await tokens.focus();
  for (const key of ["Home", "ArrowRight", "ArrowRight"]) await page.keyboard.press(key);
  await expect(detail).toContainText("Position 2");
  await expect(tokens).toHaveAttribute("aria-activedescendant", "token-2");
});

test("texts are samples, written, opened from a file, and shared in the link", async ({ page, context }, info) => {
  test.setTimeout(180_000);
  await openExplorer(page);
  const first = await total(page, "Perplexity");
  await page.getByLabel("Text", { exact: true }).selectOption("code");
  await expect.poll(() => total(page, "Perplexity")).not.toBe(first);
  await expect(page).toHaveURL(/sample=code/);

  await ownText(page).fill(sentence);
  await expect(page.getByTestId("token-count")).toHaveText(/^\d\d tokens$/);
  await expect(page).toHaveURL(/text=/);
  const own = await total(page, "Perplexity");

  const file = page.getByLabel("Open a text file");
  await file.setInputFiles({ name: "notes.md", mimeType: "text/markdown", buffer: Buffer.from("Once there was a cat.\r\nThe cat was kind.") });
  await expect(ownText(page)).toHaveValue("Once there was a cat.\nThe cat was kind.");
  await expect(page.getByLabel("Text", { exact: true }).locator("option:checked")).toHaveText("Own: notes.md");
  await expect.poll(() => total(page, "Perplexity")).not.toBe(own);
  await file.setInputFiles({ name: "photo.png", mimeType: "image/png", buffer: Buffer.from([137, 80, 78, 71]) });
  await expect(page.getByText("“photo.png” is not a .txt or .md file.").or(page.getByText('"photo.png" is not a .txt or .md file.'))).toBeVisible();
  await keepScreenshot(page, info, "text");

  await ownText(page).fill(sentence);
  await expect.poll(() => total(page, "Perplexity")).toBe(own);
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.getByRole("button", { name: "Copy a link to this view" }).click();
  await expect(page.getByText("Copied", { exact: true })).toBeAttached();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  await page.evaluate(() => localStorage.clear());
  await page.goto("about:blank");
  await page.goto(link);
  await loaded(page);
  await expect(ownText(page)).toHaveValue(sentence);
  expect(await total(page, "Perplexity")).toBe(own);

  await page.getByRole("button", { name: "Clear", exact: true }).click();
  await expect(ownText(page)).toHaveValue("");
  await ownText(page).fill(`${sentence} `.repeat(150));
  await expect(page.getByText(/The text is longer than 1\s024 tokens: the last [\d\s]+ are left out/)).toBeVisible({ timeout: 60_000 });
});

test("a computation and a sweep show their progress, stop when asked, and go on", async ({ page }, info) => {
  test.setTimeout(180_000);
  await openExplorer(page);
  await ownText(page).fill(`${sentence} `.repeat(60));
  await expect(page.getByTestId("token-count")).toHaveText(/^1\s\d\d\d tokens$/);
  await settled(page);
  const sweep = page.getByTestId("sweep");
  await expect(sweep.getByRole("progressbar")).toBeVisible();
  await sweep.getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByText("The sweep was stopped.")).toBeVisible();
  await expect(sweep).toHaveCount(0);

  const before = await total(page, "KL a token");
  const working = page.getByTestId("working");
  await cell(page, 0).click();
  await expect(working.getByRole("progressbar")).toBeVisible();
  await working.getByRole("button", { name: "Cancel" }).click();
  const stopped = page.getByText("The comparison of A was stopped.");
  await expect(stopped).toBeVisible();
  await expect(page.getByTestId("totals")).toHaveAttribute("aria-busy", "true");
  await keepScreenshot(page, info, "stopped");
  await page.getByRole("region", { name: "Cost", exact: true }).getByRole("button", { name: "Go on" }).click();
  await expect(stopped).toHaveCount(0);
  expect(await total(page, "KL a token")).not.toBe(before);

  await page.getByRole("region", { name: "Layers", exact: true }).getByRole("button", { name: "Go on" }).click();
  await expect(sweep).toBeVisible();
  // A change meanwhile comes first, and the sweep ends after it.
  await cell(page, 0).click();
  expect(await total(page, "KL a token")).toBe(before);
  await expect(sweep).toHaveCount(0, { timeout: 60_000 });
  await expect(cell(page, 7)).toHaveAttribute("title", /Sensitivity: [\d.]+/);
});

test("two patterns are compared, saved, renamed, loaded and deleted", async ({ page }, info) => {
  await openExplorer(page);
  await page.getByRole("button", { name: "Compare A/B" }).click();
  await expectMamba(page, "2 4 5 7", "b");
  await preset(page, "0%");
  await expectMamba(page, "0 1 2 3 4 5 6 7", "b");
  await expectMamba(page, "2 4 5 7", "a");
  await settled(page);
  const row = page.getByTestId("totals").getByRole("row", { name: /^KL a token/ });
  const values = async () => (await row.getByRole("cell").allInnerTexts()).map((text) => Number(text.replace("−", "-").replace("+", "")));
  await expect.poll(async () => (await values()).every(Number.isFinite)).toBe(true);
  const [a = 0, b = 0, difference = 0] = await values();
  expect(b).toBeGreaterThan(a);
  expect(Math.abs(b - a - difference)).toBeLessThan(2e-3);
  const records = await tokenRecords(page);
  expect(Math.abs(meanOf(records, "a_kl_nat") - a)).toBeLessThan(1e-3);
  expect(Math.abs(meanOf(records, "b_kl_nat") - b)).toBeLessThan(1e-3);
  await page.getByText("B − A", { exact: true }).last().click();
  await page.getByRole("listbox", { name: /Tokens of the text/ }).locator('[data-token="5"]').hover();
  await expect(page.getByTestId("token-detail").getByRole("table")).toHaveCount(3);
  await keepScreenshot(page, info, "ab");

  await page.getByLabel("Name of the configuration").fill("Half and none");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("button", { name: "Rename Half and none" }).click();
  await page.getByLabel("New name of Half and none").fill("Half against none");
  await page.keyboard.press("Enter");

  await page.getByRole("button", { name: "Swap A and B" }).click();
  await expectMamba(page, "2 4 5 7", "b");
  await expect.poll(async () => (await values())[0]).toBe(b);
  await page.getByRole("button", { name: "End A/B" }).click();
  await expect(page.getByTestId("strip-b")).toHaveCount(0);
  await page.reload();
  await loaded(page);
  await expectMamba(page, "0 1 2 3 4 5 6 7");
  await page.getByRole("button", { name: "Half against none", exact: true }).click();
  await expectMamba(page, "2 4 5 7", "a");
  await expectMamba(page, "0 1 2 3 4 5 6 7", "b");
  await expect(page).toHaveURL(/b=m8~aligned/);
  await page.getByRole("button", { name: "Delete Half against none" }).click();
  await expect(page.getByRole("button", { name: "Half against none", exact: true })).toHaveCount(0);
  await page.getByRole("button", { name: "Put it back" }).click();
  await expect(page.getByRole("button", { name: "Half against none", exact: true })).toBeVisible();
});

test("an address that cannot be read is told part by part, and the rest is shown", async ({ page }, info) => {
  await page.goto("/explore?family=stories&provider=wasm&a=a4.q4&b=a30&layer=99&tab=sideways&set=none&text=%21");
  await loaded(page);
  const notice = page.getByRole("alert").or(page.getByRole("status")).filter({ hasText: "could not be used" });
  for (const part of ['Pattern A, "a4.q4", cannot be read at character 4', "it has 30 layers, and the model 8", "no layer 99", '"tab=sideways" is not one of', 'no mixer set "none"', '"text=!" is not a whole text']) {
    await expect(page.getByText(part)).toBeVisible();
  }
  await keepScreenshot(page, info, "unreadable");
  await expectMamba(page, "2 4 5 7");
  await expect(page).toHaveURL(/a=a4\.q4/);
  await page.getByRole("button", { name: "Close" }).click();
  await expect(notice).toHaveCount(0);
  await expect(page).toHaveURL(/a=a2\.m~attn50/);

  await page.goto("/explore?family=nothing&provider=wasm");
  await expect(page.getByText('There is no family "nothing" here')).toBeVisible();
  await expect.poll(() => mambaLayers(page)).toBe("2 4 5 7");
});
