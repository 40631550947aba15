/** Runs, a run's page, comparing, nodes and the trash, on the runs that ship and on run directories in the home folder. */
import { readdir, readFile } from "node:fs/promises";
import { expect, test, type Page } from "@playwright/test";
import { exportAll, exportChart } from "./explorer";
import { keepScreenshot, overflow, violations } from "./lab";
import { dragOver, lossAt, openRun, openRuns, plot, row, runsShown } from "./training";

test.beforeEach(({}, { project }) => {
  test.skip(project.name !== "wasm", "does not depend on the provider");
});

const figure = (page: Page, title: string | RegExp) => page.getByRole("figure", { name: title });
const shippedMetrics = async (run: string) => {
  const text = await readFile(new URL(`../results/runs/${run}/metrics.jsonl`, import.meta.url), "utf8");
  return text.trim().split("\n").map((line) => JSON.parse(line) as Record<string, number | string>);
};

test("the runs that ship are listed read-only, beside those of this machine; they are searched, filtered and sorted", async ({ page }, info) => {
  await openRuns(page);
  const shipped = row(page, "stories-attn50");
  await expect(shipped).toContainText("Finished");
  await expect(shipped).toContainText("read-only");
  await expect(shipped.getByRole("img", { name: "8 layers: 4 attention, 4 Mamba" })).toBeVisible();
  await expect(shipped.getByRole("img", { name: /^Loss of stories-attn50/ })).toBeVisible();
  await expect(row(page, "with-samples")).toContainText("Stopped");
  await expect(row(page, "with-samples")).not.toContainText("read-only");
  await keepScreenshot(page, info, "runs");

  const methodOf = async (run: string): Promise<unknown> => (JSON.parse(await readFile(new URL(`../results/runs/${run}/config.json`, import.meta.url), "utf8")) as { method?: unknown }).method;
  const methods = await Promise.all((await readdir(new URL("../results/runs", import.meta.url))).map(async (name) => [name, await methodOf(name)] as const));
  const drafts = methods.filter(([name, method]) => name.startsWith("smollm2") && method === "draft").map(([name]) => name);
  expect(drafts.length).toBeGreaterThan(2);
  await page.getByLabel("Search").fill("smollm2 draft");
  await expect.poll(async () => (await runsShown(page)).sort()).toEqual(drafts.sort());
  await expect(page).toHaveURL(/search=smollm2(\+|%20)draft/);
  await page.reload();
  await expect.poll(() => runsShown(page)).toHaveLength(drafts.length);
  await page.getByLabel("Search").fill("nobody has this name");
  await page.getByRole("button", { name: "Show all runs" }).click();
  await page.getByLabel("State").selectOption("stopped");
  await expect.poll(async () => (await runsShown(page)).includes("stories-attn50")).toBe(false);
  await page.getByLabel("State").selectOption("any");

  await page.getByRole("button", { name: "KL or loss" }).click();
  await expect(page).toHaveURL(/sort=kl/);
  const values = await page.locator("tr[data-run] td:nth-child(6)").evaluateAll((cells) => cells.map((cell) => Number.parseFloat(cell.textContent.replace(/^(kl|loss) /, ""))));
  const known = values.filter(Number.isFinite);
  expect(known.length).toBeGreaterThan(10);
  expect(known).toEqual([...known].sort((a, b) => a - b));
});

