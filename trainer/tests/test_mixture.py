"""Mixed data folders: shares, order, processes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mambascope_trainer.data.mixture import BLOCK, DataSource, Mixture, open_training_data, spread, whole_shares
from mambascope_trainer.data.order import places
from mambascope_trainer.data.tokens import DataError, TokenRows, write_rows
from mambascope_trainer.run.config import RunConfig


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three folders whose tokens say which folder and which row they are of."""
    root = tmp_path_factory.mktemp("mixture")
    for k, count in enumerate((7, 11, 40)):
        for shard in range(2):
            rows = np.full((count, 9), k * 1000 + shard * 100) + np.arange(count)[:, None]
            write_rows(root / str(k), f"{shard}", rows, {})
    return [root / str(k) for k in range(3)]


def mixture(folders: list[Path], shares: list[float], seed: int = 5) -> Mixture:
    sources = [DataSource(folder=str(f), share=s) for f, s in zip(folders, shares, strict=True)]
    return Mixture(sources, 8, seed)


def test_every_block_holds_the_shares_and_every_folder_is_walked_by_epochs(folders: list[Path]) -> None:
    mixed = mixture(folders, [0.5, 0.15, 0.35])
    rows = [int(row[0]) for step in range(2 * BLOCK // 20) for row in mixed.batch(step, 20)]
    for block in (rows[:BLOCK], rows[BLOCK:]):
        assert Counter(token // 1000 for token in block) == {0: 500, 1: 150, 2: 350}
    for k, count in enumerate((14, 22, 80)):
        walked = [token for token in rows if token // 1000 == k]
        whole = [walked[i : i + count] for i in range(0, len(walked) - count, count)]
        assert len(whole) > 5
        assert all(len(set(epoch)) == count for epoch in whole)
        assert whole[0] != whole[1]


def test_a_batch_comes_near_to_the_shares(folders: list[Path]) -> None:
    mixed = mixture(folders, [2.0, 1.0, 1.0])
    for step in range(60):
        counts = Counter(int(row[0]) // 1000 for row in mixed.batch(step, 40))
        assert abs(counts[0] - 20) <= 2
        assert abs(counts[1] - 10) <= 2


@settings(max_examples=40, deadline=None)
@given(step=st.integers(0, 2000), part=st.integers(1, 4), world=st.integers(1, 4), seed=st.integers(0, 3))
def test_processes_together_see_what_one_sees(folders: list[Path], step: int, part: int, world: int, seed: int) -> None:
    sources = [DataSource(folder=str(folder)) for folder in folders]
    for data in (open_training_data(sources, 8, seed), open_training_data(str(folders[0]), 8, seed)):
        parts = [data.batch(step, part * world, rank, world) for rank in range(world)]
        assert all(len(p) == part for p in parts)
        fresh = open_training_data(sources if isinstance(data, Mixture) else str(folders[0]), 8, seed)
        assert torch.equal(torch.cat(parts), fresh.batch(step, part * world))


def test_seeds_have_orders_of_their_own(folders: list[Path]) -> None:
    one, other = (mixture(folders, [1, 1, 1], seed).batch(0, 30) for seed in (0, 1))
    assert not torch.equal(one, other)


@given(shares=st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=8))
def test_whole_shares_add_up_and_are_proportional(shares: list[float]) -> None:
    counts = whole_shares(shares, BLOCK)
    assert sum(counts) == BLOCK
    for share, count in zip(shares, counts, strict=True):
        assert count >= 1
        assert abs(count - share / sum(shares) * BLOCK) <= len(shares) + 1


@given(counts=st.lists(st.integers(1, 30), min_size=1, max_size=5), seed=st.integers(0, 9))
def test_spread_counts_each_source(counts: list[int], seed: int) -> None:
    source, number = spread(counts, np.random.default_rng(seed))
    for k, count in enumerate(counts):
        assert number[source == k].tolist() == list(range(count))


@pytest.mark.parametrize(("size", "rank", "world"), [(5, 0, 2), (4, 2, 2), (4, -1, 2)])
def test_uneven_parts_are_refused(size: int, rank: int, world: int) -> None:
    with pytest.raises(ValueError, match=r"evenly|rank"):
        places(0, size, rank, world)


def test_a_missing_folder_of_a_mixture_is_named(folders: list[Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        mixture([folders[0], tmp_path / "nowhere"], [1, 1])


def test_a_run_config_names_one_folder_or_several(folders: list[Path]) -> None:
    config = {
        "name": "x", "method": "distill", "family": "x", "bundle": ["x"], "layers": [0],
        "optimiser": {"steps": 1, "batch": 1, "learning_rate": 1e-3},
    }  # fmt: skip
    one = RunConfig.model_validate({**config, "data": {"train": str(folders[0]), "seq_len": 8}})
    assert isinstance(open_training_data(one.data.train, 8, 0), TokenRows)
    several = [{"folder": str(folders[0]), "share": 0.25}, {"folder": str(folders[1]), "share": 0.75}]
    two = RunConfig.model_validate({**config, "data": {"train": several, "seq_len": 8}})
    assert RunConfig.model_validate_json(two.model_dump_json()) == two
    data = open_training_data(two.data.train, 8, 0)
    assert isinstance(data, Mixture)
    assert data.counts == [250, 750]
    with pytest.raises(ValueError, match="at least 1"):
        RunConfig.model_validate({**config, "data": {"train": []}})
