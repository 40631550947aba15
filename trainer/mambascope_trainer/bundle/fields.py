"""Typed reading of JSON objects, with errors that name the place."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from ..errors import MambascopeError


def invalid(where: str, why: str) -> MambascopeError:
    return MambascopeError(
        "manifest-invalid",
        f"The bundle's manifest is not valid at {where}: {why}.",
        "Fetch or export the bundle again with this version of the program.",
    )


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


class Reader:
    """Reads fields of one JSON object once each; `done` refuses those that were not read."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise invalid(path, "it is not an object")
        self.path = path
        self._value: dict[str, Any] = dict(value)

    def _take(self, name: str) -> Any:
        if name not in self._value:
            raise invalid(self.path, f"{name} is missing")
        return self._value.pop(name)

    def _expect(self, good: bool, name: str, what: str) -> None:
        if not good:
            raise invalid(f"{self.path}.{name}", f"it is not {what}")

    def done(self) -> None:
        if self._value:
            raise invalid(self.path, f"it has unknown fields: {', '.join(self._value)}")

    def text(self, name: str, pattern: re.Pattern[str] | None = None) -> str:
        value = self._take(name)
        good = isinstance(value, str) and (pattern is None or pattern.fullmatch(value) is not None)
        self._expect(good, name, "a text" + (f" of the form {pattern.pattern}" if pattern else ""))
        return str(value)

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._take(name)
        self._expect(isinstance(value, list) and all(isinstance(item, str) for item in value), name, "a list of texts")
        return tuple(value)

    def integer(self, name: str, minimum: int) -> int:
        value = self._take(name)
        self._expect(_is_integer(value) and value >= minimum, name, f"a whole number of at least {minimum}")
        return int(value)

    def optional_integer(self, name: str) -> int | None:
        if name in self._value and self._value[name] is None:
            self._value.pop(name)
            return None
        return self.integer(name, 0)

    def integers(self, name: str) -> tuple[int, ...]:
        value = self._take(name)
        good = isinstance(value, list) and all(_is_integer(item) and item >= 0 for item in value)
        self._expect(good, name, "a list of whole numbers")
        return tuple(value)

    def span(self, name: str) -> tuple[int, int]:
        values = self.integers(name)
        self._expect(len(values) == 2 and values[0] <= values[-1], name, "a byte range [begin, end)")
        return values[0], values[1]

    def positive(self, name: str) -> float:
        value = self._take(name)
        good = (_is_integer(value) or isinstance(value, float)) and math.isfinite(value) and value > 0
        self._expect(good, name, "a positive number")
        return float(value)

    def flag(self, name: str) -> bool:
        """A field that is true or left out."""
        if name not in self._value:
            return False
        self._expect(self._take(name) is True, name, "true (leave it out otherwise)")
        return True

    def boolean(self, name: str) -> bool:
        value = self._take(name)
        self._expect(isinstance(value, bool), name, "true or false")
        return bool(value)

    def free(self, name: str, optional: bool = False) -> dict[str, Any]:
        value = self._value.pop(name, {}) if optional else self._take(name)
        self._expect(isinstance(value, dict), name, "an object")
        return dict(value)

    def child(self, name: str) -> Reader:
        return Reader(self._take(name), f"{self.path}.{name}")

    def optional_child(self, name: str) -> Reader | None:
        return self.child(name) if name in self._value else None

    def children(self, name: str, pattern: re.Pattern[str] | None = None) -> Iterator[tuple[str, Reader]]:
        for key, value in self.free(name).items():
            if pattern is not None and not pattern.fullmatch(key):
                raise invalid(f"{self.path}.{name}", f"{key!r} is not a name of the form {pattern.pattern}")
            yield key, Reader(value, f"{self.path}.{name}[{key}]")
