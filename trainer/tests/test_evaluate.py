"""`evaluate` as a command: plans, subjects, records, results files, and what it says of wrong input."""

import json
from pathlib import Path
from typing import Any

import pytest
from hybrids import naive_log_probs, write_hybrids
from runs import run_config, stage_after, write_data
from samples import TEXT
from test_choice import PAIRS, QUESTIONS, write

from mambascope_trainer.bundle import Bundle
from mambascope_trainer.cli import main
from mambascope_trainer.errors import MambascopeError
from mambascope_trainer.evaluation.results import quality_entries, write_results
from mambascope_trainer.evaluation.subjects import load_run, parse_pattern
from mambascope_trainer.model.load import load_teacher
from mambascope_trainer.run.directory import RunDirectory

Record = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """models/tiny, data/, and the plan's files."""
    root = tmp_path_factory.mktemp("evaluate")
    write_hybrids(root / "models" / "tiny")
    write_data(root / "data")
    (root / "text.txt").write_text(TEXT[0] * 3, encoding="utf-8")
    write(root / "piqa.jsonl", QUESTIONS)
    write(root / "blimp.jsonl", PAIRS)
    return root


def evaluate(out: Path, *arguments: object) -> list[Record]:
    assert main(["evaluate", *map(str, arguments), "--out", str(out)]) == 0
    records: list[Record] = json.loads(out.read_text())
    return records


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, str]:
    assert main(["evaluate", *map(str, arguments)]) == 1
    error: dict[str, str] = json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
    return error


def test_all_tasks_in_one_call(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = {
        "bundle": [str(folder / "models" / "tiny")],
        "variants": ["half"],
        "patterns": ["a.m~s.a", "m3~s"],
        "tasks": ["samples", "needle", "choice", "agreement"],
        "text": [str(folder / "text.txt")],
        "choice": [f"piqa.jsonl={folder / 'piqa.jsonl'}", str(folder / "blimp.jsonl")],
        "seq_len": 400,
        "limit": 2,
        "needle_lengths": [400],
        "needle_depths": [0, 1],
        "needle_trials": 2,
        "max_new_tokens": 5,
    }
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    results, samples = tmp_path / "results" / "quality.json", tmp_path / "samples.jsonl"
    extra = ("--seq-len", 20, "--results", results, "--samples", samples, "--batch", 40)
    records = evaluate(tmp_path / "o.json", "--plan", tmp_path / "plan.json", *extra)
    assert [record["task"] for record in records] == ["agreement", "choice", "choice", "needle", "samples"] * 3
    half, same, none = (records[i : i + 5] for i in (0, 5, 10))
    # The pattern names the variant's layers: the same numbers.
    assert same[0]["seq_len"] == 20  # the command line goes before the plan's file
    for a, b in zip(half, same, strict=True):
        assert {k: v for k, v in a.items() if k != "variant"} == {k: v for k, v in b.items() if k != "pattern"}
    assert none[0]["kl"] != half[0]["kl"]
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line for line in printed if "task" in line] == records
    assert {"phase": "needle half", "done": 8, "total": 8} in printed

    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    assert len(lines) == 3 * 2 * 2
    assert {(line["subject"], line["mode"]) for line in lines} == {
        (subject, mode) for subject in ("half", "a.m~s.a", "m3~s") for mode in ("greedy", "sampled")
    }

    document = json.loads(results.read_text())
    entries = {(e["metric"], e["of"].get("variant"), e["of"].get("length")): e for e in document["entries"]}
    kl = entries["quality.kl", "half", None]
    assert kl["of"] == {
        "family": "tiny", "variant": "half", "data": "text.txt", "seq_len": 20, "tokens": 40, "dtype": "float32",
    }  # fmt: skip
    assert entries["quality.perplexity", "half", None]["peer"]["value"] == pytest.approx(
        half[0]["teacher_perplexity"], abs=1e-5
    )
    for name, of in (("piqa", "piqa.jsonl"), ("piqa_norm", "piqa.jsonl"), ("blimp", "blimp.jsonl")):
        record = next(r for r in half if r.get("data") == of)["acc_norm" if name.endswith("norm") else "acc"]
        own, delta = entries[f"quality.{name}", "half", None], entries[f"quality.{name}_delta", "half", None]
        assert (own["value"], own["peer"]) == (record["value"], {"name": "teacher", "value": record["teacher"]})
        assert delta["value"] == pytest.approx(100 * (record["value"] - record["teacher"]))
    assert entries["quality.needle", "half", 400]["value"] == half[3]["answered"]["by_length"][0]
    assert entries["quality.needle", "half", None]["grid"]["columns"] == {"name": "depth", "values": [0, 1]}


