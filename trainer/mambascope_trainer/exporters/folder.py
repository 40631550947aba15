"""Writing an exported folder: all files under a temporary name beside it, then one rename."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from ..errors import MambascopeError
from .source import ExportSource


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to fill, which becomes `out` if the block succeeds. Raises `out-exists` where there is one."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise MambascopeError("out-exists", f"{out} is there already.", "Name a new folder, or remove that one.")
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(mkdtemp(dir=out.parent, prefix=f".{out.name}.", suffix=".part"))
    try:
        yield part
        part.chmod(0o755)
        part.replace(out)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


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
