"""What `prepare` reads: local files and folders, and Hugging Face datasets, each with its share and limit."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .documents import PIECE, Piece, files_of, pieces
from .errors import DataError
from .recipe import file_digest

_OPTION = re.compile(r"(share|limit|documents|field|split)=([^,=]*)")
_COLUMNS = ("messages", "prompt", "completion")


class Source(BaseModel):
    """A file or folder, or a dataset of a hub."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1, description="Path, or dataset[:config]")
    hub: bool = False
    share: float | None = Field(default=None, gt=0, description="Share of the tokens; none: all of them")
    limit: int | None = Field(default=None, gt=0, description="Read at most so many documents")
    documents: Literal["file", "paragraph", "line"] = Field(
        default="file", description="What is a document of a plain text file"
    )
    field: str = Field(default="text", min_length=1, description="The field that holds a record's text")
    split: str = Field(default="train", min_length=1, description="Split of a dataset")
    excluded: bool = Field(default=False, description="Only to drop from the others what says nearly the same")

    def pieces(self) -> Iterator[Piece]:
        """The source's files in order. Raises DataError if it is not there."""
        if self.hub:
            yield from _dataset_pieces(self)
            return
        for path in files_of(Path(self.name)):
            yield from pieces(path, self.documents, self.field)

    def describe(self) -> dict[str, Any]:
        """For the recipe: the settings, and what the files hold. A dataset is known by its name."""
        settings = self.model_dump(exclude_defaults=True)
        if self.hub:
            return settings
        files = [
            {"path": str(p), "bytes": p.stat().st_size, "sha256": file_digest(p)} for p in files_of(Path(self.name))
        ]
        return {**settings, "files": files}


def parse_source(text: str, hub: bool = False, **defaults: Any) -> Source:
    """`name[,share=0.5][,limit=1000][,documents=line][,field=content][,split=train]`.

    Raises DataError naming the option that is wrong.
    """
    name, options = text, dict[str, str]()
    while (match := re.search(r",([^,]*)$", name)) and (option := _OPTION.fullmatch(match[1])):
        options.setdefault(option[1], option[2])
        name = name[: match.start()]
    try:
        return Source.model_validate({**defaults, **options, "name": name, "hub": hub})
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise DataError(f"the source {text!r} is not valid: {wrong}", "Correct it and start again.") from None


def _dataset_pieces(source: Source) -> Iterator[Piece]:
    """A dataset's records as JSON lines. Raises DataError if `datasets` is missing or the hub is out of reach."""
    if importlib.util.find_spec("datasets") is None:
        raise DataError(
            f"reading the dataset {source.name} needs the Python package datasets",
            "Install it (pip install datasets), or give local files with --source.",
        )
    import datasets

    name, _, config = source.name.partition(":")
    path, number, lines, size = Path(f"{source.name}:{source.split}"), 1, list[bytes](), 0
    try:
        for record in datasets.load_dataset(name, config or None, split=source.split, streaming=True):
            kept = {key: record[key] for key in (*_COLUMNS, source.field) if record.get(key) is not None}
            lines.append(json.dumps(kept).encode())
            size += len(lines[-1]) + 1
            if size >= PIECE:
                yield Piece(path, number, b"\n".join(lines), "jsonl", source.field)
                number, lines, size = number + len(lines), [], 0
    except Exception as error:  # the hub's client raises errors of several libraries
        raise DataError(
            f"the dataset {source.name} cannot be read: {type(error).__name__}: {error}",
            "Check its name, config and split and that the hub can be reached, or give local files with --source.",
        ) from error
    if lines:
        yield Piece(path, number, b"\n".join(lines), "jsonl", source.field)
