"""Documents in local files: chats, prompts with completions, and plain text, read in pieces that any process can parse.

JSON lines (.jsonl, .json; .gz of either) hold one object a line:
    {"messages": [{"role": …, "content": …}, …]}
    {"prompt": text or messages, "completion": text}
    {"text": "…"}                                       or another field, named by `field`
Any other file is plain text in UTF-8.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

from .errors import DataError
from .jsonl import Line, LineError, parse_lines

Messages = list[dict[str, str]]
Split = Literal["file", "paragraph", "line"]

#: About how many bytes are handed to a process at a time.
PIECE = 1 << 20
#: A plain text file beyond this size is cut at paragraphs to documents of about a piece each.
LARGEST_TEXT = 4 * PIECE

#: The longest stretch that ends with a line, or with a blank line.
_TO_LINE_END = re.compile(rb".*\n", re.DOTALL)
_TO_BLANK_LINE = re.compile(rb".*\n[ \t\r]*\n", re.DOTALL)
_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_LEADING_BLANK_LINES = re.compile(r"\A(?:[ \t]*\n)+")


@dataclass(frozen=True)
class Document:
    """One text or one chat, and the line of its file that it starts in (of plain text: its piece does)."""

    text: str = ""
    messages: tuple[dict[str, str], ...] = ()
    line: int = 1


@dataclass(frozen=True)
class Piece:
    """Some whole documents of a file, still as bytes."""

    path: Path
    first_line: int
    data: bytes
    form: Literal["jsonl", "paragraphs", "lines", "text"]
    field: str = "text"


def pieces(path: Path, split: Split = "file", field: str = "text") -> Iterator[Piece]:
    """A file in pieces; `split` says what is a document of a plain text file."""
    lines = path.suffixes[-2:] if path.suffix == ".gz" else path.suffixes[-1:]
    with _open(path) as file:
        if lines[:1] and lines[0] in (".jsonl", ".json", ".ndjson"):
            for first, data in _cut(file, _TO_LINE_END):
                yield Piece(path, first, data, "jsonl", field)
            return
        if split == "file":
            start = file.read(LARGEST_TEXT + 1)
            if len(start) <= LARGEST_TEXT:
                yield Piece(path, 1, start, "text")
                return
        else:
            start = b""
        for first, data in _cut(file, _TO_LINE_END if split == "line" else _TO_BLANK_LINE, start):
            yield Piece(path, first, data, "text" if split == "file" else "lines" if split == "line" else "paragraphs")


def _open(path: Path) -> IO[bytes]:
    return cast("IO[bytes]", gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _cut(file: IO[bytes], up_to: re.Pattern[bytes], start: bytes = b"") -> Iterator[tuple[int, bytes]]:
    """Stretches of about PIECE bytes, each but the last as `up_to` matches it, and their first lines' numbers."""
    rest, number = start, 1
    while block := file.read(PIECE):
        rest += block
        if found := up_to.match(rest):
            yield number, rest[: found.end()]
            number += rest.count(b"\n", 0, found.end())
            rest = rest[found.end() :]
    if rest:
        yield number, rest


def documents(piece: Piece) -> Iterator[Document]:
    """The documents of a piece, none empty. Raises LineError naming the line that is not one."""
    if piece.form == "jsonl":
        for line in parse_lines(piece.path, piece.data.split(b"\n"), piece.first_line):
            document = _document(line, piece.field)
            if document.messages or (not document.text.isspace() and document.text):
                yield document
        return
    try:
        text = piece.data.decode("utf-8")
    except UnicodeDecodeError as error:
        number = piece.first_line + piece.data.count(b"\n", 0, error.start)
        raise LineError(piece.path, number, "not UTF-8") from None
    text = text.replace("\r\n", "\n")
    parts = [text] if piece.form == "text" else text.split("\n") if piece.form == "lines" else paragraphs(text)
    yield from (Document(part.strip("\n"), line=piece.first_line) for part in parts if part.strip())


def paragraphs(text: str) -> list[str]:
    """What lies between a text's blank lines."""
    return _BLANK_LINES.split(_LEADING_BLANK_LINES.sub("", text))


def _document(line: Line, field: str) -> Document:
    record = line.record
    if "messages" in record:
        messages = as_messages(record["messages"])
        if messages is None:
            raise line.fail('"messages" must be a list of {"role": text, "content": text}, at least one')
        return Document(messages=tuple(messages), line=line.number)
    if "completion" in record:
        prompt, completion = as_messages(record.get("prompt")), record["completion"]
        if prompt is None:
            raise line.fail('"prompt" must be text or a list of {"role": text, "content": text}')
        if not isinstance(completion, str) or not completion:
            raise line.fail('"completion" must be text')
        turns = (*prompt, {"role": "assistant", "content": completion})
        return Document(messages=turns, line=line.number)
    if field not in record:
        raise line.fail(f'expected "messages", "prompt" and "completion", or "{field}"; found {_names(record)}')
    text = record[field]
    if not isinstance(text, str):
        raise line.fail(f'"{field}" must be text')
    return Document(text, line=line.number)


def _names(record: dict[str, Any]) -> str:
    return ", ".join(f'"{name}"' for name in list(record)[:6]) or "nothing"


def as_messages(value: Any) -> list[dict[str, str]] | None:
    """A chat as messages: text becomes one user turn; None for anything else."""
    if isinstance(value, str) and value:
        return [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        return None
    for turn in value:
        if not isinstance(turn, dict) or not all(isinstance(turn.get(key), str) for key in ("role", "content")):
            return None
    return [{"role": turn["role"], "content": turn["content"]} for turn in value]


def files_of(path: Path) -> list[Path]:
    """The file itself, or all files of a folder with names that a document may have. Raises DataError for neither."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise DataError(f"{path} does not exist", "Name a file, or a folder of .jsonl, .txt or .md files.")
    endings = (".jsonl", ".json", ".ndjson", ".txt", ".md", ".text")
    found = sorted(p for p in path.rglob("*") if p.is_file() and p.name.removesuffix(".gz").endswith(endings))
    if not found:
        raise DataError(f"{path} holds no {', '.join(endings)} file", "Name another folder.")
    return found