def test_a_run_is_what_was_trained(folder: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    config = run_config(folder / "models", folder / "data")
    stage, _ = stage_after(config, run)
    RunDirectory(run).write_config(config)
    student = stage.model  # type: ignore[attr-defined]
    student.use(["mamba2", "attention", "mamba2"])
    teacher = load_teacher(Bundle.open(folder / "models" / "tiny")).requires_grad_(False)
    ids = list(range(20, 60))
    for codec in ("f32", "q4_0"):
        for index in (0, 2):
            student.mamba(index).codec = None if codec == "f32" else codec
        found = load_run(teacher, run, codec).eval()
        assert naive_log_probs(found, ids).sub(naive_log_probs(student, ids)).abs().max() < 1e-5
    student.use(["attention", "attention", "mamba2"])
    last = load_run(teacher, run, "q4_0", [2]).eval()
    assert naive_log_probs(last, ids).sub(naive_log_probs(student, ids)).abs().max() < 1e-5
    source = ("--bundle", folder / "models" / "tiny", "--text", folder / "text.txt", "--seq-len", 20)
    records = evaluate(tmp_path / "o.json", *source, "--runs", run, "--codecs", "f32", "q4_0")
    assert [(record["run"], record["codec"]) for record in records] == [("run", "f32"), ("run", "q4_0")]
    assert records[0]["kl"] != records[1]["kl"]
    patterns = [f"{run}@{pattern}" for pattern in ("m~run.a.m~run", "a2.m~run")]
    whole, part = evaluate(tmp_path / "o.json", *source, "--runs", *patterns, "--codecs", "f32")
    assert (whole["pattern"], whole["kl"]) == ("m~run.a.m~run", records[0]["kl"])
    assert part["kl"] != whole["kl"]
    assert load_run(teacher, run, "f32", [2]).pattern == ["attention", "attention", "mamba2"]
    for wrong in ("m3~run", "m~s.a2"):
        assert main(["evaluate", *map(str, source), "--runs", f"{run}@{wrong}"]) == 1
    # A pipeline on its way to a layer that its newest checkpoint does not have.
    config["layers"] = [0, 1, 2]
    RunDirectory(run).write_config(config)
    assert load_run(teacher, run, "f32").pattern == ["mamba2", "attention", "mamba2"]
    with pytest.raises(MambascopeError, match="layer 1"):
        load_run(teacher, run, "f32", [1])


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--text", "t"], "plan-invalid", "bundle"),
        (["--bundle", "b", "--text", "t"], "plan-invalid", "at least one of variants"),
        (["--bundle", "b", "--variants", "half"], "plan-invalid", "name data"),
        (["--bundle", "b", "--variants", "half", "--tasks", "choice"], "plan-invalid", "choice"),
        (["--bundle", "b", "--variants", "half", "--text", "t", "--batch", "0"], "plan-invalid", "batch"),
        (["--variants", "other", "--text", "text.txt"], "variant-missing", "other"),
        (["--patterns", "a2.m~s.a", "--text", "text.txt"], "pattern-invalid", "4 layers"),
        (["--patterns", "a.m~t.a", "--text", "text.txt"], "pattern-invalid", "'t'"),
        (["--patterns", "a3~s", "--text", "text.txt"], "pattern-invalid", "a3~s"),
        (["--variants", "half", "--text", "none.txt"], "file-access", "none.txt"),
        (["--variants", "half", "--choice", "text.txt"], "data-unusable", "line 1"),
        (["--variants", "half", "--tasks", "needle", "--needle-lengths", "64"], "plan-invalid", "at least"),
        (["--variants", "half", "--tasks", "needle", "--needle-lengths", "9000"], "plan-invalid", "at most"),
        (["--variants", "half", "--tasks", "samples", "--prompts", "piqa.jsonl"], "data-unusable", "line 1"),
        (["--runs", "data", "--text", "text.txt"], "config-invalid", "config.json"),
        (["--plan", "text.txt"], "plan-invalid", "not JSON"),
    ],
)
def test_wrong_input_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: str, said: str
) -> None:
    files = {"text.txt", "none.txt", "piqa.jsonl", "data"}
    given = [str(folder / word) if word in files else word for word in arguments]
    if code != "plan-invalid" or ("--tasks" in given and "--bundle" not in given):
        given += ["--bundle", str(folder / "models" / "tiny")]
    error = failure(capsys, *given)
    assert error["code"] == code
    assert said in error["message"] + error["action"]


def test_patterns_are_read_as_the_page_reads_them() -> None:
    assert parse_pattern("a.m2~attn50.s~x-1", 4) == ["attention", "mamba2:attn50", "mamba2:attn50", "mamba:x-1"]
    for wrong in ("", "a.", "a0", "m", "a~s", "b", "a01", "m~", "A"):
        with pytest.raises(MambascopeError, match="pattern"):
            parse_pattern(wrong, 1)


def record(kl: float, variant: str = "half", tokens: int = 10) -> Record:
    subject = {"task": "agreement", "family": "tiny", "variant": variant, "data": "d", "seq_len": 5, "dtype": "float32"}
    measures = {
        "kl": kl,
        "agreement": 0.5,
        "acceptance": 0.6,
        "perplexity": 3,
        "teacher_perplexity": 2,
        "perplexity_ratio": 1.5,
    }
    return {**subject, **measures, "tokens": tokens}


def test_entries_keep_what_made_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "quality.json"
    for number, records in enumerate(([record(0.1), record(0.2, "none")], [record(0.3, tokens=20)])):
        monkeypatch.setattr("sys.argv", ["x", "evaluate", f"--call={number}", "name=/elsewhere/file.txt"])
        monkeypatch.setattr("mambascope_trainer.evaluation.results.machine", lambda number=number: f"machine {number}")
        write_results(path, quality_entries(records))
    document = json.loads(path.read_text())
    kl = {entry["of"]["variant"]: entry for entry in document["entries"] if entry["metric"] == "quality.kl"}
    assert document["machine"] == "machine 1"
    assert document["command"].endswith("evaluate --call=1 name=file.txt")
    # Measured anew, on more tokens: the same subject, so the old entry is gone.
    assert (kl["half"]["value"], kl["half"]["of"]["tokens"]) == (0.3, 20)
    assert "machine" not in kl["half"]
    # Kept, with the head that it was written under.
    assert kl["none"]["machine"] == "machine 0"
    assert kl["none"]["command"].endswith("evaluate --call=0 name=file.txt")
    assert "date" not in kl["none"]
    monkeypatch.setattr("sys.argv", ["x", "export"])
    write_results(path, [])
    again = json.loads(path.read_text())["entries"]
    assert [entry["command"].split("=")[1][0] for entry in again if entry["metric"] == "quality.kl"] == ["0", "1"]
