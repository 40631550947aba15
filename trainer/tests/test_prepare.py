"""Local files to packed rows: forms, copies, shares, held-out rows, recipes, errors."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from chats import write_chat_bundle
from hypothesis import given, settings
from hypothesis import strategies as st

from mambascope_trainer.bundle import Bundle
from mambascope_trainer.cli import main
from mambascope_trainer.data import documents
from mambascope_trainer.data.chat import ChatFormat, TokenizerFiles
from mambascope_trainer.data.encode import EncodeSettings
from mambascope_trainer.data.errors import DataError
from mambascope_trainer.data.ids import id_type
from mambascope_trainer.data.prepare import PrepareRequest, prepare
from mambascope_trainer.data.sources import Source, parse_source
from mambascope_trainer.data.tokens import TokenRows

END = 0


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chat_bundle(tmp_path_factory.mktemp("models") / "tiny-chat")


@pytest.fixture(scope="module")
def chat(family: Path) -> ChatFormat:
    return ChatFormat.of(Bundle.open(family))


def lines(path: Path, records: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def words(count: int, seed: int) -> str:
    random = Random(seed)
    return " ".join("".join(random.choices("abcdefghij", k=random.randint(2, 7))) for _ in range(count))


def made(family: Path, out: Path, sources: Iterable[Source], workers: int = 1, **changes: Any) -> dict[str, Any]:
    encode = EncodeSettings(TokenizerFiles.of(Bundle.open(family)), **changes.pop("encode", {}))
    options: dict[str, Any] = {"length": 17, **changes}
    return prepare(PrepareRequest(tuple(sources), encode, **options), out, workers)


def stream(folder: Path) -> list[int]:
    return [int(i) for path in sorted(folder.glob("rows-*.npy")) for i in np.load(path).flatten()]


def split(ids: list[int]) -> list[tuple[int, ...]]:
    """Whole documents of a stream; the last, which the rows' end cuts, is left out."""
    found: list[list[int]] = [[]]
    for i in ids:
        if i == END:
            found.append([])
        else:
            found[-1].append(i)
    return [tuple(document) for document in found[:-1]]


def test_every_form_becomes_its_tokens(family: Path, chat: ChatFormat, tmp_path: Path) -> None:
    turns = [{"role": "user", "content": words(5, 1)}, {"role": "assistant", "content": words(9, 2)}]
    asked = {"role": "user", "content": words(4, 3)}
    lines(tmp_path / "a.jsonl", [{"messages": turns}, {"prompt": words(4, 3), "completion": words(6, 4)}])
    with gzip.open(tmp_path / "b.jsonl.gz", "wt") as file:
        file.write(json.dumps({"body": words(12, 5)}) + "\n\n" + json.dumps({"body": words(7, 6)}))
    (tmp_path / "c.txt").write_text(f"{words(8, 7)}\n\n{words(5, 8)}\n{words(3, 9)}\n")
    (tmp_path / "d.txt").write_text(f"{words(8, 10)}\n\n\n{words(5, 11)}\n{words(3, 12)}\n")
    (tmp_path / "e.txt").write_text(f"{words(8, 13)}\r\n\n{words(5, 14)}\n")
    sources = [
        Source(name=str(tmp_path / "a.jsonl")),
        Source(name=str(tmp_path / "b.jsonl.gz"), field="body"),
        Source(name=str(tmp_path / "c.txt")),
        Source(name=str(tmp_path / "d.txt"), documents="paragraph"),
        Source(name=str(tmp_path / "e.txt"), documents="line"),
    ]
    counts = made(family, tmp_path / "out", sources, length=2)
    expected = [
        chat.render(turns),
        chat.render([asked, {"role": "assistant", "content": words(6, 4)}]),
        *(words(12, 5), words(7, 6)),
        f"{words(8, 7)}\n\n{words(5, 8)}\n{words(3, 9)}",
        *(words(8, 10), f"{words(5, 11)}\n{words(3, 12)}"),
        *(words(8, 13), words(5, 14)),
    ]
    found = stream(tmp_path / "out" / "train")
    assert counts["documents"] == len(expected) == sum(source["documents"] for source in counts["sources"])
    texts = {tuple(chat.encode(text)) for text in expected}
    assert len(found) in (sum(map(len, texts)) + len(texts) - k for k in (0, 1))
    assert len(set(split(found)) & texts) >= len(texts) - 1
    assert set(split(found)) <= texts


