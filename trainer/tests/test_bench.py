"""The training benchmark: FLOPs against a count of what PyTorch runs, traces, results."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mambascope_trainer.benchmark.flops import peak_tflops, step_flops
from mambascope_trainer.benchmark.measure import Trainer
from mambascope_trainer.benchmark.profile import read_trace, table
from mambascope_trainer.benchmark.workloads import TINY, WORKLOADS, build, random_ids, run_config
from mambascope_trainer.cli import main


@pytest.mark.parametrize("name", list(WORKLOADS))
def test_products_with_weights_are_those_that_pytorch_counts(name: str) -> None:
    config = run_config(WORKLOADS[name], TINY, 2, 12, False)
    cpu = torch.device("cpu")
    stage, parameters = build(config, TINY, cpu, "loop")
    trainer = Trainer(stage, parameters, config, random_ids(TINY, 2, 12, cpu))
    with FlopCounterMode(display=False) as counter:
        trainer.step()
    counts = counter.get_flop_counts()["Global"]
    found = sum(count for op, count in counts.items() if op in (torch.ops.aten.mm, torch.ops.aten.addmm))
    # Alignment also runs the MLP above its last target, which the method does not need.
    idle = 6 * TINY.hidden_size * TINY.intermediate_size if config.method == "align" else 0
    assert found == pytest.approx((step_flops(config, TINY).weights + idle) * 2 * 12)


def test_peaks_go_by_the_devices_name() -> None:
    assert peak_tflops("NVIDIA H100 80GB HBM3") == peak_tflops("NVIDIA H200") == 989
    assert peak_tflops("Some GPU") is None


def test_a_trace_gives_kernels_by_time_and_the_idle_share() -> None:
    def event(name: str, start: float, length: float, category: str = "kernel") -> dict[str, Any]:
        return {"ph": "X", "cat": category, "name": name, "ts": start, "dur": length}

    profile = read_trace(
        [
            event("gemm", 100, 40),
            event("aten::mm", 0, 500, "cpu_op"),
            event("copy", 120, 30, "gpu_memcpy"),  # at the same time, and 10 beyond
            event("gemm", 180, 20),
            {"ph": "M", "name": "process_name"},
        ]
    )
    assert [(k.name, k.calls, k.milliseconds) for k in profile.kernels] == [("gemm", 2, 0.06), ("copy", 1, 0.03)]
    assert profile.span == pytest.approx(0.1)
    assert profile.idle_share == pytest.approx(0.3)
    assert "30.0% of it with the GPU idle" in table(profile, 1, 5)
    assert read_trace([]).kernels == []


def test_the_command_measures_and_writes_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "training.json"
    small = [
        "--device",
        "cpu",
        "--tiny",
        "--batch",
        "2",
        "--seq-len",
        "20",
        "--warmup",
        "1",
        "--steps",
        "1",
        "--repeats",
        "2",
        "--peak-tflops",
        "0.5",
    ]
    assert main(["bench", "--workloads", "align-half", "distill-attn50", *small, "--results", str(path)]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["stage"] for line in lines] == ["align-half", "distill-attn50"]
    for line in lines:
        assert line["slowest"] <= line["tokens_per_second"] <= line["fastest"]
        assert line["mfu"] == pytest.approx(line["tokens_per_second"] * line["flops_per_token"] / 0.5e12, abs=1e-4)
    entries = json.loads(path.read_text())["entries"]
    assert {e["metric"] for e in entries} == {"training.tokens_per_second", "training.mfu"}
    assert all(e["of"]["scan"] == "chunked" and e["unit"] and e["value"] for e in entries)


def test_a_profile_needs_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--device", "cpu", "--tiny", "--profile"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "bench-device"
