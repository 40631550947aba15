"""Small bundles and GGUF files with random weights, for tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from mambascope_trainer.bundle import Architecture, BundleWriter, Description, SpecialTokens, Storage
from mambascope_trainer.bundle.mixer_shapes import mamba2_tensor_shapes

ARCHITECTURE = Architecture(
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=16,
    vocab_size=320,
    max_position_embeddings=128,
    rms_norm_eps=1e-5,
    rope_theta=10000.0,
    tie_word_embeddings=True,
)
MIXER: dict[str, Any] = {
    "form": "ssd",
    "num_heads": 4,
    "num_kv_heads": 2,
    "head_dim": 16,
    "state_size": 16,
    "conv_kernel": 4,
    "conv_activation": "silu",
    "gate": True,
    "norm": "rms",
    "norm_groups": 4,
    "norm_eps": 1e-5,
}
TEXT = [
    "Once upon a time, 12 little birds (and 3 cats) weren't hungry.\n\tThey'd eaten 2048 crumbs — naïve café 🙂 你好!"
] * 9
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def trained_tokenizer() -> Tokenizer:
    """A byte-level BPE of 320 tokens with SmolLM's pre-tokenizer, made by the tokenizers package itself."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=ARCHITECTURE.vocab_size,
        special_tokens=SPECIALS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    assert tokenizer.get_vocab_size() == ARCHITECTURE.vocab_size
    return tokenizer


def random_tensors(shapes: dict[str, tuple[int, ...]], rng: np.random.Generator) -> dict[str, npt.NDArray[np.float32]]:
    tensors = {}
    for name, shape in shapes.items():
        values = rng.normal(0, 1 / np.sqrt(shape[-1]), shape)
        if name.endswith("norm.weight"):
            values = 1 + 0.1 * values
        tensors[name] = values.astype(np.float32)
    return tensors


def write_bundle(folder: Path, storage: Storage | None = None, seed: int = 0) -> BundleWriter:
    tokenizer = trained_tokenizer()
    return BundleWriter.create(
        folder,
        Description("tiny", "Tiny", "Random weights.", "Apache-2.0", "made by a test"),
        ARCHITECTURE,
        SpecialTokens(bos=None, eos=(2, 0), pad=0),
        (tokenizer.to_str().encode(), json.dumps({"eos_token": "<|im_end|>"}).encode()),
        random_tensors(ARCHITECTURE.tensor_shapes(), np.random.default_rng(seed)),
        storage,
    )


def mixer_tensors(
    layers: list[int], config: dict[str, Any] = MIXER, seed: int = 1
) -> dict[str, npt.NDArray[np.float32]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in layers:
        shapes |= mamba2_tensor_shapes(config, ARCHITECTURE.hidden_size, layer)
    return random_tensors(shapes, np.random.default_rng(seed))


QUANTISED = {
    "attn_q": gguf.GGMLQuantizationType.Q4_1,
    "attn_k": gguf.GGMLQuantizationType.Q4_0,
    "attn_v": gguf.GGMLQuantizationType.F16,
    "attn_output": gguf.GGMLQuantizationType.BF16,
    "ffn_gate": gguf.GGMLQuantizationType.Q4_1,
    "ffn_up": gguf.GGMLQuantizationType.Q4_0,
    "ffn_down": gguf.GGMLQuantizationType.Q8_0,
}


def write_gguf(path: Path, architecture: str = "llama", gate: gguf.GGMLQuantizationType | None = None) -> None:
    """A tiny Llama as GGUF by the `gguf` package, with every tensor type that can be imported; rows of q and k are
    in GGUF's interleaved order already, as random ones are in any."""
    arch, rng, tokenizer = ARCHITECTURE, np.random.default_rng(7), trained_tokenizer()
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(arch.max_position_embeddings)
    writer.add_embedding_length(arch.hidden_size)
    writer.add_block_count(arch.num_hidden_layers)
    writer.add_feed_forward_length(arch.intermediate_size)
    writer.add_head_count(arch.num_attention_heads)
    writer.add_head_count_kv(arch.num_key_value_heads)
    writer.add_rope_dimension_count(arch.head_dim)
    writer.add_rope_freq_base(arch.rope_theta)
    writer.add_layer_norm_rms_eps(arch.rms_norm_eps)
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([3 if token in SPECIALS else 1 for token, _ in vocabulary])
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template("{{ messages[0]['content'] }}")

    def add(name: str, shape: tuple[int, ...], kind: gguf.GGMLQuantizationType) -> None:
        values = rng.normal(0, 0.1, shape).astype(np.float32)
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    f32, q8 = gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.Q8_0
    heads = {"attn_q": arch.num_attention_heads, "attn_k": arch.num_key_value_heads, "attn_v": arch.num_key_value_heads}
    add("token_embd.weight", (arch.vocab_size, arch.hidden_size), q8)
    for layer in range(arch.num_hidden_layers):
        for norm in ("attn_norm", "ffn_norm"):
            add(f"blk.{layer}.{norm}.weight", (arch.hidden_size,), f32)
        for name, kind in QUANTISED.items():
            rows, columns = heads.get(name, 4) * arch.head_dim, arch.hidden_size
            if name in ("ffn_gate", "ffn_up"):
                rows = arch.intermediate_size
            elif name == "ffn_down":
                columns = arch.intermediate_size
            add(f"blk.{layer}.{name}.weight", (rows, columns), (gate or kind) if name == "ffn_gate" else kind)
    add("output_norm.weight", (arch.hidden_size,), f32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
