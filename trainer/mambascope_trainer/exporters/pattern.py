"""The text form of a layer pattern (docs/contracts.md, section 2): `a.m~attn50.a2.m2~aligned`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import MambascopeError

_RUN = re.compile(r"(?:(a)|([ms]))([1-9]\d{0,3})?(?:(?<!a)~([A-Za-z0-9][A-Za-z0-9_-]{0,63}))?")
_KINDS = {"m": "mamba2", "s": "mamba"}


def parse_pattern(text: str, layers: int) -> list[str]:
    """One mixer name a layer. Raises `pattern` for text that is none, or is one of another number of layers."""
    names: list[str] = []
    for run in text.split("."):
        match = _RUN.fullmatch(run)
        if match is None or (match[1] is None) == (match[4] is None):
            raise _wrong(f"{run!r} in {text!r} is no run of layers")
        names += ["attention" if match[1] else f"{_KINDS[match[2]]}:{match[4]}"] * int(match[3] or 1)
    if len(names) != layers:
        raise _wrong(f"{text!r} has {len(names)} layers, the model {layers}")
    return names


def format_pattern(layers: Sequence[str]) -> str:
    """The shortest text of a pattern."""
    runs: list[tuple[str, int]] = []
    for name in layers:
        if runs and runs[-1][0] == name:
            runs[-1] = (name, runs[-1][1] + 1)
        else:
            runs.append((name, 1))
    letters = {kind: letter for letter, kind in _KINDS.items()}
    texts = []
    for name, count in runs:
        kind, _, mixer_set = name.partition(":")
        letter = "a" if kind == "attention" else letters[kind]
        texts.append(f"{letter}{count if count > 1 else ''}{f'~{mixer_set}' if mixer_set else ''}")
    return ".".join(texts)


def _wrong(why: str) -> MambascopeError:
    return MambascopeError(
        "pattern",
        f"The layer pattern cannot be used: {why}.",
        "Write runs joined by dots, 'a' (attention) or 'm~<set>' (mamba2), with a count if not 1: a.m~attn50.a2.",
    )
