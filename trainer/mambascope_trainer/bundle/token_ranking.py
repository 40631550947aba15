"""A family's tokens by falling frequency: what a draft's head may be cut to. Format: docs/contracts.md."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import MambascopeError
from .fields import Reader, invalid
from .names import FILE_PATTERN, SHA256_PATTERN
from .safetensors import write_atomic

if TYPE_CHECKING:
    from .bundle import Bundle

FILE = "token-ranking.bin"


@dataclass(frozen=True)
class TokenRanking:
    """The manifest's entry of the ranking: `count` ids, little-endian uint32, in a file of its own."""

    file: str
    bytes: int
    sha256: str
    count: int


def parse_token_ranking(reader: Reader, vocabulary: int) -> TokenRanking:
    """Checks the manifest's field. Raises `manifest-invalid`."""
    found = TokenRanking(
        reader.text("file", FILE_PATTERN),
        reader.integer("bytes", 4),
        reader.text("sha256", SHA256_PATTERN),
        reader.integer("count", 1),
    )
    reader.done()
    if found.bytes != 4 * found.count or found.count > vocabulary:
        raise invalid(reader.path, f"{found.count} tokens of {vocabulary} do not take {found.bytes} bytes")
    return found


def rank_tokens(
    counts: npt.NDArray[np.int64], special: Iterable[int], count: int, within: int = 256
) -> npt.NDArray[np.uint32]:
    """The `count` most frequent ids of `counts` (V,), ties by the smaller id; `special` ones among the first `within`.

    A special token that is rarer than that takes the last places of the first `within`.
    """
    order = np.argsort(-counts, kind="stable")
    wanted = sorted(set(special))
    within = max(min(within, count), len(wanted))
    rare = [i for i in wanted if i not in order[:within]]
    # Room for them at the end of the head, so that those before keep their order.
    head = [i for i in order[:within].tolist() if i in wanted or i not in rare]
    while rare and len(head) + len(rare) > within:
        head.remove(next(i for i in reversed(head) if i not in wanted))
    head += sorted(rare, key=lambda i: (-counts[i], i))
    rest = order[~np.isin(order, head)]
    return np.concatenate([np.array(head, dtype=np.int64), rest])[:count].astype(np.uint32)


def write_ranking(folder: Path, ids: npt.NDArray[np.uint32]) -> TokenRanking:
    """Writes the file whole or not at all; its manifest entry."""
    written = write_atomic(folder / FILE, [ids.astype("<u4").tobytes()])
    return TokenRanking(FILE, written.bytes, written.sha256, len(ids))


def read_ranking(bundle: Bundle) -> npt.NDArray[np.int64] | None:
    """The family's ids by falling frequency, None if it has no ranking.

    Raises `file-missing`, `checksum-mismatch`, or `token-ranking` if ids recur or are none of the vocabulary's.
    """
    entry = bundle.manifest.token_ranking
    if entry is None:
        return None
    data = bundle.path(entry.file).read_bytes()
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise MambascopeError(
            "checksum-mismatch",
            f"The file {entry.file} of the family {bundle.manifest.family} is damaged.",
            "Make it again with `python -m mambascope_trainer token-ranking`.",
        )
    ids = np.frombuffer(data, "<u4").astype(np.int64)
    fault = ranking_fault(ids, bundle.manifest.architecture.vocab_size)
    if fault is not None:
        raise MambascopeError(
            "token-ranking",
            f"The token ranking {entry.file} of the family {bundle.manifest.family} is not one: {fault}.",
            "Make it again with `python -m mambascope_trainer token-ranking`.",
        )
    return ids


def ranking_fault(ids: npt.NDArray[Any], vocabulary: int) -> str | None:
    """Why ids are no ranking of a vocabulary, None if they are."""
    if int(ids.max()) >= vocabulary:
        return f"token {int(ids.max())} is not one of {vocabulary}"
    return "a token occurs twice" if len(np.unique(ids)) != len(ids) else None
