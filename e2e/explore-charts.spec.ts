/** The explorer's charts: each layer, inside a layer, and what a pattern buys. */
import { expect, test } from "@playwright/test";
import { cell, chart, expectMamba, exportAll, exportChart, openExplorer, pixelsOf, preset, settled, total } from "./explorer";
import { keepScreenshot, parseCsv } from "./lab";

test.beforeEach(({}, { project }) => {
  test.skip(project.name !== "wasm", "one smoke test covers the other provider");
});

test("each layer's distance and sensitivity are swept, sorted, and choose the best layers", async ({ page }, info) => {
  test.setTimeout(180_000);
  await openExplorer(page, "a=a4.m~aligned.a3&tab=layers");
  const alone = await total(page, "KL a token");
  const list = page.getByRole("region", { name: "List of layers" });
  const column = async (index: number) => (await list.locator(`tbody td:nth-of-type(${index})`).allInnerTexts()).map((text) => Number(text.replace("−", "-")));
  await expect.poll(async () => [...(await column(1)), ...(await column(3)), ...(await column(4))].every(Number.isFinite), { timeout: 60_000 }).toBe(true);
  await expect(page.getByTestId("sweep")).toHaveCount(0);

  await test.step("values", async () => {
    const sensitivity = await column(1);
    // The sweep's number of a layer is the cost of the pattern that replaces this layer alone.
    expect(sensitivity[4]).toBe(alone);
    for (const share of await column(2)) expect(share).toBeLessThanOrEqual(100);
    for (const error of await column(3)) expect(error).toBeGreaterThan(0);
    for (const cosine of await column(4)) expect(Math.abs(cosine)).toBeLessThanOrEqual(1);
    await expect(cell(page, 4)).toHaveAttribute("title", new RegExp(`Sensitivity: ${alone}`));
    await page.getByRole("group", { name: "Bars over the layers" }).getByRole("button", { name: "Cosine" }).click();
    await expect(cell(page, 4)).toHaveAttribute("title", new RegExp(`Cosine: ${(await column(4))[4]}`));
  });
  let ranked: string[] = [];
  await test.step("sorting", async () => {
    const heading = list.getByRole("columnheader", { name: /Sensitivity/ });
    await heading.getByRole("button").click();
    await expect(heading).toHaveAttribute("aria-sort", "descending");
    const values = await column(1);
    expect(values).toEqual([...values].sort((one, other) => other - one));
    ranked = (await list.locator("tbody th").allInnerTexts()).map((text) => text.trim());
    await heading.getByRole("button").click();
    await expect(heading).toHaveAttribute("aria-sort", "ascending");
    expect((await list.locator("tbody th").allInnerTexts()).map((text) => text.trim())).toEqual(ranked.toReversed());
    await expect(page.getByRole("listbox", { name: "Sensitivity" }).getByRole("option").first()).toHaveAttribute("aria-label", new RegExp(`^Layer ${ranked.at(-1)},`));
  });
  await test.step("the best layers keep their attention", async () => {
    await preset(page, "25%", "Most sensitive layers");
    const kept = ranked.slice(0, 2);
    await expectMamba(page, [0, 1, 2, 3, 4, 5, 6, 7].filter((layer) => !kept.includes(String(layer))).join(" "));
    await settled(page);
  });
  await test.step("a layer is chosen and replaced in the list", async () => {
    await list.getByRole("button", { name: "Select layer 2" }).click();
    await expect(cell(page, 2)).toHaveAttribute("aria-current", "true");
    const before = await cell(page, 2).getAttribute("aria-pressed");
    await list.getByRole("row").filter({ has: page.getByRole("button", { name: "Select layer 2" }) }).getByTitle(/Replace the layer/).click();
    await expect(cell(page, 2)).toHaveAttribute("aria-pressed", before === "true" ? "false" : "true");
  });
  const { records } = await exportAll(page, chart(page, /^Each layer/));
  expect(records).toHaveLength(8);
  await keepScreenshot(page, info, "layers");
});

