"""JSON lines, read one at a time; a bad line is named by file and number."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DataError


class LineError(DataError):
    """A line of a file that cannot be used."""

    def __init__(self, path: Path, number: int, problem: str) -> None:
        super().__init__(f"{path}, line {number}: {problem}", "Correct the line, or remove it.")
        self.path, self.number, self.problem = path, number, problem


@dataclass(frozen=True)
class Line:
    """One JSON object and where it stands."""

    path: Path
    number: int
    record: dict[str, Any]

    def fail(self, problem: str) -> LineError:
        """The error to raise for this line."""
        return LineError(self.path, self.number, problem)


def read_lines(path: Path) -> Iterator[Line]:
    """The objects of a file. Raises as `parse_lines`."""
    with path.open("rb") as file:
        yield from parse_lines(path, file)


def parse_lines(path: Path, lines: Iterable[bytes], first: int = 1) -> Iterator[Line]:
    """The objects of some lines of a file, the first of them number `first`; empty lines are passed over.

    Raises LineError for what is no JSON object or no UTF-8.
    """
    for number, raw in enumerate(lines, first):
        if not raw or raw.isspace():
            continue
        try:
            record = json.loads(raw)
        except UnicodeDecodeError:
            raise LineError(path, number, "not UTF-8") from None
        except json.JSONDecodeError as error:
            raise LineError(path, number, f"not JSON ({error})") from None
        if not isinstance(record, dict):
            raise LineError(path, number, f"expected a JSON object, found {_kind(record)}")
        yield Line(path, number, record)


def _kind(value: Any) -> str:
    names = {list: "a list", str: "a string", bool: "a truth value", int: "a number", float: "a number"}
    return names.get(type(value), "null")
