"""A step replayed from a CUDA graph is the step itself."""

import pytest
import torch

from mambascope_trainer.benchmark.workloads import TINY, WORKLOADS, build, random_ids, run_config
from mambascope_trainer.stages.graphed import WARMUP_CALLS, GraphedStep


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU: CUDA graphs")
@pytest.mark.parametrize("name", ["distill-attn50", "align-all"])
@pytest.mark.parametrize("compiled", [False, True])
def test_replays_give_the_gradients_and_measures_of_the_step(name: str, compiled: bool) -> None:
    config, device = run_config(WORKLOADS[name], TINY, 4, 64, compiled), torch.device("cuda")
    stage, parameters = build(config, TINY, device, "triton")
    graphed = GraphedStep(stage.train_step, parameters)
    for call in range(WARMUP_CALLS + 4):
        parts = [random_ids(TINY, 4, 64, device) for _ in range(1 + call % 2)]
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
