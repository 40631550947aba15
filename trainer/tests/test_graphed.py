"""A step replayed from a CUDA graph is the step itself, and only steps that all do the same work are replayed."""

from pathlib import Path
from typing import Any

import pytest
import torch
from runs import metrics, parse, run_config, stage_after, write_data

from mambascope_trainer.benchmark.workloads import TINY, WORKLOADS, build, random_ids
from mambascope_trainer.benchmark.workloads import run_config as workload_config
from mambascope_trainer.run.train import build_stage
from mambascope_trainer.stages.graphed import WARMUP_CALLS, GraphedStep, fast_train_step

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
#: A run whose steps may be replayed.
SAME_WORK: dict[str, Any] = {"compile": True, "cuda_graph": "auto"}


@pytest.mark.cuda
@pytest.mark.parametrize("name", ["distill-attn50", "align-all"])
@pytest.mark.parametrize("compiled", [False, True])
def test_replays_give_the_gradients_and_measures_of_the_step(name: str, compiled: bool) -> None:
    config = workload_config(WORKLOADS[name], TINY, 4, 64, compiled)
    stage, parameters = build(config, TINY, CUDA, "triton")
    graphed = GraphedStep(stage.train_step, parameters)
    for call in range(WARMUP_CALLS + 4):
        parts = [random_ids(TINY, 4, 64, CUDA) for _ in range(1 + call % 2)]
        results = []
        for form in (graphed, stage.train_step):
            for parameter in parameters:
                parameter.grad = None
            with torch.autocast("cuda", dtype=torch.bfloat16):
                measures = [form(ids, call, 0.5) for ids in parts]
            results.append(
                [m["loss"] for m in measures] + [p.grad.clone() if p.grad is not None else p for p in parameters]
            )
        for found, expected in zip(*results, strict=True):
            assert (found - expected).norm() <= 1e-2 * expected.norm() + 1e-6
        with torch.no_grad():  # replays must see new weights
            for parameter in parameters:
                parameter.mul_(1.05)
    assert graphed.captured


@pytest.mark.cuda
@pytest.mark.parametrize("method", ["align", "distill"])
def test_a_run_of_replayed_steps_is_the_run(models: Path, tmp_path: Path, method: str) -> None:
    data = write_data(tmp_path / "data")
    losses = []
    for graph in ("auto", "off"):
        config = run_config(models, data, method, compile=True, cuda_graph=graph, device="cuda", log_every=1)
        _, loop = stage_after(config, tmp_path / graph)
        assert isinstance(loop.train_step, GraphedStep) == (graph == "auto")
        assert graph == "off" or loop.train_step.captured
        losses.append([line["loss"] for line in metrics(tmp_path / graph)])
    assert losses[0] == pytest.approx(losses[1], rel=2e-2)


@pytest.mark.parametrize(
    ("changes", "device", "sharded", "replayed"),
    [
        ({}, CUDA, False, True),
        ({"method": "align"}, CUDA, False, True),
        ({"cuda_graph": "off"}, CUDA, False, False),
        ({}, CPU, False, False),
        ({}, CUDA, True, False),
        ({"compile": False}, CUDA, False, False),
        ({"checkpoint_activations": "layers"}, CUDA, False, False),
        ({"pattern": "random"}, CUDA, False, False),
        ({"method": "orient"}, CUDA, False, False),
    ],
)
def test_only_steps_that_all_do_the_same_are_replayed(
    models: Path, changes: dict[str, Any], device: torch.device, sharded: bool, replayed: bool
) -> None:
    config = parse(run_config(models, Path("none"), **{**SAME_WORK, **changes}))
    plain = config.model_copy(update={"compile": False})
    plain.mixer.calibrate = "none"  # there are no data
    stage = build_stage(plain)
    step = fast_train_step(stage, config, device, sharded)
    assert isinstance(step, GraphedStep) == replayed
    assert replayed or step == stage.train_step


def test_on_a_cpu_a_run_with_a_graph_is_the_run_without(models: Path, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data")
    for graph in ("auto", "off"):
        stage_after(run_config(models, data, cuda_graph=graph), tmp_path / graph)
    assert metrics(tmp_path / "auto") == metrics(tmp_path / "off")


def test_steps_of_the_warm_up_are_the_steps_themselves() -> None:
    stage, parameters = build(workload_config(WORKLOADS["distill-attn50"], TINY, 2, 12, False), TINY, CPU, "chunked")
    graphed = GraphedStep(stage.train_step, parameters)
    for call in range(WARMUP_CALLS):
        ids = random_ids(TINY, 2, 12, CPU)
        gradients = []
        for form in (graphed, stage.train_step):
            for parameter in parameters:
                parameter.grad = None
            loss = form(ids, call, 0.5)["loss"]
            gradients.append([loss, *[p.grad.clone() for p in parameters if p.grad is not None]])
        assert len(gradients[0]) == len(gradients[1]) > 1
        assert all(torch.equal(found, expected) for found, expected in zip(*gradients, strict=True))
    assert not graphed.captured
