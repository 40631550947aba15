"""A GGUF's byte-level BPE tokenizer as Hugging Face's tokenizer.json and tokenizer_config.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..bundle.manifest import SpecialTokens
from ..errors import MambascopeError

_CONTROL, _USER_DEFINED = 3, 4
# Texts that end a turn or a document in the chat formats of Llama-like models, whatever else the metadata names.
_END_TEXTS = {"<|endoftext|>", "<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "</s>"}


def _byte_level(use_regex: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


_LLAMA3_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_PRE_TOKENIZERS: dict[str, dict[str, Any]] = {
    "smollm": {
        "type": "Sequence",
        # The same as Digits(individual_digits), which the browser's package narrows to ASCII digits.
        "pretokenizers": [_split(r"\p{N}"), _byte_level(use_regex=True)],
    },
    "gpt-2": _byte_level(use_regex=True),
    "llama-bpe": {"type": "Sequence", "pretokenizers": [_split(_LLAMA3_PATTERN), _byte_level(use_regex=False)]},
}


def _required(meta: Mapping[str, Any], key: str, kind: type) -> Any:
    value = meta.get(key)
    if not isinstance(value, kind):
        raise MambascopeError(
            "gguf-tokenizer", f"The file's metadata has no usable {key}.", "Use a GGUF file with its tokenizer inside."
        )
    return value


def tokenizer_json(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The content of tokenizer.json. Raises `gguf-tokenizer` for a tokenizer that is not byte-level BPE."""
    model, pre = meta.get("tokenizer.ggml.model"), meta.get("tokenizer.ggml.pre")
    if model != "gpt2" or pre not in _PRE_TOKENIZERS:
        raise MambascopeError(
            "gguf-tokenizer",
            f"The tokenizer ({model}, pre-tokenizer {pre}) cannot be converted.",
            f"Use a model with a byte-level BPE tokenizer, pre-tokenizer one of: {', '.join(_PRE_TOKENIZERS)}.",
        )
    tokens: list[str] = _required(meta, "tokenizer.ggml.tokens", list)
    types: list[int] = _required(meta, "tokenizer.ggml.token_type", list)
    merges: list[str] = _required(meta, "tokenizer.ggml.merges", list)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    if len(vocabulary) != len(tokens) or len(types) != len(tokens):
        raise MambascopeError("gguf-corrupt", "The file's tokens and token types disagree.", "Download the file again.")
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": index,
                "content": tokens[index],
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": kind == _CONTROL,
            }
            for index, kind in enumerate(types)
            if kind in (_CONTROL, _USER_DEFINED)
        ],
        "normalizer": None,
        "pre_tokenizer": _PRE_TOKENIZERS[pre],
        "post_processor": None,
        "decoder": _byte_level(use_regex=True),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": pre == "llama-bpe",
            "vocab": vocabulary,
            "merges": [merge.split(" ") for merge in merges],
        },
    }


def tokenizer_config(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The content of tokenizer_config.json: special tokens, length and chat template."""
    tokens: list[str] = _required(meta, "tokenizer.ggml.tokens", list)

    def token(name: str) -> str | None:
        index = meta.get(f"tokenizer.ggml.{name}_token_id")
        return tokens[index] if isinstance(index, int) and 0 <= index < len(tokens) else None

    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "bos_token": token("bos"),
        "eos_token": token("eos"),
        "unk_token": token("unknown"),
        "pad_token": token("padding"),
        "model_max_length": meta.get("llama.context_length"),
        "chat_template": meta.get("tokenizer.chat_template"),
    }
    return {name: value for name, value in config.items() if value is not None}


def special_tokens(meta: Mapping[str, Any]) -> SpecialTokens:
    """The ids that generation needs; every control token that closes a turn or a document ends a text."""
    tokens: list[str] = _required(meta, "tokenizer.ggml.tokens", list)
    types: list[int] = _required(meta, "tokenizer.ggml.token_type", list)
    eos = meta.get("tokenizer.ggml.eos_token_id")
    ends = [eos] if isinstance(eos, int) else []
    ends += [i for i, kind in enumerate(types) if kind == _CONTROL and tokens[i] in _END_TEXTS and i not in ends]
    bos = meta.get("tokenizer.ggml.bos_token_id") if meta.get("tokenizer.ggml.add_bos_token") else None
    return SpecialTokens(bos=bos, eos=tuple(ends), pad=meta.get("tokenizer.ggml.padding_token_id"))


def dump(document: Mapping[str, Any]) -> bytes:
    """UTF-8 JSON; the same document always gives the same bytes."""
    return (json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n").encode("utf-8")
