/** Loading a target and its draft as the worker does, over HTTP, from the trainer's fixture. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { UnsupportedError } from "../errors";
import { nodeRuntime } from "../testing";
import { loadSpeculative, type SpeculativeHooks, type SpeculativeLoadRequest } from "./load";
import { drain } from "./sweep";
import type { DraftChoice } from "./types";

const folder = fileURLToPath(new URL("../fixtures/drafts", import.meta.url));
const PROMPT = [5, 80, 200, 300, 17];
let server: Server;
let hooks: SpeculativeHooks;

/** `/tiny/…` is the fixture, `/other/…` the same under another name. */
beforeAll(async () => {
  server = createServer((request, response) => {
    const [, family = "", file = ""] = new URL(request.url ?? "/", "http://host").pathname.split("/");
    readFile(path.join(folder, path.basename(file))).then(
      (bytes) => response.end(file === "manifest.json" ? bytes.toString("utf8").replace('"family": "tiny"', `"family": "${family}"`) : bytes),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  hooks = {
    manifestUrl: (family) => `http://127.0.0.1:${port}/${family}/manifest.json`,
    runtimes: { wasm: () => nodeRuntime(), webgpu: () => Promise.reject(new Error("There is no GPU here.")) },
    providers: { chosen: "wasm", wasm: { threads: 1, reason: "one thread." }, webgpu: { available: false, adapter: null, reason: "There is no GPU." } },
  };
});

afterAll(() => new Promise((resolve) => server.close(resolve)));

const load = (changes: Partial<SpeculativeLoadRequest> & { readonly draft: DraftChoice }) => loadSpeculative({ family: "tiny", variant: "teacher", provider: "wasm", contextLength: 96, ...changes }, hooks);
const eagle: DraftChoice = { kind: "model", variant: "eagle1" };
const answering = { sampling: { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1 }, seed: 1, maxTokens: 16, stopTokens: new Set<number>(), decode: String };

describe("a draft on features", () => {
  it("is loaded with its target, told as what it is, and exchanged in mid conversation", async () => {
    const model = await load({ draft: { kind: "lookup" } });
    const { session } = model;
    const expected = (await drain(session.plain(PROMPT, answering))).tokenIds;
    expect(model.info().memory.featureBytes).toBeGreaterThanOrEqual(4 * 96 * 64); // the target's, for whichever draft comes
    for (const [choice, title] of [[eagle, "Tiny: 1 Mamba-2 layer on the target's features (EAGLE)"], [{ kind: "model", variant: "draft2" }, "Tiny: Mamba-2, 2 layers"], [{ kind: "model", variant: "eagle1-attention" }, "Tiny: 1 attention layer on the target's features (EAGLE)"]] as const) {
      await model.changeDraft(choice, {});
      expect(model.info()).toMatchObject({ draft: choice, draftTitle: title });
      expect((await drain(session.run(PROMPT, { ...answering, K: 3, probabilities: false }))).tokenIds).toEqual(expected);
    }
    expect(model.info().memory.featureBytes).toBeGreaterThanOrEqual(2 * 4 * 96 * 64); // and the draft's own
    await model.dispose();
  });

  it("is refused as a target, and for another family's target, which stays as it was", async () => {
    await expect(load({ variant: "eagle1", draft: { kind: "lookup" } })).rejects.toThrow(UnsupportedError);
    const model = await load({ draft: { kind: "lookup" } });
    const foreign = model.changeDraft({ ...eagle, family: "other" }, {});
    await expect(foreign).rejects.toThrow("reads the hidden states of that family's models");
    await expect(foreign).rejects.toBeInstanceOf(UnsupportedError);
    await model.changeDraft({ kind: "model", variant: "draft2", family: "other" }, {}); // which has the same tokenizer
    expect(model.info().draftTitle).toBe("Tiny: Mamba-2, 2 layers");
    await model.dispose();
  });
});
