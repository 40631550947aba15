import { readFile } from "node:fs/promises";
import { expect, test } from "@playwright/test";
import { chooseGreedy, openChat, providerOf, send, setNumber, slot, tokensOf, waitIdle, waitReady } from "./lab";

const select = (project: string, family: string, rest = "variant=attn50") => `family=${family}&${rest}&provider=${providerOf(project)}`;

test("a completion model loads and continues a text, and says where it runs", async ({ page }, { project }) => {
  await openChat(page, select(project.name, "tiny"));
  await waitReady(page);
  await expect(page.getByTestId("runs-on")).toContainText(project.name === "webgpu" ? "WebGPU" : "WebAssembly");
  await setNumber(page, "Most tokens", 24);
  await send(page, "Once upon a time");
  await waitIdle(page);
  await expect(page.getByTestId("answer")).toContainText("Once upon a time");
  const timings = page.getByTestId("timings");
  await expect(timings).toContainText("tokens/s");
  await expect(timings).toContainText("first token");
  expect(await tokensOf(timings)).toBe(24);
  const memory = page.getByTestId("memory");
  await expect(memory.getByRole("row", { name: /KV cache/ })).not.toContainText(/ 0 B/);
  await expect(memory.getByRole("row", { name: /Mamba state/ })).not.toContainText(/ 0 B/);

  await page.getByRole("button", { name: "Continue", exact: true }).click();
  await waitIdle(page);
  await expect(page.getByTestId("answer")).toHaveCount(1);
});

test("the family that ships tells a story in words", async ({ page }, { project }) => {
  await openChat(page, select(project.name, "stories"));
  await waitReady(page);
  await chooseGreedy(page);
  await setNumber(page, "Most tokens", 24);
  await send(page, "Once upon a time");
  await waitIdle(page);
  expect(await page.getByTestId("answer").innerText()).toMatch(/^Once upon a time(,? [\w'"]+[.,!?"]*){8}/);
});

test("greedy answers are the same again, and the chat keeps several turns", async ({ page }, { project }) => {
  await openChat(page, select(project.name, "tiny-chat"));
  await waitReady(page);
  await chooseGreedy(page);
  await setNumber(page, "Most tokens", 16);
  await send(page, "Hello");
  await waitIdle(page);
  const first = await page.getByTestId("answer").first().innerText();
  await page.getByRole("button", { name: "Write it again" }).click();
  await waitIdle(page);
  expect(await page.getByTestId("answer").first().innerText()).toBe(first);

  await send(page, "And then?");
  await waitIdle(page);
  await expect(page.getByTestId("answer")).toHaveCount(2);

  await page.getByRole("button", { name: "Edit this message" }).first().click();
  await page.getByRole("textbox", { name: "Edit the prompt" }).fill("Good evening");
  await page.getByRole("textbox", { name: "Edit the prompt" }).press("Enter");
  await waitIdle(page);
  await expect(page.getByTestId("answer")).toHaveCount(1);
  await expect(page.getByText("Good evening")).toBeVisible();
});

test("Escape stops an answer at once, and the next one works", async ({ page }, { project }) => {
  await openChat(page, select(project.name, "tiny"));
  await waitReady(page);
  await setNumber(page, "Most tokens", 1900);
  await send(page, "Once upon a time");
  // The first token may be part of a character, and then shows nothing.
  await expect.poll(async () => (await page.getByTestId("answer").innerText()).length).toBeGreaterThan("Once upon a time".length);
  await page.keyboard.press("Escape");
  await waitIdle(page);
  await expect(page.getByTestId("timings")).toContainText("stopped");
  const stopped = await page.getByTestId("answer").innerText();

  await setNumber(page, "Most tokens", 8);
  await send(page, "The end");
  await waitIdle(page);
  expect(await tokensOf(page.getByTestId("timings").last())).toBe(8);
  expect(await page.getByTestId("answer").first().innerText()).toBe(stopped);
});

test("another variant takes the model's place", async ({ page }, { project }) => {
  await openChat(page, select(project.name, "tiny", "variant=teacher"));
  await waitReady(page);
  await expect(slot(page, "a").getByRole("img")).toHaveAttribute("aria-label", "4 layers: 4 attention, 0 Mamba");
  await page.getByLabel("Variant", { exact: true }).selectOption({ label: "All Mamba" });
  await waitReady(page);
  await expect(page).toHaveURL(/variant=attn0/);
  await expect(slot(page, "a").getByRole("img")).toHaveAttribute("aria-label", "4 layers: 0 attention, 4 Mamba");
  await setNumber(page, "Most tokens", 8);
  await send(page, "Once");
  await waitIdle(page);
  await expect(page.getByTestId("memory").getByRole("row", { name: /KV cache/ })).toContainText("0 B");
  await expect(page.getByRole("article", { name: "Answer of All Mamba" })).toBeVisible();
});

test("two variants answer the same prompt side by side", async ({ page }, { project }) => {
  await openChat(page, select(project.name, "tiny", "variant=teacher&compare=attn50"));
  await waitReady(page, "a");
  await waitReady(page, "b");
  await chooseGreedy(page);
  await setNumber(page, "Most tokens", 12);
  await send(page, "Once upon a time");
  await waitIdle(page);
  const left = page.getByRole("article", { name: "Answer of Teacher" });
  const right = page.getByRole("article", { name: "Answer of 50% attention" });
  expect(await tokensOf(left.getByTestId("timings"))).toBe(12);
  expect(await tokensOf(right.getByTestId("timings"))).toBe(12);
  expect(await left.getByTestId("answer").innerText()).not.toBe(await right.getByTestId("answer").innerText());
});

test("a conversation outlives a reload, can be exported, and a new one begins with Ctrl+K", async ({ page }, { project }) => {
  test.skip(project.name !== "wasm", "does not depend on the provider");
  await openChat(page, select(project.name, "tiny"));
  await waitReady(page);
  await setNumber(page, "Most tokens", 8);
  await send(page, "Kept across a reload");
  await waitIdle(page);
  await page.reload();
  await expect(page.getByTestId("answer")).toContainText("Kept across a reload");

  const downloading = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export as JSON" }).click();
  const exported: unknown = JSON.parse(await readFile(await (await downloading).path(), "utf8"));
  expect(exported).toMatchObject({ format: "mambascope-conversation", family: "tiny", turns: [{ prompt: "Kept across a reload" }] });

  await page.keyboard.press("Control+k");
  await expect(page.getByTestId("answer")).toHaveCount(0);
  await expect(page.locator("#prompt")).toBeFocused();
});
