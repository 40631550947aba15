"""Runs that are stopped, killed, torn and resumed end as unbroken ones."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ranks import start_run
from runs import STEPS, assert_same_state, final_state, metrics, parse, run_config, status, write_data

from mambascope_trainer.cli import main
from mambascope_trainer.run.config import ConfigError, read_config
from mambascope_trainer.run.directory import RunDirectory
from mambascope_trainer.run.schedule import learning_rate
from mambascope_trainer.run.train import train
from mambascope_trainer.stages.align import Align
from mambascope_trainer.stages.distill import Distill

METHODS: dict[str, tuple[type, dict[str, Any]]] = {
    "align": (Align, {"method": "align"}),
    "distill": (Distill, {"mixer": {"codec": "q4_0"}, "loss": {"alpha": 0.2}}),
    "distill, random pattern": (Distill, {"pattern": "random", "full_probability": 0.3}),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def unbroken(models: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The directory of a method's run, trained once."""
    root = tmp_path_factory.mktemp("runs")

    def run(name: str) -> Path:
        folder = root / name
        if not folder.exists():
            assert train(parse(run_config(models, data, **METHODS[name][1])), folder, resume=False) == "finished"
        return folder

    return run


@pytest.mark.parametrize("name", list(METHODS))
def test_a_stopped_run_that_is_resumed_is_an_unbroken_one(
    models: Path,
    data: Path,
    unbroken: Callable[[str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    stage, changes = METHODS[name]
    config = parse(run_config(models, data, **changes))
    plain = stage.train_step

    def interrupted(self: Any, ids: Any, step: int, scale: float) -> Any:
        if step == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(self, ids, step, scale)

    monkeypatch.setattr(stage, "train_step", interrupted)
    assert train(config, tmp_path, resume=False) == "stopped"
    assert (status(tmp_path)["state"], status(tmp_path)["step"]) == ("stopped", 8)
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="--resume"):
        train(config, tmp_path, resume=False)
    assert train(config, tmp_path, resume=True) == "finished"
    whole = unbroken(name)
    assert_same_state(final_state(tmp_path), final_state(whole))
    assert metrics(tmp_path) == metrics(whole)
    assert status(tmp_path)["state"] == "finished"
    assert [path.name for path in RunDirectory(tmp_path).checkpoints()] == ["step-0000010.pt", "step-0000014.pt"]


def test_what_a_run_writes(unbroken: Callable[[str], Path]) -> None:
    folder = unbroken("align")
    records = metrics(folder)
    assert [r["step"] for r in records if r["kind"] == "eval"] == [0, 7, 14]
    assert [r["step"] for r in records if r["kind"] == "train"] == [3, 6, 9, 12, 14]
    assert all(r["tokens"] == r["step"] * 4 * 16 for r in records)
    assert {"loss", "align.0", "align.2", "learning_rate", "grad_norm"} <= records[-2].keys()
    assert read_config(folder / "config.json").name == "test"
    assert {key: status(folder)[key] for key in ("state", "step", "steps", "tokens")} == {
        "state": "finished", "step": STEPS, "steps": STEPS, "tokens": STEPS * 64,
    }  # fmt: skip
    assert f"finished at step {STEPS}" in (folder / "log.txt").read_text()


@pytest.mark.parametrize(("method", "share"), [("align", 0.9), ("distill", 0.85)])
def test_the_loss_falls(models: Path, data: Path, tmp_path: Path, method: str, share: float) -> None:
    config = run_config(models, data, method, eval_batches=3, eval_every=100)
    config["optimiser"] |= {"steps": 60, "learning_rate": 1e-2}
    train(parse(config), tmp_path, resume=False)
    losses = [record["loss"] for record in metrics(tmp_path) if record["kind"] == "eval"]
    assert len(losses) == 2
    assert losses[1] < share * losses[0]


def test_a_crash_with_a_torn_line_is_resumed(
    models: Path, data: Path, unbroken: Callable[[str], Path], tmp_path: Path
) -> None:
    whole = unbroken("distill")
    folder = shutil.copytree(whole, tmp_path / "crashed")
    RunDirectory(folder).checkpoints()[-1].unlink()
    text = (folder / "metrics.jsonl").read_text()
    (folder / "metrics.jsonl").write_text(text[: text.rindex('"step"') + 4])
    (folder / "checkpoints" / "step-0000011.part").write_bytes(b"half a checkpoint")
    train(parse(run_config(models, data, **METHODS["distill"][1])), folder, resume=True)
    assert_same_state(final_state(folder), final_state(whole))
    assert metrics(folder) == metrics(whole)


def test_a_run_that_came_to_no_checkpoint_starts_anew(
    models: Path, data: Path, unbroken: Callable[[str], Path], tmp_path: Path
) -> None:
    for name, resume in (("a", True), ("b", False)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "metrics.jsonl").write_text('{"kind": "eval", "step": 0, "loss": 5}\n{"kind": "tr')
        train(parse(run_config(models, data, **METHODS["align"][1])), folder, resume)
        assert metrics(folder) == metrics(unbroken("align"))


def test_sigterm_checkpoints_and_says_stopped(models: Path, data: Path, tmp_path: Path) -> None:
    config = run_config(models, data, **METHODS["distill, random pattern"][1])
    config["optimiser"]["steps"] = 100_000
    config["data"]["evaluation"] = None
    process = start_run(config, tmp_path)
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "metrics.jsonl").exists():
            assert process.is_alive(), "the run ended early"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.terminate()
        process.join(60)
        assert process.exitcode == 0
    finally:
        process.kill()
    said = status(tmp_path)
    assert said["state"] == "stopped"
    assert said["pid"] == process.pid
    assert 3 <= said["step"] < 100_000
    assert RunDirectory(tmp_path).require_checkpoint()["step"] == said["step"]


WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "several fields": (
        {"method": "magic", "extra": 1, "optimiser": {"steps": 0, "batch": 4}, "data": {"seq_len": 1}},
        ["method", "extra", "optimiser.steps", "optimiser.learning_rate", "data.train", "data.seq_len"],
    ),
    "accumulation": (
        {"optimiser": {"steps": 1, "batch": 3, "accumulate": 2, "learning_rate": 1}},
        ["optimiser.batch", "optimiser.accumulate"],
    ),
    "a layer twice": ({"layers": [1, 1]}, ["layers", "twice"]),
    "a layer below": ({"layers": [-1]}, ["layers.0"]),
    "no layers": ({"layers": []}, ["layers"]),
    "no shape": ({"method": "pretrain"}, ["architecture"]),
    "a layer beyond": ({"layers": [3]}, ["layers", "no layer 3"]),
    "mixer field": ({"mixer": {"options": {"form": "x", "colour": 1}}}, ["mixer.options.form", "mixer.options.colour"]),
    "mixer shape": ({"mixer": {"options": {"state_size": 8}}}, ["mixer.options", "cannot initialise"]),
    "mixers from nowhere": ({"mixer": {"start_from": "none"}}, ["mixer.start_from", "no checkpoint"]),
    "new shape": ({"method": "pretrain", "architecture": {"colour": 1}}, ["architecture", "colour"]),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_a_wrong_config_names_its_fields(
    models: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    changes, words = WRONG[name]
    (tmp_path / "config.json").write_text(json.dumps(run_config(models, data) | changes))
    assert main(["train", "--config", str(tmp_path / "config.json"), "--run", str(tmp_path / "run")]) == 1
    error = json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
    assert error["code"] == "config-invalid"
    assert all(word in error["message"] for word in words), error["message"]
    assert not Path("none").exists()


@pytest.mark.parametrize("text", [None, "{", "[]"])
def test_a_config_that_is_none_is_said(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "c.json").write_text(text)
    with pytest.raises(ConfigError, match=r"c\.json"):
        read_config(tmp_path / "c.json")


def test_a_run_that_cannot_begin_says_failed(models: Path, data: Path, tmp_path: Path) -> None:
    config = parse(run_config(models, data, family="other"))
    with pytest.raises(Exception, match=r"manifest\.json"):
        train(config, tmp_path, resume=False)
    assert status(tmp_path)["state"] == "failed"
    assert "manifest.json" in status(tmp_path)["message"]


def test_a_loss_that_is_not_finite_ends_the_run(models: Path, data: Path, tmp_path: Path) -> None:
    config = run_config(models, data)
    config["optimiser"] |= {"learning_rate": 1e30, "warmup": 0, "clip": 1e30}
    with pytest.raises(Exception, match="learning rate"):
        train(parse(config), tmp_path, resume=False)
    assert status(tmp_path)["state"] == "failed"
    assert status(tmp_path)["step"] > 0

    def refuse(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)


def test_the_learning_rate_warms_up_and_falls_to_its_share(models: Path, data: Path) -> None:
    config = parse(run_config(models, data)).optimiser
    rates = [learning_rate(step, config) for step in range(STEPS + 1)]
    assert rates[:3] == pytest.approx([1e-3, 2e-3, 3e-3])
    assert max(rates) == pytest.approx(3e-3)
    assert all(later < earlier for earlier, later in pairwise(rates[3:]))
    assert rates[-1] == pytest.approx(0.05 * 3e-3)