test("curves show what the run wrote: axes, smoothing, zoom, cursor and export", async ({ page }, info) => {
  await openRun(page, "shipped", "ablation-replace-stepwise");
  const lines = await shippedMetrics("ablation-replace-stepwise");
  const kl = figure(page, "KL to the teacher");
  const charts = page.getByRole("group", { name: "Charts" });
  await test.step("numbers of the chart are the file's", async () => {
    const { records } = await exportAll(page, kl);
    const training = records.filter(({ line }) => line === "training");
    const wanted = lines.filter(({ kind }) => kind === "train");
    expect(training.map(({ step }) => Number(step))).toEqual(wanted.map(({ step }) => step));
    training.forEach((record, index) => expect(Number(record.value)).toBeCloseTo(Number(wanted[index]?.kl), 6));
    // Debiased: the first smoothed value is the first value.
    expect(Number(training[0]?.smoothed)).toBeCloseTo(Number(wanted[0]?.kl), 6);
    expect(Number(training[3]?.smoothed)).not.toBeCloseTo(Number(wanted[3]?.kl), 6);
  });
  await test.step("smoothing off, log, tokens", async () => {
    await page.getByRole("slider", { name: /^Smoothing/ }).fill("0");
    await expect(page).toHaveURL(/smooth=0/);
    const { bytes } = await exportChart(page, kl, "CSV table");
    expect(bytes.toString("utf8").split("\r\n")[1]?.split(",")[5]).toBe("");
    await charts.getByText("Log", { exact: true }).click();
    await expect(page).toHaveURL(/log=1/);
    await charts.getByText("Tokens", { exact: true }).click();
    await expect(kl).toContainText("tokens");
    await expect(page).toHaveURL(/axis=tokens/);
  });
  await test.step("the cursor reads every chart at one place", async () => {
    await plot(page, "KL to the teacher").hover({ position: { x: 200, y: 60 } });
    await expect(kl).toContainText(/training\s*0\.\d+/);
    const own = await plot(page, "KL to the teacher").locator("span.w-px").boundingBox();
    const other = await plot(page, "Gradient norm").locator("span.w-px").boundingBox();
    expect(Math.abs((own?.x ?? 0) - (other?.x ?? 0))).toBeLessThan(2);
  });
  await test.step("zoom by drag, in all charts at once, and back", async () => {
    await charts.getByText("Steps", { exact: true }).click();
    await dragOver(page, plot(page, "KL to the teacher"), 0.25, 0.5);
    await expect(page).toHaveURL(/zoom=1\d\d(\.\d+)?\.\.(29|30|31)\d/);
    await keepScreenshot(page, info, "zoomed");
    const address = page.url();
    await page.goto("about:blank");
    await page.goto(address);
    await page.getByRole("button", { name: "Show all" }).click();
    await expect(page).not.toHaveURL(/zoom=/);
  });
  await test.step("keys: read, zoom in, show all", async () => {
    await plot(page, "KL to the teacher").focus();
    for (const key of ["Home", "ArrowRight", "ArrowRight"]) await page.keyboard.press(key);
    await expect(kl).toContainText(/Step [1-9]\d*/);
    await page.keyboard.press("+");
    await expect(page).toHaveURL(/zoom=/);
    await page.keyboard.press("0");
    await expect(page).not.toHaveURL(/zoom=/);
  });
  await expect(figure(page, "Learning rate")).toContainText("attn25");
});

test("alignment is a map of layers and steps", async ({ page }, info) => {
  await openRun(page, "shipped", "smollm2-align");
  const map = figure(page, "Alignment, layer by layer");
  await map.scrollIntoViewIfNeeded();
  const colours = () => map.locator("canvas").evaluate((canvas: HTMLCanvasElement) => new Set(new Uint32Array(canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height).data.buffer ?? new ArrayBuffer(0))).size);
  await expect.poll(colours).toBeGreaterThan(50);
  await map.getByRole("application").hover({ position: { x: 300, y: 20 } });
  await expect(map).toContainText(/Layer [0-9]+, step \d+/);
  const { records } = await exportAll(page, map);
  const lines = (await shippedMetrics("smollm2-align")).filter(({ kind }) => kind === "train");
  const fourth = records.filter(({ layer }) => layer === "4").map(({ error }) => Number(error));
  expect(fourth).toHaveLength(lines.length);
  fourth.forEach((error, index) => expect(error).toBeCloseTo(Number(lines[index]?.["align.4"]), 5));
  await keepScreenshot(page, info, "layers");
});

