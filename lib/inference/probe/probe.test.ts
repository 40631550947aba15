/** The probe on the family that ships. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { LayerSensitivity } from "@/lib/evaluation/types";
import { mambaInside } from "@/lib/onnx/parts";
import { simpleCall } from "./call";
import type { Device } from "./device";
import type { Probe } from "./probe";
import type { Reading } from "./reading";
import { familyFiles, nodeProbe } from "./testing";
import type { ProbeProgress, ProbeText } from "./types";

const call = simpleCall();
const TEXT = "Once upon a time, a naïve café owner said: “Ça va?” — 你好 🙂 The little dog ran home.";
const teacher = new Array<string>(8).fill("attention");
const replaced = (...layers: number[]): string[] => teacher.map((spec, layer) => (layers.includes(layer) ? "mamba2:aligned" : spec));

let probe: Probe;
let read: ProbeText;
let close: () => Promise<void>;
beforeAll(async () => {
  ({ probe, close } = await nodeProbe(await familyFiles("stories")));
  read = await probe.text(TEXT, call);
}, 120_000);
afterAll(() => close());

describe("a text", () => {
  it("comes back token by token, after the token that begins every text", () => {
    expect(read.tokens[0]).toBe(0);
    expect(read.pieces.length).toBe(read.tokens.length);
    expect(read.pieces[0]).toBe("<|endoftext|>");
    expect(read.pieces.slice(1).join("").trim()).toBe(TEXT);
    expect(read.dropped).toBe(0);
    expect(read.teacherPerplexity).toBeGreaterThan(1);
    expect(probe.decode(read.tokens.slice(0, 3))).toEqual(read.pieces.slice(0, 3));
  });

  it("is cut to the limit; an empty one, or none, is refused in words", async () => {
    const other = await nodeProbe(await familyFiles("stories"));
    await expect(other.probe.compare(teacher, call)).rejects.toMatchObject({ code: "bad_request", action: expect.stringMatching(/text/) as string });
    await expect(other.probe.text("", call)).rejects.toMatchObject({ code: "bad_request" });
    Object.defineProperty(other.probe, "maxTokens", { value: 10 });
    const cut = await other.probe.text(TEXT, call);
    expect([cut.tokens.length, cut.dropped]).toEqual([10, read.tokens.length - 10]);
    expect(cut.tokens).toEqual(read.tokens.slice(0, 10));
    await other.close();
  });
});

describe("requests", () => {
  it("a comparison made before costs nothing", async () => {
    const first = await probe.compare(replaced(5), call);
    expect(first.from).toBe(5);
    await probe.compare(replaced(1), call);
    const again = await probe.compare(replaced(5), call);
    expect([again.from, again.comparison]).toEqual([8, first.comparison]);
  });

  it("sensitivity is the comparison of the layer alone; a sweep that was stopped goes on where it stood", async () => {
    const heard: LayerSensitivity[] = [];
    const canceller = new AbortController();
    const stopped = probe.sensitivity("aligned", [2, 6, 7], simpleCall(canceller.signal), (result) => {
      heard.push(result);
      if (heard.length === 2) canceller.abort(new DOMException("Stopped", "AbortError"));
    });
    await expect(stopped).rejects.toThrow("Stopped");
    expect(heard.map(({ layer }) => layer)).toEqual([2, 6]);
    const all = await probe.sensitivity("aligned", [2, 6, 7], call, () => undefined);
    expect(all[0]).toBe(heard[0]); // kept, not computed again
    for (const { layer, kl, agreement } of all) {
      const { totals } = (await probe.compare(replaced(layer), call)).comparison;
      expect([kl, agreement]).toEqual([totals.kl, totals.agreement]);
    }
  });

  it("distances: of each layer that the set holds, and kept", async () => {
    const distances = await probe.distances("attn50", call);
    expect(distances.map(({ layer }) => layer)).toEqual([2, 4, 5, 7]);
    for (const { relativeError, cosine } of distances) {
      expect(relativeError).toBeGreaterThan(0);
      expect(relativeError).toBeLessThan(3);
      expect(cosine).toBeGreaterThan(0.1);
      expect(cosine).toBeLessThan(1);
    }
    expect(await probe.distances("attn50", call)).toBe(distances);
  });

  it("inside: softmax rows that sum to one, a causal Mamba matrix, decays and norms", async () => {
    const { heads, tokens: T, attention, mamba, decay, stateNorm, cosine } = await probe.inside(3, "aligned", call);
    expect([heads, T, decay.length, stateNorm.length]).toEqual([4, read.tokens.length, 4 * T, 4 * T]);
    for (let row = 0; row < heads * T; row++) {
      const [weights, sources] = [attention, mamba].map((all) => all.subarray(row * T, (row + 1) * T)) as [Float32Array, Float32Array];
      expect(weights.reduce((sum, value) => sum + value, 0)).toBeCloseTo(1, 5);
      for (let s = (row % T) + 1; s < T; s++) expect([weights[s], sources[s]]).toEqual([0, 0]);
    }
    expect(decay.every((value) => value > 0 && value <= 1)).toBe(true);
    expect(stateNorm.every((value) => value > 0 && Number.isFinite(value))).toBe(true);
    expect(Math.max(...cosine)).toBeGreaterThan(0.3); // it was trained to look like attention
  });

  it("inside: the matrix times x is what the mixer's graph read from its state", async () => {
    const { heads, tokens: T, mamba } = await probe.inside(5, "aligned", call);
    const { device, reading } = probe as unknown as { device: Device; reading: Reading };
    const names = mambaInside(5);
    const outputs = { [names.read]: device.zeros([1, T, 256]), [names.x]: device.zeros([1, T, 128]) };
    await reading.mix(5, "mamba2:aligned", outputs);
    const [y, x] = [Float32Array.from(await device.read(outputs[names.read]!)), Float32Array.from(await device.read(outputs[names.x]!))];
    let worst = 0;
    for (let head = 0; head < heads; head++) {
      for (let t = 0; t < T; t++) {
        for (let p = 0; p < 64; p++) {
          let sum = 0;
          for (let s = 0; s <= t; s++) sum += mamba[(head * T + t) * T + s]! * x[s * 128 + Math.floor(head / 2) * 64 + p]!;
          worst = Math.max(worst, Math.abs(sum - y[t * 256 + head * 64 + p]!));
        }
      }
    }
    expect(Math.max(...y)).toBeGreaterThan(0.1);
    expect(worst).toBeLessThan(1e-3);
    for (const tensor of Object.values(outputs)) tensor.free();
  });

  it("what the family does not have is refused with what it has", async () => {
    await expect(probe.distances("none", call)).rejects.toMatchObject({ code: "bad_request", action: expect.stringMatching(/attn50, aligned/) as string });
    await expect(probe.inside(0, "attn50", call)).rejects.toMatchObject({ code: "bad_request" });
    await expect(probe.sensitivity("attn50", [0], call, () => undefined)).rejects.toMatchObject({ code: "bad_request" });
    await expect(probe.compare(teacher.slice(1), call)).rejects.toThrow(/7 layers/);
    await expect(probe.compare(replaced(0).map((spec) => spec.replace("aligned", "attn50")), call)).rejects.toThrow(/no mixer for layer 0/);
  });

  it("tells of itself and of its progress", async () => {
    const info = probe.info();
    expect(info).toMatchObject({ family: "stories", layers: 8, heads: 4, groups: 2, vocabularySize: 4096, provider: "wasm", threads: 1, warnings: [] });
    expect(info.sets.map(({ name }) => name)).toEqual(["attn50", "aligned", "dpo"]);
    expect(info.variants.map(({ name }) => name)).toContain("attn25");
    expect(info.memory.heapBytes).toBeGreaterThan(info.memory.weightBytes);
    const heard: ProbeProgress[] = [];
    await probe.compare(replaced(3, 4), simpleCall(undefined, (progress) => heard.push(progress)));
    expect(heard.map(({ done }) => done)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(new Set(heard.map(({ total }) => total))).toEqual(new Set([6]));
  });
});
