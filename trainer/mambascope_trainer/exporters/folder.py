"""Files that every exported folder has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from .source import ExportSource


def write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_tokenizer(folder: Path, source: ExportSource) -> None:
    """tokenizer.json, its config, and generation_config.json with the tokens that end a text."""
    (folder / "tokenizer.json").write_bytes(source.tokenizer)
    write_json(folder / "tokenizer_config.json", source.tokenizer_config)
    write_json(folder / "generation_config.json", {"_from_model_config": False, **token_ids(source)})


def token_ids(source: ExportSource) -> dict[str, Any]:
    """Special tokens in transformers' names; those that the family does not have are left out."""
    special = source.special_tokens
    ids = {"bos_token_id": special.bos, "eos_token_id": list(special.eos) or None, "pad_token_id": special.pad}
    return {name: value for name, value in ids.items() if value is not None}