test("a run of 100 000 lines is thinned, and zooming reads it finer", async ({ page }, info) => {
  await openRun(page, "local", "long-run");
  const kl = figure(page, "KL to the teacher");
  await page.getByRole("slider", { name: /^Smoothing/ }).fill("0");
  const all = (await exportAll(page, kl)).records;
  expect(all.length).toBeLessThan(2500);
  const asked = page.waitForRequest((request) => request.url().includes("/metrics?") && request.url().includes("from="));
  await dragOver(page, plot(page, "KL to the teacher"), 0.5, 0.502 + 0.01);
  const query = new URL((await asked).url()).searchParams;
  expect(Number(query.get("to")) - Number(query.get("from"))).toBeLessThan(5000);
  await expect.poll(async () => (await exportAll(page, kl)).records.length).toBeGreaterThan(all.length);
  await dragOver(page, plot(page, "KL to the teacher"), 0.3, 0.6);
  // Close enough, every line is there as it was written.
  await expect
    .poll(async () => {
      const { records } = await exportAll(page, kl);
      const [from = 0, to = 0] = new URL(page.url()).searchParams.get("zoom")?.split("..").map(Number) ?? [];
      const inside = records.filter(({ step }) => Number(step) >= from && Number(step) <= to);
      return inside.length > 100 && inside.every(({ step, value }, index) => Number(step) === Number(inside[0]?.step) + index && Math.abs(Number(value) - lossAt(Number(step), 100_000)) < 1e-5);
    })
    .toBe(true);
  await keepScreenshot(page, info, "long");
});

test("samples, log, config and results of a run", async ({ page }, info) => {
  await openRun(page, "local", "with-samples");
  await page.getByRole("tab", { name: "Samples" }).click();
  await expect(page.getByText(", the student wrote at step 60.")).toBeVisible();
  await page.getByRole("button", { name: "Earlier sample" }).click();
  await expect(page.getByText(", the student wrote at step 40.")).toBeVisible();
  await expect(page.getByText(", the teacher wrote.")).toBeVisible();
  await page.getByRole("slider", { name: "Step 40" }).press("Home");
  await expect(page.getByText(", the student wrote at step 20.")).toBeVisible();
  await keepScreenshot(page, info, "samples");

  await page.getByRole("tab", { name: "Log" }).click();
  const log = page.getByRole("log", { name: "Log" });
  await expect(log.getByText("RuntimeError: the disk is full")).toHaveClass(/text-bad/);
  expect(await log.evaluate((element) => element.scrollHeight - element.scrollTop - element.clientHeight)).toBeLessThan(30);
  await page.getByLabel("Search the log").fill("train 7/");
  await expect(page.getByText("1 of 63 lines")).toBeVisible();
  await expect(log.locator("mark")).toHaveText("train 7/");
  await page.getByLabel("Search the log").fill("");
  await page.getByLabel("Errors and warnings").check();
  await expect(page.getByText("2 of 63 lines")).toBeVisible();

  await page.getByRole("tab", { name: "Config" }).click();
  await expect(page.getByText('"init": "attention"').first()).toBeVisible();
  await page.getByRole("tab", { name: "Results" }).click();
  await expect(page.getByText("This run was not evaluated.")).toBeVisible();
  await expect(page).toHaveURL(/tab=results/);

  const downloading = page.waitForEvent("download");
  await page.locator("summary", { hasText: "More" }).click();
  await page.getByRole("link", { name: "Download without checkpoints" }).click();
  const file = await downloading;
  expect(file.suggestedFilename()).toBe("with-samples.tar.gz");
  expect((await readFile(await file.path())).subarray(0, 2)).toEqual(Buffer.from([0x1f, 0x8b]));
});

