"""MinHash signatures against sets, and the filter of sampled rows."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mambascope_trainer.data.near_duplicates import (
    RowFilter,
    exact_hash,
    later_duplicates,
    normalise,
    signature,
    text_signature,
    window_hashes,
)

WORDS = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in ("a", "e", "ist", "oo") for c in ("", "n", "ry")]


def prose(count: int, seed: int) -> list[str]:
    random = Random(seed)
    return [random.choice(WORDS) for _ in range(count)]


@given(values=st.lists(st.integers(0, 3), min_size=1, max_size=40), width=st.integers(1, 12))
def test_windows_have_equal_hashes_only_if_they_are_equal(values: list[int], width: int) -> None:
    hashes = window_hashes(np.array(values), width)
    width = min(width, len(values))
    windows = [tuple(values[i : i + width]) for i in range(len(values) - width + 1)]
    assert len(hashes) == len(windows)
    for i, one in enumerate(windows):
        for j, other in enumerate(windows):
            assert (hashes[i] == hashes[j]) == (one == other)


@settings(max_examples=25, deadline=None)
@given(shared=st.integers(0, 600), own=st.integers(0, 600), seed=st.integers(0, 99))
def test_agreement_estimates_jaccard_similarity(shared: int, own: int, seed: int) -> None:
    if shared + own < 60:
        return
    numbers = np.random.default_rng(seed).integers(0, 2**63, shared + 2 * own).astype(np.uint64)
    one, other = numbers[: shared + own], np.concatenate([numbers[:shared], numbers[shared + own :]])
    agreement = float((signature(one) == signature(other)).mean())
    expected = shared / (shared + 2 * own)
    assert abs(agreement - expected) < 0.2  # four standard deviations of 120 draws
    assert (signature(np.random.default_rng(1).permutation(one)) == signature(one)).all()


def test_near_copies_are_found_and_others_are_not() -> None:
    texts, copies = [], set()
    for seed in range(120):
        words = prose(400, seed)
        texts.append(" ".join(words))
        if seed % 3 == 0:
            changed = list(words)
            for place in Random(seed).sample(range(400), 3):
                changed[place] = "elsewhere"
            copies.add(len(texts))
            texts.append(" ".join(changed))
    signatures = [text_signature(normalise(text)) for text in texts]
    assert all(s is not None for s in signatures)
    found = later_duplicates(np.array(signatures), 0.7)
    assert set(np.flatnonzero(found).tolist()) == copies
    assert text_signature(normalise("too short to tell")) is None


def test_normalised_texts_are_equal_up_to_case_space_and_punctuation() -> None:
    one, other = normalise("  Über—den Wolken,\nmuss 7!"), normalise("über den   wolken muss 7")
    assert one == other
    assert exact_hash(one) == exact_hash(other) != exact_hash(normalise("über den wolken muss 8"))


def test_rows_that_repeat_are_dropped() -> None:
    random = np.random.default_rng(0)
    rows = random.integers(0, 1000, (6, 400))
    rows[2, 120:] = rows[0, 120:]  # most of another row
    rows[3] = np.resize(rows[3, :20], 400)  # in circles
    rows[4, :100] = rows[1, :100]  # a quarter of another row is no copy
    kept = RowFilter([]).keep(rows)
    assert kept.tolist() == [True, True, False, False, True, True]


@pytest.mark.parametrize("ignore", [True, False])
def test_markers_count_for_nothing(ignore: bool) -> None:
    random = np.random.default_rng(0)
    marker = random.integers(0, 1000, 600)
    rows = np.array([np.concatenate([marker, random.integers(0, 1000, 200)]) for _ in range(4)])
    kept = RowFilter([marker.tolist()] if ignore else []).keep(rows)
    assert kept.tolist() == ([True] * 4 if ignore else [True, False, False, False])
