"""Several stages in one run directory: what each starts from, what it writes, and how it is resumed."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from ranks import run_ranks
from runs import assert_same_state, final_state, metrics, run_config, status, write_data

from mambascope_trainer.cli import main
from mambascope_trainer.run.config import ConfigError, Plan, read_config, read_plan
from mambascope_trainer.run.directory import RunDirectory
from mambascope_trainer.run.pipeline import StepwiseConfig, kept_layers, merge, replaced_layers
from mambascope_trainer.run.train import build_stage, train
from mambascope_trainer.stages.align import Align
from mambascope_trainer.stages.distill import Distill
from mambascope_trainer.stages.orient import Orient

STAGES: list[dict[str, Any]] = [
    {"method": "orient", "optimiser": {"steps": 4}},
    {"method": "align", "optimiser": {"steps": 6}, "mixer": {"calibrate": "all"}},
    {"name": "end", "method": "distill", "optimiser": {"steps": 5, "learning_rate": 1e-3}},
]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def mohawk(models: Path, data: Path, **changes: Any) -> dict[str, Any]:
    config = run_config(models, data, eval_every=4, checkpoint_every=3)
    del config["method"]
    return {**config, "stages": STAGES, **changes}


def plan(config: dict[str, Any], folder: Path) -> Plan:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "given.json").write_text(json.dumps(config))
    return read_plan(folder / "given.json")


@pytest.fixture(scope="module")
def unbroken(models: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert train(plan(mohawk(models, data), folder), folder, resume=False) == "finished"
    return folder


def test_stages_follow_one_another_in_one_directory(unbroken: Path) -> None:
    records = metrics(unbroken)
    evaluations = [(r["stage"], r["stage_name"], r["step"]) for r in records if r["kind"] == "eval"]
    assert evaluations == [
        (0, "orient", 0), (0, "orient", 4),
        (1, "align", 4), (1, "align", 8), (1, "align", 10),
        (2, "end", 10), (2, "end", 14), (2, "end", 15),
    ]  # fmt: skip
    assert all(r["tokens"] == r["step"] * 64 for r in records)
    assert {r["stage"]: r["learning_rate"] for r in records if r["kind"] == "train"}.keys() == {0, 1, 2}
    said = status(unbroken)
    assert {key: said[key] for key in ("state", "step", "steps", "tokens", "stage", "stage_name")} == {
        "state": "finished", "step": 15, "steps": 15, "tokens": 960, "stage": 2, "stage_name": "end",
    }  # fmt: skip
    assert read_config(unbroken / "config.json").method == "distill"
    assert len(read_plan(unbroken / "config.json").stages) == 3


def test_a_stage_starts_from_what_the_one_before_left(
    models: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: dict[str, list[dict[str, torch.Tensor]]] = {}
    for kind in (Orient, Align, Distill):
        plain = kind.train_step

        def noted(self: Any, ids: Any, step: int, scale: float, plain: Any = plain) -> Any:
            states.setdefault(type(self).__name__, []).append({k: v.clone() for k, v in self.state_dict().items()})
            return plain(self, ids, step, scale)

        monkeypatch.setattr(kind, "train_step", noted)
    train(plan(mohawk(models, data, stages=STAGES[1:]), tmp_path), tmp_path, resume=False)
    align, distill = states["Align"], states["Distill"]
    # The first step of the later stage begins where a step after the last of the earlier one would.
    end = {name: (distill[0][name] - value).norm() for name, value in align[-1].items()}
    start = {name: (distill[0][name] - value).norm() for name, value in align[0].items()}
    assert all(end[name] < start[name] for name in end)


@pytest.mark.parametrize("at", [2, 4, 7, 12])
def test_a_pipeline_that_is_stopped_and_resumed_is_an_unbroken_one(
    models: Path, data: Path, unbroken: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    taken = 0

    def interrupted(plain: Any) -> Any:
        def step(self: Any, *arguments: Any) -> Any:
            nonlocal taken
            taken += 1
            if taken == 2 * at:
                os.kill(os.getpid(), signal.SIGTERM)
            return plain(self, *arguments)

        return step

    for kind in (Orient, Align, Distill):
        monkeypatch.setattr(kind, "train_step", interrupted(kind.train_step))
    given = plan(mohawk(models, data), tmp_path)
    assert train(given, tmp_path, resume=False) == "stopped"
    assert (status(tmp_path)["state"], status(tmp_path)["step"]) == ("stopped", at)
    monkeypatch.undo()
    assert train(given, tmp_path, resume=True) == "finished"
    assert_same_state(final_state(tmp_path), final_state(unbroken))
    assert metrics(tmp_path) == metrics(unbroken)
    assert train(given, tmp_path, resume=True) == "finished"
    assert metrics(tmp_path) == metrics(unbroken)


def test_a_crash_between_two_stages_is_resumed(models: Path, data: Path, unbroken: Path, tmp_path: Path) -> None:
    """All that is left is the checkpoint at the end of the second stage, and lines of the third."""
    folder = tmp_path / "crashed"
    given = plan(mohawk(models, data), folder)
    train(plan(mohawk(models, data, stages=STAGES[:2]), tmp_path / "two"), folder, resume=False)
    (folder / "metrics.jsonl").write_text((unbroken / "metrics.jsonl").read_text() + '{"kind": "tr')
    assert RunDirectory(folder).require_checkpoint()["stage_index"] == 1
    train(given, folder, resume=True)
    assert_same_state(final_state(folder), final_state(unbroken))
    assert metrics(folder) == metrics(unbroken)


def test_progressive_replacement_keeps_what_is_trained(models: Path, data: Path, tmp_path: Path) -> None:
    config = run_config(models, data, "distill", layers=[], eval_every=100)
    config["optimiser"]["steps"] = 3
    config["stepwise"] = {"ratios": [0.67, 0.34, 0]}
    given = plan(config, tmp_path)
    assert [(s.name, s.config.layers) for s in given.stages] == [
        ("attn67", [2]), ("attn34", [1, 2]), ("attn0", [0, 1, 2]),
    ]  # fmt: skip
    assert given.stages[1].config.mixer.start_from == ["previous", "init"]
    train(given, tmp_path, resume=False)
    assert {name.split(".")[2] for name in final_state(tmp_path)} == {"0", "1", "2"}
    assert "stepwise" not in json.loads((tmp_path / "config.json").read_text())
    # A later stage takes the trained layers and initialises the others.
    state = {name: value + 1 for name, value in final_state(tmp_path).items() if ".layers.2." in name}
    started = build_stage(given.stages[1].config, state).state_dict()
    assert all(torch.equal(started[name], value) for name, value in state.items())
    assert any(".layers.1." in name for name in started)


def test_each_ratio_may_have_several_stages(models: Path, data: Path, tmp_path: Path) -> None:
    config = mohawk(models, data, stepwise={"ratios": [0.34, 0], "selection": [[1], []]}, stages=STAGES[1:])
    stages = plan(config, tmp_path).stages
    assert [(s.name, s.config.method, s.config.layers) for s in stages] == [
        ("attn34-align", "align", [0, 2]), ("attn34-end", "distill", [0, 2]),
        ("attn0-align", "align", [0, 1, 2]), ("attn0-end", "distill", [0, 1, 2]),
    ]  # fmt: skip
    assert [s.steps_before for s in stages] == [0, 6, 11, 17]


@given(st.integers(2, 48), st.lists(st.floats(0, 0.9), min_size=1, max_size=5, unique=True))
def test_interleaved_steps_are_nested_and_keep_their_share(count: int, ratios: list[float]) -> None:
    ratios = sorted(ratios, reverse=True)
    if kept_layers(ratios[0], count) == count:
        return
    steps = replaced_layers(StepwiseConfig(ratios=ratios), count)
    before: set[int] = set()
    for ratio, (_, replaced) in zip(ratios, steps, strict=True):
        assert before <= set(replaced)
        assert count - len(replaced) == kept_layers(ratio, count)
        before = set(replaced)
    if ratios[0] >= 0.5 and count % 2 == 0 and kept_layers(ratios[0], count) == count // 2:
        assert steps[0][1] == list(range(1, count, 2))


def test_the_paths_of_thirty_layers() -> None:
    steps = replaced_layers(StepwiseConfig(ratios=[0.5, 0.25, 0.125, 0]), 30)
    assert [(name, 30 - len(replaced)) for name, replaced in steps] == [
        ("attn50", 15), ("attn25", 8), ("attn12", 4), ("attn0", 0),
    ]  # fmt: skip


def test_sections_are_merged_and_lists_replaced() -> None:
    shared = {"a": 1, "s": {"x": [1, 2], "y": {"z": 3}}}
    merged = merge(shared, {"s": {"x": [9], "y": {"w": 4}}, "b": {"c": 5}})
    assert merged == {"a": 1, "s": {"x": [9], "y": {"z": 3, "w": 4}}, "b": {"c": 5}}
    merged["s"]["y"]["z"] = 0
    assert shared["s"] == {"x": [1, 2], "y": {"z": 3}}


def test_two_processes_go_from_stage_to_stage_as_one_does(models: Path, data: Path, tmp_path: Path) -> None:
    """Shards (FSDP2) whose checkpoints the next stage starts from."""
    steps = {"steps": 3, "accumulate": 1}
    stages = [{"method": method, "optimiser": steps} for method in ("align", "distill")]
    config = {**mohawk(models, data, stages=stages), "parallel": {"strategy": "fsdp"}}
    given = plan(config, tmp_path)
    assert run_ranks(given, tmp_path / "two") == [0, 0]
    # The relative loss of alignment is that of two micro-batches.
    given.stages[0].config.optimiser.accumulate = 2
    train(given, tmp_path / "one", resume=False)
    expected = final_state(tmp_path / "one")
    assert all(path.is_dir() for path in RunDirectory(tmp_path / "two").checkpoints())
    for name, value in final_state(tmp_path / "two").items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=2e-4)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no stages": ({"stages": []}, "stages"),
    "a name twice": ({"stages": [STAGES[0], STAGES[0]]}, "two are named 'orient'"),
    "a field of a stage": ({"stages": [{"method": "align", "layres": []}]}, r"stage align[^\n]*\n  layres"),
    "forms that differ": (
        {"stages": [STAGES[0], {"method": "align", "mixer": {"options": {"gate": False}}}]}, r"mixer\.options",
    ),
    "a run of its own": ({"stages": [{"method": "pretrain", "architecture": {}}]}, "pretrain"),
    "rising": ({"stepwise": {"ratios": [0, 0.5]}}, r"stepwise\.ratios"),
    "no share": ({"stepwise": {"ratios": [2]}}, r"stepwise\.ratios\.0"),
    "not nested": ({"stepwise": {"ratios": [0.6, 0.3], "selection": [[0, 1], [2]]}}, r"stepwise\.selection"),
    "too few lists": ({"stepwise": {"ratios": [0.6, 0.3], "selection": [[0, 1]]}}, r"stepwise\.selection"),
    "a family from nowhere": ({"stepwise": {"ratios": [0.5]}, "family": "other"}, "bundle"),
    "nothing replaced": ({"stepwise": {"ratios": [1]}}, "replaces no layer"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(WRONG))
def test_a_wrong_pipeline_says_what_is_wrong(models: Path, data: Path, tmp_path: Path, name: str) -> None:
    changes, word = WRONG[name]
    with pytest.raises(ConfigError, match=word):
        plan(mohawk(models, data, **changes), tmp_path)


def test_steps_on_the_command_line_are_those_of_every_stage(models: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps(mohawk(models, data)))
    assert main(["train", "--config", str(tmp_path / "c.json"), "--run", str(tmp_path / "run"), "--steps", "1"]) == 0
    assert status(tmp_path / "run")["step"] == 3