@settings(max_examples=15, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 60), min_size=3, max_size=40),
    length=st.integers(2, 40),
    held_out=st.integers(0, 3),
    seed=st.integers(0, 5),
)
def test_rows_hold_every_document_once_and_held_out_ones_apart(
    tmp_path_factory: pytest.TempPathFactory,
    family: Path,
    chat: ChatFormat,
    sizes: list[int],
    length: int,
    held_out: int,
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("prepare")
    texts = [f"{words(size, k)} {k}" for k, size in enumerate(sizes)]
    source = Source(name=str(lines(folder / "t.jsonl", ({"text": text} for text in texts))))
    ids = {tuple(chat.encode(text)) for text in texts}
    total = sum(map(len, ids)) + len(ids)
    if total < (held_out + 1) * length:
        with pytest.raises(DataError, match="do not fill"):
            made(family, folder / "out", [source], length=length, held_out=held_out, seed=seed)
        return
    if total < (held_out + 1) * length + max(map(len, ids)) + 1:
        return  # depends on which document the held-out rows end in
    counts = made(family, folder / "out", [source], length=length, held_out=held_out, seed=seed)
    train, apart = stream(folder / "out" / "train"), stream(folder / "out" / "evaluation")
    assert len(apart) == held_out * length
    assert len(train) == counts["train"]["tokens"] == counts["train"]["rows"] * length
    one, other = split(train), split(apart)
    assert len(set(one) | set(other)) == len(one) + len(other)
    assert set(one) | set(other) <= ids
    # What is in neither is cut by the end of the rows.
    assert len(ids) - len(one) - len(other) <= 1 + (held_out > 0) + (length // 2)
    if held_out:
        assert len(TokenRows(folder / "out" / "evaluation", length - 1, 0)) == held_out if length > 2 else True


def test_processes_make_what_one_makes(family: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "PIECE", 2000)
    source = Source(name=str(lines(tmp_path / "t.jsonl", ({"text": words(30, k)} for k in range(200)))))
    assert len(list(source.pieces())) > 5
    for workers in (1, 2):
        made(family, tmp_path / str(workers), [source], workers, held_out=3, encode={"tokenised_share": 0.5})
    for name in ("train", "evaluation"):
        assert stream(tmp_path / "1" / name) == stream(tmp_path / "2" / name)
    bad = lines(tmp_path / "bad.jsonl", [*({"text": words(30, k)} for k in range(150)), {"txt": 1}])
    with pytest.raises(DataError, match=r'bad\.jsonl, line 151: expected .* found "txt"'):
        made(family, tmp_path / "bad", [Source(name=str(bad))], 2)


def test_large_vocabularies_take_more_bits(family: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(name=str(lines(tmp_path / "t.jsonl", ({"text": words(30, k)} for k in range(20)))))
    made(family, tmp_path / "16", [source])
    monkeypatch.setattr("mambascope_trainer.data.encode.id_type", lambda largest: id_type(largest + 0x10000))
    made(family, tmp_path / "32", [source])
    assert np.load(tmp_path / "32" / "train" / "rows-00000.npy").dtype == np.uint32
    assert stream(tmp_path / "16" / "train") == stream(tmp_path / "32" / "train")


def test_copies_and_excluded_documents_are_dropped(family: Path, tmp_path: Path) -> None:
    texts = [words(120, k) for k in range(10)]
    near = texts[0].split(" ")
    near[60] = "elsewhere"
    copies = [texts[1].upper().replace(" ", ",  "), " ".join(near)]
    source = Source(name=str(lines(tmp_path / "t.jsonl", ({"text": text} for text in [*texts, *copies]))))
    hidden = Source(
        name=str(lines(tmp_path / "x.jsonl", ({"text": text} for text in [texts[2], "new"]))), excluded=True
    )
    counts = made(family, tmp_path / "a", [source])
    assert (counts["exact_copies"], counts["near_copies"], counts["documents"]) == (1, 1, 10)
    counts = made(family, tmp_path / "b", [source], near=None)
    assert (counts["exact_copies"], counts["near_copies"], counts["documents"]) == (1, 0, 11)
    counts = made(family, tmp_path / "c", [source, hidden])
    assert counts["documents"] == 9


def test_sources_get_their_shares_and_limits(family: Path, tmp_path: Path) -> None:
    for name, letter, count in (("a", "a", 300), ("b", "b", 300)):
        texts = (f"{letter * (1 + k % 9)} {k}" for k in range(count))
        lines(tmp_path / f"{name}.jsonl", ({"text": text} for text in texts))
    sources = [parse_source(f"{tmp_path}/a.jsonl,share=3"), parse_source(f"{tmp_path}/b.jsonl,limit=50,share=1")]
    counts = made(family, tmp_path / "out", sources, length=3)
    assert [source["documents"] for source in counts["sources"]] == [300, 50]
    bundle = Bundle.open(family)
    decode = ChatFormat.of(bundle).tokenizer.decode
    sums = {"a": 0, "b": 0}
    for ids in split(stream(tmp_path / "out" / "train")):
        sums[decode(list(ids))[0]] += len(ids) + 1
    assert abs(sums["a"] / sums["b"] - 3) < 0.2
    with pytest.raises(DataError, match="some sources have a share"):
        made(family, tmp_path / "other", [sources[0], Source(name=f"{tmp_path}/b.jsonl")])


def test_a_recipe_is_made_once(family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = lines(tmp_path / "t.jsonl", ({"text": words(30, k)} for k in range(40)))

    def run(*changes: str) -> tuple[int, dict[str, Any]]:
        arguments = ["--bundle", str(family), "--source", str(texts), "--out", str(tmp_path / "out"), "--length", "33"]
        code = main(["prepare", *arguments, "--held-out", "2", *changes])
        document: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
        return code, document

    code, first = run()
    assert (code, first["result"].get("cached")) == (0, None)
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    recipe = json.loads((tmp_path / "out" / "recipe.json").read_text())
    assert recipe["settings"]["sources"][0]["files"][0]["bytes"] == texts.stat().st_size
    assert recipe["counts"] == first["result"]
    assert run() == (0, {"result": {**first["result"], "cached": True}})
    assert times == {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("*")}
    code, other = run("--seed", "1")
    assert code == 1
    assert "another recipe" in other["error"]["message"]
    lines(texts, ({"text": words(30, k)} for k in range(41)))
    assert run()[0] == 1  # the file is another one


@pytest.mark.parametrize(
    ("content", "number", "problem"),
    [
        ('{"text": "a"}\n{"text"', 2, "not JSON"),
        ('\n\n{"text": 7}', 3, '"text" must be text'),
        ('[{"text": "a"}]', 1, "expected a JSON object, found a list"),
        ('{"messages": [{"role": "user"}]}', 1, '"messages" must be a list'),
        ('{"prompt": "a", "completion": ["b"]}', 1, '"completion" must be text'),
        ('{"prompt": {}, "completion": "b"}', 1, '"prompt" must be text'),
        ('{"text": "a"}\n{"body": "b"}', 2, 'found "body"'),
        ('{"text": "\udcff"}', 1, "not UTF-8"),
    ],
)
def test_a_bad_line_is_named(family: Path, tmp_path: Path, content: str, number: int, problem: str) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError) as caught:
        made(family, tmp_path / "out", [Source(name=str(path))])
    assert caught.value.message.startswith(f"{path}, line {number}: ")
    assert problem in caught.value.message
    assert not (tmp_path / "out" / "train").exists()
    assert not (tmp_path / "out" / ".part").exists()


def test_a_chat_that_the_template_refuses_is_named(tmp_path: Path) -> None:
    template = (
        "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}{% endfor %}"
    )
    family = write_chat_bundle(tmp_path / "strict", template)
    chats = [[{"role": role, "content": "x"}] for role in ("user", "tool")]
    source = Source(name=str(lines(tmp_path / "t.jsonl", ({"messages": chat} for chat in chats))))
    with pytest.raises(DataError, match=r"t\.jsonl, line 2: the chat template refuses the chat: no tools"):
        made(family, tmp_path / "out", [source])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to prepare"),
        (["--source", "{tmp}/none.jsonl"], "does not exist"),
        (["--source", "{tmp}"], "holds no .jsonl"),
        (["--source", "{tmp}/x.jsonl,share=-1"], "share"),
        (["--source", "{tmp}/x.jsonl,documents=page"], "documents"),
        (["--source", "{tmp}/x.jsonl", "--tokenised-share", "2"], "tokenised-share"),
    ],
)
def test_what_cannot_be_prepared_is_said(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    arguments = [a.replace("{tmp}", str(tmp_path)) for a in arguments]
    assert main(["prepare", "--bundle", str(family), "--out", str(tmp_path / "out"), *arguments]) == 1
    assert message in json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["message"]


def test_datasets_need_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match="needs the Python package datasets"):
        list(parse_source("some/texts:small", hub=True).pieces())


def test_a_dataset_is_read_by_its_package(
    family: Path, chat: ChatFormat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasets")
    for module in ("datasets.config", "huggingface_hub.constants"):
        monkeypatch.setattr(f"{module}.HF_HUB_OFFLINE", True)
    (tmp_path / "set").mkdir()
    lines(tmp_path / "set" / "train.jsonl", ({"body": words(9, k), "other": k} for k in range(20)))
    source = parse_source(f"{tmp_path / 'set'},limit=12", hub=True, field="body")
    counts = made(family, tmp_path / "out", [source], length=2)
    assert counts["documents"] == 12
    assert set(split(stream(tmp_path / "out" / "train"))) <= {tuple(chat.encode(words(9, k))) for k in range(12)}
    with pytest.raises(DataError, match=r"the dataset nobody/nothing cannot be read"):
        list(parse_source("nobody/nothing", hub=True).pieces())


@settings(max_examples=30, deadline=None)
@given(texts=st.lists(st.text("ab \n", max_size=12), max_size=12), piece=st.integers(1, 20), form=st.integers(0, 2))
def test_pieces_lose_nothing(tmp_path_factory: pytest.TempPathFactory, texts: list[str], piece: int, form: int) -> None:
    path = tmp_path_factory.mktemp("pieces") / ("t.jsonl" if form == 0 else "t.txt")
    path.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts) if form == 0 else "\n\n".join(texts))
    kind: Any = ("file", "paragraph", "line")[form]
    with pytest.MonkeyPatch.context() as patch:
        whole = [d.text for p in documents.pieces(path, kind) for d in documents.documents(p)]
        patch.setattr(documents, "PIECE", piece)
        cut = list(documents.pieces(path, kind))
        assert [d.text for p in cut for d in documents.documents(p)] == whole
    content = path.read_bytes()
    assert b"".join(p.data for p in cut) == content
    for p in cut:
        assert content.startswith(p.data, len(b"".join(content.splitlines(keepends=True)[: p.first_line - 1])))