test("inside a layer, both matrices are drawn, read cell by cell, and zoomed", async ({ page }, info) => {
  test.setTimeout(180_000);
  await openExplorer(page, "tab=inside&layer=3");
  const figures = [chart(page, /^Attention, head 0/), chart(page, /^Mamba-2 matrix, head 0/)] as const;
  const [attention, mamba] = figures.map((figure) => figure.locator("canvas[data-plot]"));
  if (!attention || !mamba) throw new Error("There are two maps.");
  for (const map of [attention, mamba]) {
    await expect(map).toBeVisible({ timeout: 60_000 });
    await expect.poll(async () => (await pixelsOf(map)).colours).toBeGreaterThan(16);
    const { side, above, below } = await pixelsOf(map);
    expect(side).toBeGreaterThan(200);
    expect(above, "a causal matrix has nothing above its diagonal").toBe(0);
    expect(below).toBeGreaterThan(0.02);
  }
  await expect(page.getByRole("radio", { name: /^Head \d/ })).toHaveCount(4);
  await keepScreenshot(page, info, "inside");

  const { records: cells, svg } = await exportAll(page, figures[0]);
  expect(svg).toContain("data:image/png;base64,");
  const size = Number(cells.at(-1)?.target) + 1;
  expect(cells).toHaveLength((size * (size + 1)) / 2);
  const rows = new Map<string, number>();
  for (const { target = "", attention: weight } of cells) rows.set(target, (rows.get(target) ?? 0) + Number(weight));
  for (const sum of rows.values()) expect(sum).toBeCloseTo(1, 4);
  expect(cells.some(({ mamba2 }) => Number(mamba2) < 0)).toBe(true);

  await test.step("a cell is read by pointer and by key", async () => {
    const map = figures[1].getByRole("application");
    await map.scrollIntoViewIfNeeded();
    const box = await map.boundingBox();
    if (!box) throw new Error("The map is not laid out.");
    await page.mouse.move(box.x + box.width * 0.3, box.y + box.height * 0.7);
    const readout = page.locator("p").filter({ hasText: /^target.*source.*attention.*Mamba-2/s });
    const [row, column] = [Math.floor(0.7 * size), Math.floor(0.3 * size)];
    const expected = cells.find(({ target, source }) => Number(target) === row && Number(source) === column);
    await expect(readout).toContainText(String(row));
    await expect(readout).toContainText(String(column));
    const shown = [...(await readout.innerText()).replaceAll("−", "-").matchAll(/(?:attention|Mamba-2)\s+(-?[\d.]+(?:e-?\d+)?)/g)].map(([, value]) => Number(value));
    expect(shown).toHaveLength(2);
    for (const [index, value] of [Number(expected?.attention), Number(expected?.mamba2)].entries()) {
      expect(Math.abs((shown[index] ?? Number.NaN) - value)).toBeLessThanOrEqual(0.051 * Math.abs(value) + 1e-9);
    }
    await map.focus();
    await page.keyboard.press("ArrowDown");
    await expect(readout).toContainText(String(row + 1));
    await expect(figures[1].getByText(new RegExp(`^Target .*\\(${row + 1}\\), source .*\\(${column}\\)`))).toBeAttached();
  });
  await test.step("zoom by button, key and wheel moves both maps", async () => {
    const whole = [await pixelsOf(attention), await pixelsOf(mamba)].map(({ print }) => print);
    await page.getByRole("button", { name: "Zoom in" }).click();
    await expect.poll(async () => (await pixelsOf(attention)).print).not.toBe(whole[0]);
    await expect.poll(async () => (await pixelsOf(mamba)).print).not.toBe(whole[1]);
    await page.getByRole("button", { name: "Whole", exact: true }).click();
    await expect.poll(async () => (await pixelsOf(attention)).print).toBe(whole[0]);
    await figures[0].getByRole("application").focus();
    for (let press = 0; press < 4; press++) await page.keyboard.press("+");
    await expect.poll(async () => (await pixelsOf(mamba)).print).not.toBe(whole[1]);
    await keepScreenshot(page, info, "zoomed");
    await page.keyboard.press("0");
    await expect.poll(async () => (await pixelsOf(mamba)).print).toBe(whole[1]);
    await figures[0].getByRole("application").hover();
    await page.mouse.wheel(0, -400);
    await expect.poll(async () => (await pixelsOf(attention)).print).not.toBe(whole[0]);
    await page.keyboard.press("0");
  });
  await test.step("another head, scale and layer", async () => {
    const before = (await pixelsOf(attention)).print;
    await page.getByText("Linear", { exact: true }).click();
    await expect.poll(async () => (await pixelsOf(attention)).print).not.toBe(before);
    await page.getByRole("radio", { name: /^Head 2/ }).check({ force: true });
    await expect(chart(page, /^Attention, head 2/)).toBeVisible();
    const decay = parseCsv((await exportChart(page, chart(page, /^Decay/), "CSV table")).bytes.toString("utf8"));
    expect(decay).toHaveLength(size);
    for (const { "head 2": kept } of decay) {
      expect(Number(kept)).toBeGreaterThanOrEqual(0);
      expect(Number(kept)).toBeLessThanOrEqual(1);
    }
    const norms = await exportAll(page, chart(page, /^State norm/));
    for (const { "head 0": norm } of norms.records) expect(Number(norm)).toBeGreaterThan(0);
    await cell(page, 6).focus();
    await expect(page.getByRole("application", { name: "Attention map of layer 6, head 2" })).toBeVisible();
    await expect(page).toHaveURL(/head=2/);
  });
});

