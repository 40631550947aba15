import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { accountFor, decodeFlops, flops, prefillFlops, stateBytes, weightBytes } from "./accounting";
import type { Architecture, HybridConfig, MixerSets } from "./config";
import { presetLayers } from "./pattern";
import { requiredTensors } from "./tensors";
import { discreteMixer, smollm2Config, ssdMixer } from "./testing";

const sets: MixerSets = {
  full: { mixer: "mamba2", config: ssdMixer },
  plain: { mixer: "mamba2", config: discreteMixer },
};
const preset = (keep: number, set = "full") => smollm2Config(presetLayers(30, keep, "interleaved", set));
const size = (shape: readonly number[]) => shape.reduce((product, n) => product * n, 1);

describe("parameters", () => {
  it("are SmolLM2's published number for the teacher", () => {
    expect(accountFor(preset(1), sets).parameters).toBe(134_515_008);
  });

  it("agree with numbers worked by hand for mamba2", () => {
    const { layers } = accountFor(smollm2Config(["mamba2:full", "mamba2:plain", ...Array<string>(28).fill("attention")]), sets);
    // 576·(1545 + 576) + 960·5 + 3·9 + 576
    expect(layers[0]?.mixerParameters).toBe(1_227_099);
    // 576·(969 + 576) + 2·9
    expect(layers[1]?.mixerParameters).toBe(889_938);
    // 2·576·64·(9 + 3)
    expect(layers[2]?.mixerParameters).toBe(884_736);
    // + 3·576·1536 + 2·576
    expect(layers[2]?.parameters).toBe(884_736 + 2_654_208 + 1152);
  });

  it("agree with the sum over tensor shapes, for any shape", () => {
    fc.assert(
      fc.property(anyHybrid, ([config, mixers]) => {
        const account = accountFor(config, mixers);
        const tensors = requiredTensors(config, mixers);
        const sum = (layer: number | null) =>
          tensors.filter((tensor) => tensor.layer === layer).reduce((total, { shape }) => total + size(shape), 0);
        expect(account.sharedParameters).toBe(sum(null));
        account.layers.forEach(({ parameters }, layer) => expect(parameters).toBe(sum(layer)));
        const bytes = weightBytes(config, mixers, (_, shape) => 2 * size(shape));
        expect(bytes.total).toBe(2 * account.parameters);
        expect(bytes.layers).toEqual(account.layers.map(({ parameters }) => 2 * parameters));
      }),
    );
  });
});

describe("memory", () => {
  it("agrees with numbers worked by hand", () => {
    const teacher = accountFor(preset(1), sets, "f16");
    // 30 layers · 2 · 3 heads · 64 · 2 bytes
    expect(teacher.kvBytesPerToken).toBe(23_040);
    expect(stateBytes(teacher, 2048)).toBe(47_185_920);
    const mamba = accountFor(preset(0), sets);
    // 30 · 9·64·64·4 and 30 · 960·3·4
    expect(mamba).toMatchObject({ kvBytesPerToken: 0, ssmStateBytes: 4_423_680, convStateBytes: 345_600 });
    expect(stateBytes(mamba, 1)).toBe(stateBytes(mamba, 100_000));
    expect(accountFor(preset(0, "plain"), sets).convStateBytes).toBe(0);
  });

  it("grows with the context only by the attention layers that are kept", () => {
    const half = accountFor(preset(0.5), sets);
    expect(half.kvBytesPerToken).toBe(accountFor(preset(1), sets).kvBytesPerToken / 2);
    expect(stateBytes(half, 1000) - stateBytes(half, 400)).toBe(600 * half.kvBytesPerToken);
  });
});

describe("FLOPs", () => {
  it("agree with numbers worked by hand for one decoded token", () => {
    const teacher = decodeFlops(preset(1), sets, 100);
    // 2·884,736 + 4·100·9·64 + 6·576·1536
    expect(teacher.layers[0]).toBe(1_769_472 + 230_400 + 5_308_416);
    expect(teacher.lmHead).toBe(2 * 576 * 49152);
    const mamba = decodeFlops(preset(0), sets, 100);
    // 2·576·(1545 + 576) + 2·960·4 + 9·(5·64·64 + 3·64) + MLP
    expect(mamba.layers[0]).toBe(2_443_392 + 7_680 + 186_048 + 5_308_416);
    expect(decodeFlops(preset(0), sets, 5000)).toEqual(mamba);
  });

  it("of a prefill are those of decoding its tokens one by one, whatever the split", () => {
    fc.assert(
      fc.property(anyHybrid, fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 9 }), ([config, mixers], tokens, past) => {
        const one = Array.from({ length: tokens }, (_, index) => decodeFlops(config, mixers, past + index + 1).total);
        const whole = flops(config, mixers, { tokens, past, logits: "all" }).total;
        expect(whole).toBe(one.reduce((sum, count) => sum + count, 0));
      }),
    );
  });

  it("of a prefill count the LM head once", () => {
    const config = preset(0.5);
    const all = flops(config, sets, { tokens: 64, past: 0, logits: "all" });
    const last = prefillFlops(config, sets, 64);
    expect(all.total - last.total).toBe(63 * last.lmHead);
  });
});

const small = fc.integer({ min: 1, max: 5 });
const mixer = fc
  .record({
    form: fc.constantFrom("ssd" as const, "discrete" as const),
    num_kv_heads: small,
    head_dim: small,
    state_size: small,
    conv_kernel: fc.constantFrom(0 as const, 4 as const),
    gate: fc.boolean(),
    norm: fc.constantFrom("none" as const, "rms" as const),
    group: small,
  })
  .map(({ group, ...rest }) => ({
    mixer: "mamba2" as const,
    config: { ...rest, num_heads: rest.num_kv_heads * group, conv_activation: "silu" as const, norm_groups: 1, norm_eps: 1e-5 },
  }));
const anyHybrid: fc.Arbitrary<[HybridConfig, MixerSets]> = fc
  .tuple(
    fc.record({ hidden_size: small, intermediate_size: small, num_key_value_heads: small, half: small, group: small, vocab_size: small, tied: fc.boolean() }),
    fc.record({ one: mixer, two: mixer }),
    fc.array(fc.constantFrom("attention", "mamba2:one", "mamba2:two"), { minLength: 1, maxLength: 6 }),
  )
  .map(([shape, mixers, layers]) => {
    const architecture: Architecture = {
      model_type: "llama",
      hidden_size: shape.hidden_size,
      intermediate_size: shape.intermediate_size,
      num_hidden_layers: layers.length,
      num_attention_heads: shape.num_key_value_heads * shape.group,
      num_key_value_heads: shape.num_key_value_heads,
      head_dim: 2 * shape.half,
      vocab_size: shape.vocab_size,
      max_position_embeddings: 64,
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      tie_word_embeddings: shape.tied,
      hidden_act: "silu",
    };
    return [{ family: "any", architecture, layers }, mixers];
  });
