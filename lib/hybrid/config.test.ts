import { describe, expect, it } from "vitest";
import { architectureSchema, formatLayerSpec, HybridConfigError, hybridConfigSchema, parseLayerSpec, resolveLayers } from "./config";
import { mamba2ConfigSchema, mamba2Widths } from "./mamba2";
import { discreteMixer, smollm2, smollm2Config, ssdMixer } from "./testing";

const attention = Array<string>(30).fill("attention");

describe("schemas", () => {
  it("accept what they should", () => {
    expect(architectureSchema.parse(smollm2)).toEqual(smollm2);
    expect(hybridConfigSchema.parse(smollm2Config(attention)).layers).toHaveLength(30);
    expect(mamba2ConfigSchema.parse(discreteMixer)).toEqual(discreteMixer);
  });

  it.each([
    [{ ...smollm2, num_key_value_heads: 2 }, "must be a multiple of num_key_value_heads"],
    [{ ...smollm2, head_dim: 63 }, "must be even"],
    [{ ...smollm2, rope_scaling: { factor: 2 } }, "rope_scaling"],
    [{ ...smollm2, hidden_act: "gelu" }, "silu"],
    [{ ...smollm2, hidden_size: 0 }, "hidden_size"],
  ])("refuse a wrong architecture (%#)", (value, message) => {
    expect(JSON.stringify(architectureSchema.safeParse(value).error?.issues)).toContain(message);
  });

  it.each([
    [{ ...ssdMixer, num_kv_heads: 2 }, "must be a multiple"],
    [{ ...ssdMixer, norm_groups: 3 }, "must be 1 or num_heads"],
    [{ ...ssdMixer, conv_kernel: 3 }, "conv_kernel"],
    [{ ...ssdMixer, chunk: 64 }, "chunk"],
  ])("refuse a wrong mixer (%#)", (value, message) => {
    expect(JSON.stringify(mamba2ConfigSchema.safeParse(value).error?.issues)).toContain(message);
  });

  it("refuse a wrong number of layers or an unknown mixer", () => {
    const short = hybridConfigSchema.safeParse(smollm2Config(attention.slice(1)));
    expect(short.error?.issues[0]?.message).toContain("29 layer specs for a model of 30 layers");
    expect(hybridConfigSchema.safeParse(smollm2Config([...attention.slice(1), "gru:x"])).success).toBe(false);
  });
});

describe("layer specs", () => {
  it.each(["attention", "mamba2:attn50", "mamba:a_b-c", "attention:draft2-attention"])("parses and formats %s", (text) => {
    expect(formatLayerSpec(parseLayerSpec(text))).toBe(text);
  });

  it.each(["", "Attention", "mamba2", "mamba2:", "mamba2:a.b", "mamba2:a~b", "attention:", "attentions:x"])("refuses %j", (text) => {
    expect(() => parseLayerSpec(text)).toThrow(HybridConfigError);
  });

  it("looks up mixers, and names what is missing", () => {
    const sets = { attn50: { mixer: "mamba2", config: ssdMixer } } as const;
    const layers = ["mamba2:attn50", ...attention.slice(1)];
    expect(resolveLayers(smollm2Config(layers), sets)[0]).toEqual({ mixer: "mamba2", set: "attn50", config: ssdMixer });
    expect(() => resolveLayers(smollm2Config(["mamba2:toString", ...attention.slice(1)]), sets)).toThrow(
      'Layer 0 wants mixer set "toString", which family "smollm2" does not have (it has: attn50).',
    );
    expect(() => resolveLayers(smollm2Config(["mamba:attn50", ...attention.slice(1)]), sets)).toThrow("holds mamba2 mixers");
  });
});

it("orders the rows of in_proj as z, x, B, C, dt", () => {
  expect(mamba2Widths(ssdMixer)).toEqual({ z: 576, x: 192, B: 192, C: 576, dt: 9, inProj: 1545, conv: 960, inner: 576 });
  expect(mamba2Widths(discreteMixer)).toMatchObject({ z: 0, inProj: 969 });
});
