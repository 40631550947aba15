"""A family's token ranking: counted from rows, written beside the manifest, kept and checked."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hybrids import write_hybrids
from samples import MIXER, mixer_tensors

from mambascope_trainer.bundle import Bundle, BundleWriter, Storage
from mambascope_trainer.bundle.token_ranking import rank_tokens, read_ranking
from mambascope_trainer.cli import main
from mambascope_trainer.data.tokens import write_shard


def rank(family: Path, rows: Path, *more: str) -> int:
    return main(["token-ranking", "--bundle", str(family), "--rows", str(rows), *more])


@pytest.fixture
def family(tmp_path: Path) -> Path:
    return write_hybrids(tmp_path / "tiny")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    random = np.random.default_rng(5)
    for name, largest in (("a", 40), ("b", 90)):
        write_shard(tmp_path / "rows", name, random.integers(3, largest, (20, 30)))
    return tmp_path / "rows"


def result(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    found: dict[str, Any] = document["result" if "result" in document else "error"]
    return found


def test_tokens_are_ranked_by_their_count(family: Path, rows: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rank(family, rows, "--count", "64") == 0
    assert result(capsys)["tokens"] == 2 * 20 * 30
    ids = np.fromfile(family / "token-ranking.bin", "<u4").tolist()
    everything = np.concatenate([np.load(path) for path in sorted(rows.glob("*.npy"))]).ravel().tolist()
    eos = [0, 2]  # they do not occur: the last of the first 256
    expected = sorted(range(256), key=lambda i: (-everything.count(i), i))
    expected = [i for i in expected if i not in eos][:62] + eos
    assert ids == expected
    assert read_ranking(Bundle.open(family)).tolist() == expected  # type: ignore[union-attr]
    assert main(["verify", str(family)]) == 0


def test_rare_special_tokens_end_the_first_places() -> None:
    counts = np.arange(1000)[::-1].copy()
    ids = rank_tokens(counts, [999, 5], 600).tolist()
    assert ids[:255] == list(range(255))
    assert ids[255] == 999
    assert ids[256:] == list(range(255, 599))
    assert rank_tokens(counts, [999], 2).tolist() == [0, 999]


def test_what_is_added_keeps_the_ranking(family: Path, rows: Path, tmp_path: Path) -> None:
    rank(family, rows, "--count", "9")
    writer = BundleWriter.open(tmp_path / "other", [family])
    writer.add_mixer_set("t", MIXER, [1], mixer_tensors([1]), Storage(matrix="f32"))
    both = Bundle.open([tmp_path / "other", family])
    assert both.manifest.token_ranking == Bundle.open(family).manifest.token_ranking
    assert len(read_ranking(both)) == 9  # type: ignore[arg-type]
    write_hybrids(family)  # the same family again, over itself
    assert Bundle.open(family).manifest.token_ranking is not None


@pytest.mark.parametrize(("ids", "why"), [([1, 2, 1], "twice"), ([1, 2, 70_000], "not one of"), ([3, 4, 5], "damaged")])
def test_verify_tells_what_is_no_ranking(
    family: Path, ids: list[int], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    BundleWriter.open(family).rank_tokens(np.array(ids, dtype=np.uint32))
    if why == "damaged":
        (family / "token-ranking.bin").write_bytes(bytes(12))
    assert main(["verify", str(family)]) == 1
    assert why in capsys.readouterr().out


def test_data_that_cannot_be_counted_are_refused(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none").mkdir()
    assert rank(family, tmp_path / "none") == 1
    assert "no rows" in result(capsys)["message"]
    write_shard(tmp_path / "far", "a", np.full((1, 4), 60_000))
    assert rank(family, tmp_path / "far") == 1
    assert "60000" in result(capsys)["message"]
