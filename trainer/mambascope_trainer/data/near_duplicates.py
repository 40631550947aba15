"""Texts and token rows that say nearly the same: MinHash signatures, compared in bands.

One-permutation MinHash (Li, Owen, Zhang 2012) with rotation for empty bins, and banded look-up (Leskovec, Rajaraman,
Ullman, "Mining of Massive Datasets", section 3.4). Everything is a NumPy pass over arrays: no set of a text's words.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

#: Numbers of a signature; bands of ROWS of them find 99.8% of the pairs of similarity 0.8.
BINS, ROWS = 120, 6
#: Bytes of a text's shingle, which starts at a word.
SHINGLE = 40
#: A text of fewer shingles is compared exactly only.
FEWEST = 16

_BASE, _INVERSE = 0x9E3779B97F4A7C15, pow(0x9E3779B97F4A7C15, -1, 2**64)
_NO_LETTERS = re.compile(r"\W+")


def normalise(text: str) -> bytes:
    """Lower case, letters and digits alone, words a space apart."""
    return _NO_LETTERS.sub(" ", text.lower()).strip().encode("utf-8", "surrogatepass")


def exact_hash(normalised: bytes) -> int:
    """64 bits; equal for texts that differ in case, space and punctuation alone."""
    return int.from_bytes(blake2b(normalised, digest_size=8).digest(), "little")


def window_hashes(values: npt.NDArray[np.integer[Any]], width: int) -> Hashes:
    """A hash of every run of `width` values, (n - width + 1,); of the whole if it is shorter.

    A polynomial in an odd base modulo 2^64: prefix sums, a difference, and a power's inverse undo the place.
    """
    count = len(values)
    width = min(width, count)
    if count == 0:
        return np.zeros(0, np.uint64)
    powers = np.full(count, _BASE, np.uint64)
    inverses = np.full(count - width + 1, _INVERSE, np.uint64)
    powers[0] = inverses[0] = 1
    sums = np.zeros(count + 1, np.uint64)
    np.cumsum((values.astype(np.uint64) + np.uint64(1)) * np.cumprod(powers), out=sums[1:])
    return _mixed((sums[width:] - sums[:-width]) * np.cumprod(inverses))


def text_signature(normalised: bytes) -> npt.NDArray[np.uint16] | None:
    """(BINS,) of a normalised text, None if it is too short to compare."""
    raw = np.frombuffer(normalised, np.uint8)
    hashes = window_hashes(raw, SHINGLE)
    starts = np.flatnonzero(raw[: max(len(hashes) - 1, 0)] == ord(" ")) + 1
    return None if len(starts) + 1 < FEWEST else signature(hashes[np.concatenate([[0], starts])])


def signature(hashes: Hashes) -> npt.NDArray[np.uint16]:
    """(BINS,): the share of equal numbers in two signatures estimates the Jaccard similarity of their sets."""
    if len(hashes) == 0:
        return np.zeros(BINS, np.uint16)
    bins = (hashes % np.uint64(BINS)).astype(np.int64)
    least = np.full(BINS, 2**64 - 1, np.uint64)
    np.minimum.at(least, bins, hashes // np.uint64(BINS))
    filled = np.flatnonzero(np.bincount(bins, minlength=BINS))
    # An empty bin takes the next filled one's value, changed by how far it is.
    source = filled[np.searchsorted(filled, np.arange(BINS)) % len(filled)]
    distance = (source - np.arange(BINS)) % BINS
    return (_mixed(least[source] + distance.astype(np.uint64) * np.uint64(_BASE)) & np.uint64(0xFFFF)).astype(np.uint16)


def later_duplicates(signatures: npt.NDArray[np.uint16], threshold: float) -> npt.NDArray[np.bool_]:
    """(n,): whether a signature agrees to `threshold` with the first one of some band; signatures are (n, BINS)."""
    count = len(signatures)
    found = np.zeros(count, np.bool_)
    places = np.arange(count)
    for band in range(0, BINS, ROWS):
        keys = np.zeros(count, np.uint64)
        for column in range(band, band + ROWS):
            keys = _mixed(keys * np.uint64(_BASE) + signatures[:, column])
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        earlier = first[inverse]
        candidates = places[(earlier != places) & ~found]
        for part in np.array_split(candidates, len(candidates) // 65536 + 1):
            agreement = (signatures[part] == signatures[earlier[part]]).mean(axis=1)
            found[part[agreement >= threshold]] = True
    return found


def _mixed(x: Hashes) -> Hashes:
    """The finaliser of SplitMix64: every bit of the input moves every bit of the output."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class RowFilter:
    """Drops token rows that repeat themselves, or repeat a row that passed before.

    Runs of `width` tokens are compared, a hash-chosen sixteenth of them; those of `ignored` (a chat's markers) count
    for nothing.
    """

    def __init__(self, ignored: list[list[int]], width: int = 16, most_seen: float = 0.5) -> None:
        self.width, self.most_seen = width, most_seen
        self.ignored = np.concatenate(
            [np.zeros(0, np.uint64), *(self._hashes(np.array(i)) for i in ignored if len(i) >= width)]
        )
        self.seen: set[int] = set()

    def keep(self, rows: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
        """(n,): which of the rows (n, length) to keep; those count as seen from now on."""
        return np.array([self._passes(row) for row in rows], np.bool_)

    def _passes(self, row: npt.NDArray[np.integer[Any]]) -> bool:
        hashes = self._hashes(row)
        hashes = hashes[~np.isin(hashes, self.ignored)]
        chosen = hashes[hashes % np.uint64(16) == 0]
        if len(chosen) < 4:  # too few to judge by: the whole row alone
            chosen = hashes[:1] if len(np.unique(hashes)) * 2 > len(hashes) else hashes[:0]
        own = set(chosen.tolist())
        if not own or len(own) <= (1 - self.most_seen) * len(chosen):
            return False
        if len(own & self.seen) >= self.most_seen * len(own):
            return False
        self.seen |= own
        return True

    def _hashes(self, ids: npt.NDArray[np.integer[Any]]) -> Hashes:
        return window_hashes(ids, self.width)
