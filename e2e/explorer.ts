/** What the explorer's tests do over and over, in the visitor's terms. */
import { expect, type Locator, type Page } from "@playwright/test";
import { downloaded, parseCsv } from "./lab";

/** Opens the explorer on `stories` and waits until its model is loaded and its numbers are there. */
export async function openExplorer(page: Page, query = ""): Promise<void> {
  await page.goto(`/explore?family=stories&provider=wasm${query && `&${query}`}`);
  await loaded(page);
  await settled(page);
}

export async function loaded(page: Page): Promise<void> {
  await expect(page.getByTestId("probe")).toHaveAttribute("data-status", "ready", { timeout: 60_000 });
}

/** Waits until the costs that are shown are those of the patterns that are shown. */
export async function settled(page: Page): Promise<void> {
  await expect(page.getByTestId("computed")).toBeVisible({ timeout: 60_000 });
}

/** The first layer that the last comparison computed again, by the page's own account. */
export async function computedFrom(page: Page): Promise<number> {
  await settled(page);
  return Number(/from layer (\d+)/.exec(await page.getByTestId("computed").innerText())?.[1] ?? Number.NaN);
}

export function cell(page: Page, layer: number, slot: "a" | "b" = "a"): Locator {
  return page.getByTestId(`strip-${slot}`).locator(`[data-layer="${layer}"]`);
}

/** The layers that are Mamba in a strip, such as `1 3 5 7`. */
export async function mambaLayers(page: Page, slot: "a" | "b" = "a"): Promise<string> {
  const pressed = await page.getByTestId(`strip-${slot}`).locator('[data-layer][aria-pressed="true"]').all();
  return (await Promise.all(pressed.map((layer) => layer.getAttribute("data-layer")))).join(" ");
}

export async function expectMamba(page: Page, layers: string, slot: "a" | "b" = "a"): Promise<void> {
  await expect.poll(() => mambaLayers(page, slot)).toBe(layers);
}

/** Presses on one cell and releases on another. */
export async function dragCells(page: Page, from: number, to: number): Promise<void> {
  const [start, end] = [await cell(page, from).boundingBox(), await cell(page, to).boundingBox()];
  if (!start || !end) throw new Error("The strip is not laid out.");
  await page.mouse.move(start.x + start.width / 2, start.y + start.height / 2);
  await page.mouse.down();
  await page.mouse.move(end.x + end.width / 2, end.y + end.height / 2, { steps: 6 });
  await page.mouse.up();
}

/** How much attention to keep, such as `25%`, and where. */
export async function preset(page: Page, share: string, place?: string): Promise<void> {
  if (place) await page.getByLabel("Attention kept in").selectOption({ label: place });
  await page.getByRole("group", { name: "Attention kept", exact: true }).getByRole("button", { name: share, exact: true }).click();
}

/** A number among the totals of one pattern, such as `KL a token`. */
export async function total(page: Page, name: string): Promise<number> {
  await settled(page);
  const line = page.getByTestId("totals").locator("dl > div").filter({ has: page.getByText(name, { exact: true }) });
  return Number.parseFloat((await line.locator("dd").innerText()).replaceAll(",", ""));
}

/** What is shown token by token, at full precision: one record a position. */
export async function tokenRecords(page: Page): Promise<Record<string, string>[]> {
  await settled(page);
  const { name, bytes } = await downloaded(page, () => page.getByRole("tabpanel").getByRole("button", { name: "CSV", exact: true }).click());
  expect(name).toBe("stories-tokens.csv");
  return parseCsv(bytes.toString("utf8"));
}

/** A mean of a column over the positions that have a next token. */
export function meanOf(records: readonly Record<string, string>[], column: string): number {
  const values = records.slice(0, -1).map((record) => Number(record[column]));
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export async function openTab(page: Page, name: string | RegExp): Promise<void> {
  await page.getByRole("tab", { name }).click();
  await expect(page.getByRole("tab", { name })).toHaveAttribute("aria-selected", "true");
}

/** A chart of the page by its title. */
export function chart(page: Page, title: string | RegExp): Locator {
  return page.getByRole("figure", { name: title });
}

/** Saves a chart from its menu. */
export async function exportChart(page: Page, figure: Locator, format: "PNG image" | "SVG drawing" | "CSV table"): Promise<{ name: string; bytes: Buffer }> {
  await figure.locator("summary").click();
  return downloaded(page, () => figure.getByRole("button", { name: format }).click());
}

/** Saves a chart in all three formats, and checks that each is what it says. Returns the records of the CSV. */
export async function exportAll(page: Page, figure: Locator): Promise<{ records: Record<string, string>[]; svg: string }> {
  const png = await exportChart(page, figure, "PNG image");
  expect(png.name).toMatch(/^mambascope-[a-z0-9-]+\.png$/);
  expect(png.bytes.subarray(1, 4).toString()).toBe("PNG");
  const decoded = await page.evaluate(async (base64) => {
    const image = new Image();
    image.src = `data:image/png;base64,${base64}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    if (!context) throw new Error("The browser gave no canvas.");
    context.drawImage(image, 0, 0);
    const pixels = new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer);
    return { width: image.width, colours: new Set(pixels).size };
  }, png.bytes.toString("base64"));
  expect(decoded.width).toBeGreaterThan(300);
  expect(decoded.colours).toBeGreaterThan(8);

  const svg = (await exportChart(page, figure, "SVG drawing")).bytes.toString("utf8");
  const parsed = await page.evaluate((text) => {
    const document = new DOMParser().parseFromString(text, "image/svg+xml");
    return { root: document.documentElement.nodeName, drawn: document.querySelectorAll("path, rect, image, line, circle").length, unresolved: text.includes("var(--") };
  }, svg);
  expect(parsed.root).toBe("svg");
  expect(parsed.drawn).toBeGreaterThan(3);
  expect(parsed.unresolved, "colours that only the page knows").toBe(false);

  const csv = await exportChart(page, figure, "CSV table");
  expect(csv.name).toMatch(/\.csv$/);
  return { records: parseCsv(csv.bytes.toString("utf8")), svg };
}

/** What a map shows: how many colours, the shares of all pixels above and below the diagonal that differ from its upper right corner, and a hash of all. */
export function pixelsOf(canvas: Locator): Promise<{ side: number; colours: number; above: number; below: number; print: number }> {
  return canvas.evaluate((element) => {
    const { width, height } = element as HTMLCanvasElement;
    const context = (element as HTMLCanvasElement).getContext("2d");
    if (!context) throw new Error("The map is no canvas.");
    const pixels = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
    const corner = pixels[width - 1];
    let [above, below, print] = [0, 0, 0];
    for (const [index, pixel] of pixels.entries()) {
      const [x, y] = [index % width, Math.floor(index / width)];
      if (pixel !== corner && x > y + width / 16) above++;
      if (pixel !== corner && x < y - width / 16) below++;
      print = (Math.imul(print, 31) + pixel) | 0;
    }
    return { side: width, colours: new Set(pixels).size, above: above / pixels.length, below: below / pixels.length, print };
  });
}