test("notes and tags are kept", async ({ page }) => {
  await openRun(page, "local", "with-samples");
  await page.getByRole("textbox", { name: "Tags" }).fill("baseline");
  await page.getByRole("textbox", { name: "Tags" }).press("Enter");
  await expect(page.getByRole("button", { name: "Remove tag baseline" })).toBeVisible();
  await page.getByRole("textbox", { name: "Notes" }).fill("The first one that learned.");
  await page.getByRole("textbox", { name: "Notes" }).blur();
  await expect(page.getByText("Stored")).toBeVisible();
  await page.reload();
  await expect(page.getByRole("textbox", { name: "Notes" })).toHaveValue("The first one that learned.");
  await openRuns(page, "?search=baseline");
  await expect.poll(() => runsShown(page)).toEqual(["with-samples"]);
});

test("runs are compared: curves over each other, results, and the fields in which they differ", async ({ page }, info) => {
  await openRuns(page);
  await page.getByRole("checkbox", { name: "Select stories-attn50", exact: true }).check();
  await page.getByRole("checkbox", { name: "Select ablation-init-attention", exact: true }).check();
  await page.getByTestId("selection").getByRole("link", { name: "Compare" }).click();
  await expect(plot(page, "KL to the teacher")).toBeVisible({ timeout: 60_000 });
  const { records } = await exportAll(page, figure(page, "KL to the teacher"));
  expect(new Set(records.map(({ line }) => line))).toEqual(new Set(["stories-attn50", "stories-attn50, evaluation", "ablation-init-attention", "ablation-init-attention, evaluation"]));

  const results = page.getByRole("region", { name: "Results of the runs" });
  const evaluated = (await shippedMetrics("stories-attn50")).findLast(({ kind }) => kind === "eval");
  await expect(results.getByRole("row", { name: /^Last evaluated KL/ })).toContainText(Number(evaluated?.kl).toPrecision(3));

  const configs = page.getByRole("region", { name: "Configs of the runs" });
  await expect(configs.getByRole("rowheader", { name: "optimiser.steps" })).toBeVisible();
  await expect(configs.getByRole("rowheader", { name: "family" })).toHaveCount(0);
  await page.getByLabel("Only what differs").uncheck();
  await expect(configs.getByRole("rowheader", { name: "family" })).toBeVisible();
  await keepScreenshot(page, info, "compare");

  await page.getByLabel("Add a run").selectOption({ label: "stories-aligned" });
  await expect(page).toHaveURL(/shipped:stories-aligned/);
  await expect(results.getByRole("columnheader")).toHaveCount(3);
  await page.getByRole("button", { name: "Remove stories-attn50" }).click();
  await expect(results.getByRole("columnheader")).toHaveCount(2);
  await page.getByLabel("Gradient norm").check();
  await expect(figure(page, "Gradient norm")).toBeVisible();
});

