"""Preference pairs: their file, and the batches that DPO reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mambascope_trainer.data.preferences import Pair, PreferencePairs, write_pairs
from mambascope_trainer.data.tokens import DataError

IDS = st.lists(st.integers(1, 60000), min_size=1, max_size=12)


def written(path: Path, records: list[Any]) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return path


@settings(max_examples=50, deadline=None)
@given(pairs=st.lists(st.builds(Pair, IDS, IDS, IDS), min_size=1, max_size=8), seq_len=st.integers(13, 30))
def test_batches_hold_the_pairs_and_mark_their_answers(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[Pair], seq_len: int
) -> None:
    path = tmp_path_factory.mktemp("pairs") / "p.jsonl"
    assert write_pairs(path, pairs) == len(pairs)
    usable = [p for p in pairs if p.chosen[: seq_len - len(p.prompt)] != p.rejected[: seq_len - len(p.prompt)]]
    if not usable:
        with pytest.raises(DataError, match="different answers"):
            PreferencePairs(path, seq_len, 0)
        return
    data = PreferencePairs(path, seq_len, 0)
    assert (len(data), data.dropped) == (len(usable), len(pairs) - len(usable))
    seen = []
    for step in range(2 * len(usable)):
        batch = data.batch(step, 1)
        found = []
        for ids, mask in ((batch.chosen, batch.chosen_mask), (batch.rejected, batch.rejected_mask)):
            assert (ids.shape, mask.shape) == ((1, seq_len), (1, seq_len - 1))
            # The mask is on the place before an answer's token: read the answer through it, the prompt before it.
            found.append(ids[0, 1:][mask[0]].tolist())
            start = int(mask[0].int().argmax()) + 1
            assert bool(mask[0, start - 1 : start - 1 + len(found[-1])].all())
            prompt = ids[0, :start].tolist()
            assert not ids[0, start + len(found[-1]) :].any()
        seen.append((prompt, *found))
    expected = sorted(
        (p.prompt, p.chosen[: seq_len - len(p.prompt)], p.rejected[: seq_len - len(p.prompt)]) for p in usable
    )
    assert sorted(seen[: len(usable)]) == expected
    assert sorted(seen[len(usable) :]) == expected


def test_ranks_together_see_what_one_process_sees(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    write_pairs(path, [Pair([n], [n, 1], [n, 2]) for n in range(1, 8)])
    for step in range(5):
        whole = PreferencePairs(path, 6, 3).batch(step, 4)
        parts = [PreferencePairs(path, 6, 3).batch(step, 4, rank, 2) for rank in range(2)]
        for name in ("chosen", "rejected", "chosen_mask", "rejected_mask"):
            assert torch.equal(torch.cat([getattr(part, name) for part in parts]), getattr(whole, name))
    data = PreferencePairs(path, 6, 3)
    once = [int(row[0]) for batch in data.once(3) for row in batch.chosen]
    assert sorted(once) == list(range(1, 8))
    assert sum(len(batch.chosen) for batch in data.once(3, limit=5)) == 5


def test_text_pairs_are_rendered(tmp_path: Path) -> None:
    def render(messages: list[dict[str, str]], answer: str) -> tuple[list[int], list[int]]:
        return [ord(c) for m in messages for c in m["role"][0] + m["content"]], [*map(ord, answer), 2]

    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    records = [
        {"prompt": "hi", "chosen": "yes", "rejected": "no"},
        {"prompt": turns, "chosen": "d", "rejected": "e"},
        {"prompt_ids": [9], "chosen_ids": [8], "rejected_ids": [7]},
    ]
    path = written(tmp_path / "p.jsonl", records)
    pairs = PreferencePairs(path, 16, 0, render).pairs
    assert pairs[0] == Pair([*map(ord, "uhi")], [*map(ord, "yes"), 2], [*map(ord, "no"), 2])
    assert pairs[1] == Pair([*map(ord, "uaabuc")], [ord("d"), 2], [ord("e"), 2])
    assert pairs[2] == Pair([9], [8], [7])
    with pytest.raises(DataError, match=r"line 1.*needs a tokenizer"):
        PreferencePairs(path, 16, 0)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not JSON"),
        ("[1]", "found a list"),
        ({"prompt_ids": [1], "chosen_ids": [], "rejected_ids": [1]}, '"chosen_ids"'),
        ({"prompt_ids": [1], "chosen_ids": [1.5], "rejected_ids": [1]}, '"chosen_ids"'),
        ({"prompt_ids": [1], "chosen_ids": [1]}, '"rejected_ids"'),
        ({"prompt": "a", "chosen": "b"}, '"rejected"'),
        ({"prompt": [{"role": "user"}], "chosen": "b", "rejected": "c"}, '"prompt"'),
    ],
)
def test_a_line_that_is_no_pair_is_named(tmp_path: Path, line: Any, problem: str) -> None:
    good = {"prompt_ids": [1], "chosen_ids": [2], "rejected_ids": [3]}
    path = written(tmp_path / "p.jsonl", [good, "", line])
    with pytest.raises(DataError, match=rf"p\.jsonl, line 3: .*{problem}"):
        PreferencePairs(path, 8, 0, lambda messages, answer: ([1], [2]))
