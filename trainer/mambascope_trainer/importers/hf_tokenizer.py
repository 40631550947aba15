"""tokenizer.json, its config with the chat template inside, and the special tokens of a Hugging Face folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ..bundle.manifest import SpecialTokens
from ..errors import MambascopeError
from .hf_config import GenerationConfig, HuggingFaceConfig, read_model

_TEXTS = ("bos_token", "eos_token", "unk_token", "pad_token")


@dataclass(frozen=True)
class ImportedTokenizer:
    """The two files' contents, and the ids that generation needs."""

    file: bytes
    config: bytes
    special_tokens: SpecialTokens


def read_tokenizer(folder: Path, model: HuggingFaceConfig) -> ImportedTokenizer:
    """Raises `hf-tokenizer` if there is no fast tokenizer, or it has tokens that the model has not."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise _wrong("the folder has no tokenizer.json", "Save a fast tokenizer there with transformers.")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the package raises Exception itself
        raise _wrong(f"tokenizer.json cannot be read ({error})") from error
    largest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
    if largest >= model.vocab_size:
        raise _wrong(f"it has a token {largest}, the model's vocabulary ends at {model.vocab_size - 1}")
    config = _config(folder)
    content = (json.dumps(config, ensure_ascii=False, indent=1) + "\n").encode("utf-8")
    return ImportedTokenizer(path.read_bytes(), content, _special_tokens(folder, model, tokenizer, config))


def _config(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json with the chat template as one text, whichever way the folder holds it."""
    path = folder / "tokenizer_config.json"
    config: Any = {"tokenizer_class": "PreTrainedTokenizerFast"}
    if path.is_file():
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise _wrong(f"tokenizer_config.json is not JSON ({error})") from error
        if not isinstance(config, dict):
            raise _wrong("tokenizer_config.json is not an object")
    template = config.get("chat_template")
    if isinstance(template, list):
        named = {item.get("name"): item.get("template") for item in template if isinstance(item, dict)}
        template = named.get("default") or next(iter(named.values()), None)
    file = folder / "chat_template.jinja"
    if file.is_file():
        template = file.read_text(encoding="utf-8")
    if template is not None and not isinstance(template, str):
        raise _wrong("its chat template is not a text")
    rest = {name: value for name, value in config.items() if name not in ("chat_template", "auto_map")}
    return {**rest, **({} if template is None else {"chat_template": template})}


def _special_tokens(
    folder: Path, model: HuggingFaceConfig, tokenizer: Tokenizer, config: dict[str, Any]
) -> SpecialTokens:
    texts = {name: _text(config.get(name)) for name in _TEXTS}
    ids = {name: tokenizer.token_to_id(text) if text else None for name, text in texts.items()}
    generation = GenerationConfig()
    if (folder / "generation_config.json").is_file():
        generation = read_model(folder / "generation_config.json", GenerationConfig)
    # The tokenizer's is the turn's end in chat models; the others may end a document.
    ends = [ids["eos_token"], *_as_list(generation.eos_token_id), *_as_list(model.eos_token_id)]
    eos = tuple(dict.fromkeys(end for end in ends if end is not None and 0 <= end < model.vocab_size))
    pads = (ids["pad_token"], generation.pad_token_id, model.pad_token_id)
    pad = next((item for item in pads if item is not None and 0 <= item < model.vocab_size), None)
    return SpecialTokens(_prefix(tokenizer), eos, pad)


def _prefix(tokenizer: Tokenizer) -> int | None:
    """The token that the tokenizer puts before every text by itself, if it does."""
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a").ids
    return whole[0] if len(whole) > len(plain) and whole[: len(plain)] != plain else None


def _text(token: Any) -> str | None:
    content = token.get("content") if isinstance(token, dict) else token
    return content if isinstance(content, str) else None


def _as_list(ids: int | list[int] | None) -> list[int]:
    return ids if isinstance(ids, list) else [] if ids is None else [ids]


def _wrong(why: str, action: str = "Use the tokenizer files that belong to the checkpoint.") -> MambascopeError:
    return MambascopeError("hf-tokenizer", f"The tokenizer cannot be imported: {why}.", action)
