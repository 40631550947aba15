"""GGUF tensors of a Llama to the bundle's names and codecs, without loss."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bundle.codecs import EncodedTensor, pack_nibbles
from ..bundle.manifest import Architecture
from ..errors import MambascopeError
from .gguf import GgufFile

U8 = npt.NDArray[np.uint8]
Parts = Mapping[str, npt.NDArray[np.generic]]

_TOP_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_LAYER_PATTERN = re.compile(r"blk\.(\d+)\.(\w+)\.weight")


def read_architecture(gguf: GgufFile) -> Architecture:
    """The model's shape from the metadata. Raises `gguf-architecture` for anything but a plain Llama."""
    meta = gguf.metadata
    name = meta.get("general.architecture")
    if name != "llama":
        raise _unsupported(f"The file holds the architecture {name!r}; only 'llama' can be imported.")
    scaling = meta.get("llama.rope.scaling.type", "none")
    if scaling != "none" or "rope_freqs.weight" in gguf.tensors:
        raise _unsupported("The model scales its rotary embedding, which the graphs here do not.")
    if meta.get("llama.expert_count", 0):
        raise _unsupported("The model is a mixture of experts.")

    heads = _positive(meta, "llama.attention.head_count")
    hidden = _positive(meta, "llama.embedding_length")
    head_dim = _positive(meta, "llama.attention.key_length", hidden // heads)
    if _positive(meta, "llama.rope.dimension_count", head_dim) != head_dim:
        raise _unsupported("The model rotates only a part of each head.")
    embedding = gguf.tensors.get("token_embd.weight")
    if embedding is None:
        raise _unsupported("The file has no token_embd.weight.")
    return Architecture(
        hidden_size=hidden,
        intermediate_size=_positive(meta, "llama.feed_forward_length"),
        num_hidden_layers=_positive(meta, "llama.block_count"),
        num_attention_heads=heads,
        num_key_value_heads=_positive(meta, "llama.attention.head_count_kv", heads),
        head_dim=head_dim,
        vocab_size=embedding.shape[0],
        max_position_embeddings=_positive(meta, "llama.context_length"),
        rms_norm_eps=_shortest(meta.get("llama.attention.layer_norm_rms_epsilon", 1e-5)),
        rope_theta=_shortest(meta.get("llama.rope.freq_base", 10000.0)),
        tie_word_embeddings="output.weight" not in gguf.tensors,
    )


def _unsupported(message: str) -> MambascopeError:
    return MambascopeError("gguf-architecture", message, "Choose a plain Llama model, such as SmolLM2 or TinyLlama.")


def _positive(meta: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = meta.get(key, default)
    if not isinstance(value, int) or value < 1:
        raise MambascopeError(
            "gguf-corrupt", f"The file's {key} is {value!r}, not a positive whole number.", "Download the file again."
        )
    return value


def _shortest(value: float) -> float:
    """The shortest decimal that has this float32 value: 1e-05 instead of 9.999999747378752e-06."""
    return float(str(np.float32(value)))


def bundle_name(name: str) -> str:
    """`blk.3.attn_q.weight` to `model.layers.3.self_attn.q_proj.weight`. Raises `gguf-architecture`."""
    if name in _TOP_NAMES:
        return _TOP_NAMES[name]
    match = _LAYER_PATTERN.fullmatch(name)
    if match and match[2] in _LAYER_NAMES:
        return f"model.layers.{int(match[1])}.{_LAYER_NAMES[match[2]]}.weight"
    raise _unsupported(f"The file has a tensor {name}, which a plain Llama has not.")


def _half_split_rows(rows: int, heads: int) -> npt.NDArray[np.intp]:
    """Row order that turns interleaved rotary pairs (GGUF: 2i, 2i+1) into half-split ones (i, i + d/2)."""
    return np.arange(rows).reshape(heads, -1, 2).swapaxes(1, 2).reshape(-1)


def _f16(raw: U8, begin: int) -> npt.NDArray[np.float16]:
    return np.ascontiguousarray(raw[..., begin : begin + 2]).view("<f2")[..., 0]


def _repack_nibbles(qs: U8) -> U8:
    """GGUF holds element j low and j+16 high in byte j; the bundle holds neighbours."""
    return pack_nibbles(np.concatenate([qs & 0x0F, qs >> 4], axis=-1))


def _convert_f32(raw: U8) -> tuple[str, Parts]:
    return "f32", {"data": np.ascontiguousarray(raw).view("<f4")}


def _convert_f16(raw: U8) -> tuple[str, Parts]:
    return "f16", {"data": np.ascontiguousarray(raw).view("<f2")}


def _convert_bf16(raw: U8) -> tuple[str, Parts]:
    bits = np.ascontiguousarray(raw).view("<u2").astype(np.uint32) << 16
    return "f32", {"data": bits.view(np.float32)}


def _convert_q8_0(raw: U8) -> tuple[str, Parts]:
    blocks = raw.reshape(raw.shape[0], -1, 34)
    q = blocks[..., 2:] ^ 0x80  # int8 + 128 as uint8: the sign bit flips
    return "q8_0", {"q": q.reshape(raw.shape[0], -1), "scale": _f16(blocks, 0)}


def _convert_q4_0(raw: U8) -> tuple[str, Parts]:
    blocks = raw.reshape(raw.shape[0], -1, 18)
    return "q4_0", {"q": _repack_nibbles(blocks[..., 2:]), "scale": _f16(blocks, 0)}


def _convert_q4_1(raw: U8) -> tuple[str, Parts]:
    blocks = raw.reshape(raw.shape[0], -1, 20)
    return "q4_1", {"q": _repack_nibbles(blocks[..., 4:]), "scale": _f16(blocks, 0), "min": _f16(blocks, 2)}


_CONVERTERS: dict[str, Callable[[U8], tuple[str, Parts]]] = {
    "F32": _convert_f32,
    "F16": _convert_f16,
    "BF16": _convert_bf16,
    "Q8_0": _convert_q8_0,
    "Q4_0": _convert_q4_0,
    "Q4_1": _convert_q4_1,
}


def convert_tensor(gguf: GgufFile, name: str, architecture: Architecture) -> EncodedTensor:
    """One GGUF tensor in the bundle's layout; every value stays bit for bit the same (rows of q and k move)."""
    info, raw, target = gguf.tensors[name], gguf.raw(name), bundle_name(name)
    expected = architecture.tensor_shapes().get(target)
    if info.shape != expected:
        raise MambascopeError(
            "gguf-corrupt",
            f"Tensor {name} has the shape {list(info.shape)}; the file's metadata asks for {expected}.",
            "Download the file again.",
        )
    if target.endswith("q_proj.weight"):
        raw = raw[_half_split_rows(raw.shape[0], architecture.num_attention_heads)]
    elif target.endswith("k_proj.weight"):
        raw = raw[_half_split_rows(raw.shape[0], architecture.num_key_value_heads)]
    codec, parts = _CONVERTERS[info.type.name](raw)
    if len(info.shape) == 1 and codec in ("f32", "f16"):
        parts = {"data": parts["data"].reshape(info.shape)}
    return EncodedTensor(codec, info.shape, {part: np.ascontiguousarray(value) for part, value in parts.items()})
