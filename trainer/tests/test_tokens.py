"""Token rows on disk, their order, and texts packed into them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from samples import TEXT

from mambascope_trainer.cli import main
from mambascope_trainer.data.pack import END_OF_TEXT, pack_texts, read_texts, train_tokenizer
from mambascope_trainer.data.tokens import DataError, TokenRows, write_rows


def numbered_rows(folder: Path, counts: list[int], length: int) -> None:
    """Shards in which every token is a number of its own."""
    start = 0
    for index, count in enumerate(counts):
        rows = np.arange(start, start + count * length).reshape(count, length)
        write_rows(folder, f"{index:03d}", rows, {"kind": "numbers"})
        start += count * length


@settings(max_examples=30, deadline=None)
@given(
    counts=st.lists(st.integers(1, 4), min_size=1, max_size=3),
    length=st.integers(3, 20),
    seq_len=st.integers(2, 19),
    size=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_every_window_comes_once_an_epoch(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int], length: int, seq_len: int, size: int, seed: int
) -> None:
    seq_len = min(seq_len, length - 1)
    folder = tmp_path_factory.mktemp("rows")
    numbered_rows(folder, counts, length)
    rows = TokenRows(folder, seq_len, seed)
    windows = [
        tuple(range(row * length + start, row * length + start + seq_len + 1))
        for row in range(sum(counts))
        for start in range(0, length - seq_len, seq_len)
    ]
    assert len(rows) == len(windows)
    assert rows.tokens == len(windows) * seq_len
    stream = [tuple(w) for step in range(3 * len(rows)) for w in rows.batch(step, size).tolist()]
    for epoch in range(3 * size):
        part = stream[epoch * len(rows) : (epoch + 1) * len(rows)]
        assert sorted(part) == windows
    again = TokenRows(folder, seq_len, seed)
    step = len(rows) + 1
    assert torch.equal(again.batch(step, size), rows.batch(step, size))
    once = [tuple(w) for batch in rows.once(size) for w in batch.tolist()]
    assert sorted(once) == windows
    assert [tuple(w) for batch in rows.once(size, 2) for w in batch.tolist()] == once[:2]


def test_epochs_and_seeds_have_orders_of_their_own(tmp_path: Path) -> None:
    numbered_rows(tmp_path, [20], 5)
    first, other = TokenRows(tmp_path, 4, 0), TokenRows(tmp_path, 4, 1)
    assert not torch.equal(first.batch(0, 20), first.batch(1, 20))
    assert not torch.equal(first.batch(0, 20), other.batch(0, 20))


def test_folders_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no rows-\*\.npy"):
        TokenRows(tmp_path / "none", 4, 0)
    numbered_rows(tmp_path / "short", [2], 5)
    with pytest.raises(DataError, match="needs rows of 6 tokens") as caught:
        TokenRows(tmp_path / "short", 5, 0)
    assert caught.value.action.startswith("Lower seq_len")
    numbered_rows(tmp_path / "mixed", [2], 5)
    write_rows(tmp_path / "mixed", "z", np.zeros((1, 6), np.int64), {})
    with pytest.raises(DataError, match="differ in row length"):
        TokenRows(tmp_path / "mixed", 4, 0)
    for name, array in {"type": np.zeros((2, 9), np.int64), "flat": np.zeros(9, np.uint16)}.items():
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "rows-0.npy", array)
        with pytest.raises(DataError, match="not rows of uint16"):
            TokenRows(tmp_path / name, 4, 0)
    (tmp_path / "type" / "rows-0.npy").write_bytes(b"nonsense")
    with pytest.raises(DataError, match="not a NumPy array"):
        TokenRows(tmp_path / "type", 4, 0)


@pytest.mark.parametrize("bad", [-1, 2**32])
def test_what_is_no_id_is_refused(tmp_path: Path, bad: int) -> None:
    with pytest.raises(DataError, match="token ids must"):
        write_rows(tmp_path, "x", np.array([[1, bad]]), {})


def test_large_vocabularies_take_more_bits(tmp_path: Path) -> None:
    rows = np.array([[1, 2, 3], [4, 5, 65535]]), np.array([[7, 128255, 9]])
    for name, part in zip("ab", rows, strict=True):
        write_rows(tmp_path, name, part, {})
    assert [np.load(tmp_path / f"rows-{name}.npy").dtype for name in "ab"] == [np.uint16, np.uint32]
    assert sorted(TokenRows(tmp_path, 2, 0).batch(0, 3).tolist()) == sorted(np.concatenate(rows).tolist())


def test_packed_rows_are_the_texts_in_their_order(tmp_path: Path) -> None:
    texts = [f"{text} {number}" for number in range(20) for text in TEXT[:1]]
    tokenizer = train_tokenizer(texts, 300)
    assert tokenizer.token_to_id(END_OF_TEXT) == 0
    counts = pack_texts(texts, tokenizer, tmp_path, 16, held_out=0.2)
    for name, part in (("train", texts[:16]), ("evaluation", texts[16:])):
        rows = np.load(tmp_path / name / "rows-packed.npy")
        assert counts[name] == rows.size
        joined = tokenizer.decode(rows.flatten().tolist(), skip_special_tokens=False)
        assert END_OF_TEXT.join(part).startswith(joined.rstrip("�").removesuffix(END_OF_TEXT))
        assert len(joined) > 0.9 * len("".join(part))


def test_pack_writes_data_that_training_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "texts.jsonl"
    texts = [f"{TEXT[0]} {number}" for number in range(200)]
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in [*texts, texts[0]]))
    arguments = ["--texts", str(source), "--tokenizer", str(tmp_path / "t.json"), "--vocabulary", "300"]
    assert main(["pack", *arguments, "--out", str(tmp_path / "data"), "--length", "17"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])["result"]
    assert result["texts"] == 200
    rows = TokenRows(tmp_path / "data" / "train", 16, 0)
    assert result["train"] == len(rows) * 17
    assert rows.batch(0, 3).max() < 300


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"other": 1}', '{"text": 5}'])
def test_a_line_without_text_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "a"}\n' + line + "\n")
    with pytest.raises(DataError, match="line 2"):
        list(read_texts([tmp_path / "t.jsonl"]))