test("a node is added, its check says what fails and how to mend it, and it is removed", async ({ page }, info) => {
  await page.goto("/train/nodes");
  await expect(page.getByRole("article", { name: "This machine" })).toBeVisible();
  await page.getByLabel("SSH destination").fill("-oProxyCommand=touch");
  await page.getByRole("button", { name: "Add and check" }).click();
  await expect(page.getByText("Give the node a name.")).toBeVisible();
  await expect(page.getByLabel("SSH destination")).toHaveAttribute("aria-invalid", "true");

  await page.getByLabel("Name").fill("Nowhere");
  await page.getByLabel("SSH destination").fill("nobody@127.0.0.1");
  await page.getByLabel("Port").fill("9");
  await page.getByRole("button", { name: "Add and check" }).click();
  const card = page.getByRole("article", { name: "Nowhere" });
  const failed = card.locator('li[data-state="fail"]').first();
  await expect(failed).toBeVisible({ timeout: 60_000 });
  await expect(failed).toContainText(/refuses connections|reached|answer/i);
  expect((await failed.innerText()).length).toBeGreaterThan(60);
  await keepScreenshot(page, info, "node");

  await card.getByRole("button", { name: "Edit" }).click();
  await card.getByLabel("Name").fill("Elsewhere");
  await card.getByRole("button", { name: "Save" }).click();
  const renamed = page.getByRole("article", { name: "Elsewhere" });
  await renamed.getByRole("button", { name: "Remove" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await expect(renamed).toHaveCount(0);
});

test("a run goes to the trash, comes back, and is removed for good only when asked", async ({ page }) => {
  await openRun(page, "local", "to-delete");
  const remove = async () => {
    await page.locator("summary", { hasText: "More" }).click();
    await page.getByRole("button", { name: "Move to the trash" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Move to the trash" }).click();
    await expect(page.getByText("is in the trash.")).toBeVisible();
  };
  await remove();
  await page.getByRole("button", { name: "Put it back" }).click();
  await expect(page.getByRole("heading", { level: 1, name: "To delete" })).toBeVisible();
  await remove();

  await openRuns(page);
  await expect(row(page, "to-delete")).toHaveCount(0);
  await page.getByRole("button", { name: /^Trash/ }).click();
  await page.getByRole("button", { name: "Put To delete back" }).click();
  await expect(page.getByText("The trash is empty.")).toBeVisible();
  await page.getByRole("button", { name: /^Runs/ }).click();
  await expect(row(page, "to-delete")).toBeVisible();

  await page.getByRole("checkbox", { name: "Select To delete", exact: true }).check();
  await page.getByRole("checkbox", { name: "Select stories-attn50", exact: true }).check();
  await page.getByTestId("selection").getByRole("button", { name: "Move 1 to the trash" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Move to the trash" }).click();
  await expect(row(page, "to-delete")).toHaveCount(0);
  await expect(row(page, "stories-attn50")).toBeVisible();
  await page.getByRole("button", { name: /^Trash/ }).click();
  await page.getByRole("button", { name: "Empty the trash" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await expect(page.getByRole("button", { name: "Put To delete back" })).toBeVisible();
  await page.getByRole("button", { name: "Empty the trash" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Empty the trash" }).click();
  await expect(page.getByText("The trash is empty.")).toBeVisible();
});

test("addresses that name nothing say so", async ({ page }) => {
  await page.goto("/train/run?node=local&id=nobody");
  await expect(page.getByRole("alert").filter({ hasText: /There is no|nobody/i })).toBeVisible();
  await page.goto("/train/run");
  await expect(page.getByText("This address names no run.")).toBeVisible();
  await page.goto("/train/compare");
  await expect(page.getByText("Add runs to see their curves over each other.")).toBeVisible();
});

for (const scheme of ["light", "dark"] as const) {
  test(`every training page is accessible and fits, ${scheme}`, async ({ page }, info) => {
    test.setTimeout(240_000);
    await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    const compared = "/train/compare?runs=shipped:stories-attn50,shipped:ablation-init-attention";
    for (const width of [1280, 390]) {
      await page.setViewportSize({ width, height: width === 390 ? 844 : 900 });
      const check = async (name: string): Promise<void> => {
        await expect.poll(() => overflow(page), `${name} at ${width}`).toBeLessThanOrEqual(0);
        expect(await violations(page), `${name} at ${width}`).toEqual([]);
        await keepScreenshot(page, info, `${name}-${width}-${scheme}`);
      };
      await openRuns(page);
      await check("runs");
      await page.goto("/train?view=trash");
      await expect(page.getByText("The trash is empty.")).toBeVisible();
      await check("trash");
      await openRun(page, "shipped", "smollm2-align");
      await check("run");
      await page.goto("/train/run?node=local&id=with-samples&tab=samples");
      await expect(page.getByText(", the teacher wrote.")).toBeVisible();
      await check("samples");
      for (const [tab, role] of [["log", "log"], ["config", "tabpanel"], ["results", "tabpanel"]] as const) {
        await page.goto(`/train/run?node=local&id=with-samples&tab=${tab}`);
        await expect(page.getByRole(role)).toBeVisible();
        await check(tab);
      }
      await page.goto(compared);
      await expect(plot(page, "KL to the teacher")).toBeVisible({ timeout: 60_000 });
      await check("compare");
      await page.goto("/train/nodes");
      await expect(page.getByRole("article", { name: "This machine" })).toBeVisible();
      await check("nodes");
    }
  });
}
