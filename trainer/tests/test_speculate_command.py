"""The command that measures speculative decoding: what it prints and what it publishes."""

import json
from pathlib import Path

import numpy as np
import pytest
from hybrids import write_hybrids

from mambascope_trainer.bundle import Bundle, BundleWriter
from mambascope_trainer.bundle.manifest import Draft
from mambascope_trainer.cli import main
from mambascope_trainer.model.draft import draft_of, own_state
from mambascope_trainer.model.load import load_variant


def test_models_are_measured_and_published(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    family, results = write_hybrids(tmp_path / "tiny"), tmp_path / "speculative.json"
    models = ["--bundle", str(family), "--targets", "half", "--drafts", "half", "none", "--k", "2", "3"]
    small = ["--tokens", "6", "--limit", "2", "--device", "cpu", "--results", str(results)]
    assert main(["speculate", *models, *small]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["draft"], line["K"]) for line in lines] == [("half", 2), ("half", 3), ("none", 2), ("none", 3)]
    # A draft that is the target is never corrected.
    assert [line["acceptance"] for line in lines[:2]] == [1.0, 1.0]
    assert lines[1]["tokens_per_cycle"] == 4.0
    assert lines[1]["by_position"] == [1.0, 1.0, 1.0]
    entries = json.loads(results.read_text())["entries"]
    same = [entry["value"] for entry in entries if entry["metric"] == "speculative.same_answers"]
    assert same == [1.0] * 4
    speedups = [entry for entry in entries if entry["metric"] == "speculative.speedup"]
    assert {entry["of"]["variant"] for entry in speedups} == {"half"}
    assert all(entry["of"]["provider"] == "pytorch-cpu" and entry["value"] > 0 for entry in speedups)


def test_the_update_is_measured_at_each_width(tmp_path: Path) -> None:
    results = tmp_path / "speculative.json"
    kernel = ["--kernel", "--widths", "smollm2-135m", "--k", "1", "16", "--repeats", "1", "--device", "cpu"]
    assert main(["speculate", *kernel, "--results", str(results)]) == 0
    entries = json.loads(results.read_text())["entries"]
    assert [(entry["of"]["K"], entry["peer"]["name"]) for entry in entries] == [(1, "single-step"), (16, "single-step")]


def test_a_draft_on_features_is_a_draft_like_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    family, results = write_hybrids(tmp_path / "tiny"), tmp_path / "speculative.json"
    bundle = Bundle.open(family)
    draft = draft_of(load_variant(bundle, "teacher"), [0], 64, None, True, features=True)
    own = {name: tensor.numpy() for name, tensor in own_state(draft).items()}
    BundleWriter.open(family).add_draft("eagle", "Eagle", "attention", {}, Draft(1, 64, True), own)
    models = ["--bundle", str(family), "--targets", "half", "--drafts", "eagle", "--k", "2", "--device", "cpu"]
    small = ["--tokens", "6", "--limit", "2", "--shortlist", "0", "--results", str(results)]
    assert main(["speculate", *models, *small]) == 0
    assert json.loads(capsys.readouterr().out)["same"] == 2
    assert main(["speculate", *models, *small, "--profile", "--repeats", "1"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["kind"] for line in lines if line["variant"] == "eagle"] == ["open", "step"]
    alone = ["--bundle", str(family), "--targets", "eagle", "--drafts", "eagle", "--k", "2", "--device", "cpu"]
    assert main(["speculate", *alone, *small]) == 1
    assert "features" in capsys.readouterr().out


def test_passes_are_profiled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    family, results = write_hybrids(tmp_path / "tiny"), tmp_path / "speculative.json"
    models = ["--bundle", str(family), "--targets", "half", "--drafts", "none", "--k", "1", "2"]
    small = ["--profile", "--repeats", "1", "--device", "cpu", "--results", str(results)]
    assert main(["speculate", *models, *small]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    expected = [("half", "plain", 1), ("half", "verify", 2), ("none", "open", 2)]
    expected += [("half", "verify", 3), ("none", "open", 2), ("none", "step", 1)]
    assert [(line["variant"], line["kind"], line["tokens"]) for line in lines] == expected
    entries = json.loads(results.read_text())["entries"]
    assert [entry["metric"] for entry in entries] == ["speculative.pass"] * 6
    assert all(entry["of"]["passes"] == "pytorch" and entry["deviation"] == 0 for entry in entries)
    assert all(entry["unit"] == "ms" and entry["value"] > 0 for entry in entries)


@pytest.mark.parametrize("wrong", [[], ["--kernel", "--k", "0"]])
def test_wrong_usage_is_told(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speculate", *wrong]) == 1
    assert "usage" in capsys.readouterr().out


def test_answers_that_differ_are_counted(tmp_path: Path) -> None:
    family, results = write_hybrids(tmp_path / "tiny"), tmp_path / "speculative.json"
    BundleWriter.open(family).rank_tokens(np.arange(0, 90, 2, dtype=np.uint32))
    models = ["--bundle", str(family), "--targets", "half", "none", "--drafts", "half", "--k", "1", "3"]
    small = ["--tokens", "8", "--limit", "3", "--device", "cpu", "--exact", "--results", str(results)]
    assert main(["speculate", *models, *small]) == 0
    entries = json.loads(results.read_text())["entries"]
    assert [(entry["metric"], entry["value"]) for entry in entries] == [("speculative.different", 0)] * 4
    assert all(entry["of"]["shortlist"] == 45 and entry["of"]["dtype"] == "float32" for entry in entries)


def test_a_shortlist_needs_a_ranking(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    family = write_hybrids(tmp_path / "tiny")
    models = ["--bundle", str(family), "--targets", "half", "--drafts", "half", "--shortlist", "8", "--tokens", "4"]
    assert main(["speculate", *models, "--device", "cpu"]) == 1
    assert "token-ranking" in capsys.readouterr().out
