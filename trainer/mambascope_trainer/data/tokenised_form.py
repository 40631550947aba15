"""Plain text in WikiText's tokenised form (arXiv 1609.07843, section 4.3), as a data augmentation.

Benchmarks in this form have spaces round punctuation, " @-@ " inside compounds, " @,@ " and " @.@ " inside numbers,
" = Heading = " lines, and <unk> for rare words. A student that has read none of it differs from its teacher there most.
"""

from __future__ import annotations

import re
from collections.abc import Callable

UNKNOWN = "<unk>"

_PLAIN = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'"})
_HEADING = re.compile(r"(#{1,6})\s+(.*?)\s*#*\s*$")
_TOKEN = re.compile(
    r"""(?P<number>\d+(?:[.,]\d+)+)
    | (?P<kept>(?:[A-Za-z]\.){2,} | (?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|Inc|Ltd|Co|No|Lt|Col|Gen)\.(?=\s) | \.{3})
    | (?P<ending>(?<=\w)'(?:s|t|re|ve|ll|d|m)\b)
    | (?P<word>\w+(?:-\w+)*)
    | (?P<mark>[^\w\s])""",
    re.VERBOSE,
)


def tokenised(text: str, rare: Callable[[str], bool] = lambda word: False) -> str:
    """The text in WikiText's form; words for which `rare` is true become <unk>. Markdown headings become its own."""
    return "".join(_line(line, rare) + "\n" for line in text.translate(_PLAIN).split("\n"))


def _line(line: str, rare: Callable[[str], bool]) -> str:
    heading = _HEADING.match(line)
    if heading:
        marks = " ".join("=" * len(heading[1]))
        return f" {marks} {_spaced(heading[2], rare)} {marks} "
    spaced = _spaced(line, rare)
    return f" {spaced} " if spaced else " "


def _spaced(line: str, rare: Callable[[str], bool]) -> str:
    return " ".join(_form(match, rare) for match in _TOKEN.finditer(line))


def _form(match: re.Match[str], rare: Callable[[str], bool]) -> str:
    token = match[0]
    if match.lastgroup == "number":
        return re.sub(r"[.,]", lambda mark: f" @{mark[0]}@ ", token)
    if match.lastgroup == "word":
        return " @-@ ".join(UNKNOWN if part.isalpha() and rare(part) else part for part in token.split("-"))
    return token
