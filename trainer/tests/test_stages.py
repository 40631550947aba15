"""What each stage moves, what it leaves, and what it measures."""

from pathlib import Path

import numpy as np
import pytest
import torch
from runs import frozen_parameters, metrics, parse, run_config, stage_after, write_data
from samples import ARCHITECTURE

from mambascope_trainer.bundle import Bundle
from mambascope_trainer.data.tokens import TokenRows
from mambascope_trainer.model.load import load_teacher
from mambascope_trainer.run.directory import RunDirectory
from mambascope_trainer.run.train import build_stage, train
from mambascope_trainer.stages.align import Align
from mambascope_trainer.stages.distill import Distill


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("method", ["align", "distill"])
def test_only_mixers_are_trained(models: Path, data: Path, tmp_path: Path, method: str) -> None:
    config = run_config(models, data, method)
    fresh = build_stage(parse(config))
    assert isinstance(fresh, Align | Distill)
    before = {name: value.clone() for name, value in fresh.state_dict().items()}
    stage, _ = stage_after(config, tmp_path)
    assert isinstance(stage, Align | Distill)
    teacher = load_teacher(Bundle.open(models / "tiny")).state_dict()
    frozen = frozen_parameters(stage.model)
    assert frozen.keys() == teacher.keys()
    assert all(torch.equal(value, teacher[name]) for name, value in frozen.items())
    after = stage.state_dict()
    assert {name.split(".")[2] for name in after} == {"0", "2"}
    assert all(not torch.equal(after[name], value) for name, value in before.items())
    trained = {id(p) for p in stage.parameters()}
    assert {id(p) for p in stage.model.parameters() if p.requires_grad} == trained
    assert all(p.grad is None for p in stage.model.parameters() if id(p) not in trained)


def test_alignment_measures_each_layer_on_the_teachers_activations(models: Path, data: Path) -> None:
    stage = build_stage(parse(run_config(models, data, "align", layers=[2, 0])))
    assert isinstance(stage, Align)
    ids = torch.randint(320, (3, 17), generator=torch.Generator().manual_seed(0))
    found = stage.evaluate([ids])
    stage.model.requires_grad_(False)
    teacher = load_teacher(Bundle.open(models / "tiny")).requires_grad_(False)
    x, rotary, losses = teacher.embed_tokens(ids[:, :-1]), teacher.rotary(0, 16), {}
    for index in range(3):
        layer = teacher.layer(index)
        assert layer.self_attn is not None
        u = layer.input_layernorm(x)
        target, _ = layer.self_attn(u, rotary)
        if index != 1:
            out, _ = stage.model.mamba(index)(u)
            losses[f"align.{index}"] = float(((out - target) ** 2).sum() / (target**2).sum())
        x, _ = layer(x, rotary)
    losses["loss"] = np.mean(list(losses.values()))
    assert found == pytest.approx(losses, rel=1e-4)


def test_calibration_gives_the_outputs_their_least_squares_length(models: Path, data: Path) -> None:
    stage = build_stage(parse(run_config(models, data, "align")))
    assert isinstance(stage, Align)
    ids = stage_batch(data)
    for index, u, target in stage._activations(ids):
        out, _ = stage.model.mamba(index)(u)
        factor = float(((out * target).sum() / out.square().sum()).detach())
        assert factor == pytest.approx(1, abs=1e-3) or factor < 0.02


def stage_batch(data: Path) -> torch.Tensor:
    return TokenRows(data / "train", 16, 3).batch(0, 4)


def test_a_random_pattern_depends_on_the_step_alone_and_reaches_all(models: Path, data: Path) -> None:
    config = parse(run_config(models, data, layers=[0, 1, 2], pattern="random", full_probability=0.25))
    stage, again = build_stage(config), build_stage(config)
    assert isinstance(stage, Distill)
    assert isinstance(again, Distill)
    patterns = [stage.pattern(stage.patterns.at(step)) for step in range(400)]
    assert patterns[::-1] == [again.pattern(again.patterns.at(step)) for step in reversed(range(400))]
    replaced = [tuple(i for i, name in enumerate(pattern) if name == "mamba2") for pattern in patterns]
    assert set(replaced) == {(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)}
    # A quarter is full by choice, and a third of the others by chance.
    assert replaced.count((0, 1, 2)) / 400 == pytest.approx(0.5, abs=0.1)


def test_layers_outside_a_steps_pattern_get_no_gradient(models: Path, data: Path) -> None:
    stage = build_stage(parse(run_config(models, data, pattern="random", full_probability=0.0)))
    assert isinstance(stage, Distill)
    step = next(s for s in range(50) if stage.pattern(stage.patterns.at(s)) == ["mamba2", "attention", "attention"])
    stage.train_step(stage_batch(data), step, 1.0)
    assert all(p.grad is not None for p in stage.model.mamba(0).parameters())
    assert all(p.grad is None for p in stage.model.mamba(2).parameters())


def test_layers_below_the_lowest_replaced_one_are_run_once(models: Path, data: Path) -> None:
    ids, results = stage_batch(data), []
    for shared in (True, False):
        stage = build_stage(parse(run_config(models, data, layers=[1, 2])))
        assert isinstance(stage, Distill)
        runs: list[int] = []
        for index, layer in enumerate(stage.model.layers):
            layer.register_forward_hook(lambda *_, index=index, runs=runs: runs.append(index))
        if not shared:
            stage.reference = load_teacher(Bundle.open(models / "tiny"))
        measures = stage.train_step(ids, 0, 1.0)
        assert runs == ([0, 1, 2, 1, 2] if shared else [0, 1, 2])
        results.append([measures["kl"], *(p.grad for p in stage.parameters())])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


def test_micro_batches_add_up_to_the_batch(models: Path, data: Path) -> None:
    ids, gradients = stage_batch(data), []
    for parts in (1, 4):
        stage = build_stage(parse(run_config(models, data, loss={"alpha": 0.5, "temperature": 2.0})))
        for part in ids.chunk(parts):
            stage.train_step(part, 0, 1 / parts)
        gradients.append([p.grad for p in stage.parameters()])
    for whole, added in zip(*gradients, strict=True):
        assert whole is not None
        torch.testing.assert_close(added, whole, rtol=1e-3, atol=1e-6)


def test_a_run_starts_from_anothers_mixers(models: Path, data: Path, tmp_path: Path) -> None:
    train(parse(run_config(models, data, "align")), tmp_path / "align", resume=False)
    config = run_config(models, data, layers=[2], mixer={"start_from": str(tmp_path / "align")})
    started = build_stage(parse(config)).state_dict()
    trained = RunDirectory(tmp_path / "align").require_checkpoint()["stage"]
    assert {name.split(".")[2] for name in started} == {"2"}
    assert all(torch.equal(value, trained[name]) for name, value in started.items())


def test_pretraining_learns_what_follows_what(data: Path, tmp_path: Path) -> None:
    config = run_config(tmp_path, data, "pretrain", layers=[], architecture=ARCHITECTURE.to_json(), eval_every=1000)
    config["optimiser"] |= {"steps": 80, "learning_rate": 1e-2, "batch": 8}
    stage_after(config, tmp_path)
    first, last = (record["loss"] for record in metrics(tmp_path) if record["kind"] == "eval")
    assert first == pytest.approx(np.log(ARCHITECTURE.vocab_size), abs=0.3)
    assert last < 0.95 * first