test("what it buys: memory, arithmetic, measured speed, and quality beside reported figures", async ({ page }, info) => {
  test.setTimeout(240_000);
  await openExplorer(page, "a=a2.m~attn50.a.m2~attn50.a.m~attn50&tab=benefit");
  const figure = (title: string) => chart(page, new RegExp(`^${title}`));
  const speed = figure("Decoding speed on this device");
  await speed.getByRole("button", { name: "Measure on this device" }).click();
  await expect(speed.getByRole("progressbar")).toBeVisible();

  await test.step("memory and arithmetic against context", async () => {
    const { records } = await exportAll(page, figure("Memory of the context"));
    const teacherBytes = 8 * 2 * 2 * 64 * 4; // layers, keys and values, heads, their size, float32
    for (const record of records) expect(Number(record.Teacher)).toBe(Number(record["context, tokens"]) * teacherBytes);
    const [first, last] = [records[0], records.at(-1)];
    expect(Number(first?.["This hybrid"])).toBeGreaterThan(Number(first?.Teacher));
    expect(Number(last?.["This hybrid"]) / Number(last?.Teacher)).toBeLessThan(0.51);
    await expect(figure("Memory of the context")).toContainText("your text");
    await expect(figure("Memory of the context")).toContainText(/takes less memory than the teacher from [\d\s]+ tokens on/);
    const flops = parseCsv((await exportChart(page, figure("Arithmetic a token"), "CSV table")).bytes.toString("utf8"));
    expect(Number(flops.at(-1)?.["This hybrid"])).toBeLessThan(Number(flops.at(-1)?.Teacher));
  });
  await test.step("recorded variants, own points and reported figures", async () => {
    const quality = figure("Quality against attention kept");
    await expect(quality).toContainText("Your patterns on your text");
    const { records } = await exportAll(page, quality);
    const names = new Set(records.map(({ series }) => series));
    expect([...names].some((name) => name?.startsWith("Recorded variants on"))).toBe(true);
    const own = records.filter(({ series }) => series === "Your patterns on your text");
    expect(own.some((record) => Number(record["attention kept"]) === 0.5)).toBe(true);
    const reported = figure("Reported by others");
    await expect(reported.getByRole("link", { name: /Mamba in the Llama/ })).toHaveAttribute("href", "https://arxiv.org/abs/2408.15237");
    const { records: figures } = await exportAll(page, reported);
    for (const { source } of figures) expect(source).toContain("2408.15237");
    await reported.getByText("MMLU", { exact: true }).click();
    await expect(reported).toContainText("% correct");
  });
  await test.step("decoding speed, measured here", async () => {
    await expect(speed.getByRole("button", { name: "Measure again" })).toBeVisible({ timeout: 180_000 });
    await expect(speed.getByRole("alert")).toHaveCount(0);
    const { records } = await exportAll(page, speed);
    expect(records.map((record) => `${record.model} ${record["context, tokens"]}`).sort()).toEqual(["Teacher 1024", "Teacher 256", "Teacher 64", "This hybrid 1024", "This hybrid 256", "This hybrid 64"]);
    for (const record of records) {
      expect(Number(record["tokens/s"])).toBeGreaterThan(0);
      expect(record.device).toContain("WebAssembly");
    }
  });
  await page.setViewportSize({ width: 1280, height: 2000 });
  await keepScreenshot(page, info, "benefit");
});
