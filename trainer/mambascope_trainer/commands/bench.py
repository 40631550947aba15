"""`bench`: training speed on random weights of SmolLM2-135M's shape; JSON lines, and a profile of the kernels."""

from __future__ import annotations

import argparse
import gc
import json
from pathlib import Path
from typing import Any

import torch

from ..benchmark.flops import peak_tflops, step_flops
from ..benchmark.measure import Timing, Trainer, time_steps
from ..benchmark.profile import profile_steps, table
from ..benchmark.workloads import SMOLLM2_135M, TINY, WORKLOADS, build, random_ids, run_config
from ..errors import MambascopeError
from ..evaluation.results import write_results
from ..run.device import resolve_device

#: The kernels, and the reference in plain PyTorch.
BACKENDS = ("triton", "chunked")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workloads", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, help="of the scan; by default those that run here")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--tiny", action="store_true", help="a tiny shape: to try the command, not to measure")
    parser.add_argument("--batch", type=int, default=32, help="sequences a step")
    parser.add_argument("--seq-len", type=int, default=1024)
    parser.add_argument("--warmup", type=int, default=6, help="steps that are not timed")
    parser.add_argument("--steps", type=int, default=10, help="steps a repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-compile", action="store_true", help="without torch.compile")
    parser.add_argument("--no-graph", action="store_true", help="without the step's CUDA graph")
    parser.add_argument("--peak-tflops", type=float, help="the device's dense bfloat16 peak, for MFU")
    parser.add_argument("--profile", action="store_true", help="print the costliest CUDA kernels instead of measuring")
    parser.add_argument("--rows", type=int, default=45, help="kernels that --profile prints")
    parser.add_argument("--results", type=Path, help="also add training.* entries to this results file")


def run(options: argparse.Namespace) -> None:
    device = resolve_device(options.device)
    if options.profile and device.type != "cuda":
        raise MambascopeError("bench-device", "--profile traces CUDA kernels.", "Run it where there is a CUDA GPU.")
    peak = options.peak_tflops
    if peak is None and device.type == "cuda":
        peak = peak_tflops(torch.cuda.get_device_name(device))
    entries = []
    for name in options.workloads:
        for backend in options.backends or (BACKENDS if device.type == "cuda" else ("chunked",)):
            entries += _bench(options, name, backend, device, peak)
            gc.collect()
            if device.type == "cuda":
                torch.cuda.empty_cache()
            torch._dynamo.reset()
    if options.results is not None and entries:
        write_results(options.results, entries)


def _bench(
    options: argparse.Namespace, name: str, backend: Any, device: torch.device, peak: float | None
) -> list[dict[str, Any]]:
    """Measure one workload (or profile it: no entries) and print what came out."""
    arch = TINY if options.tiny else SMOLLM2_135M
    compiled = device.type == "cuda" and not options.no_compile
    config = run_config(WORKLOADS[name], arch, options.batch, options.seq_len, compiled)
    stage, parameters = build(config, arch, device, backend)
    ids = random_ids(arch, options.batch, options.seq_len, device)
    graphed = device.type == "cuda" and not options.no_graph
    trainer = Trainer(stage, parameters, config, ids, graphed)
    if options.profile:
        for _ in range(options.warmup):
            trainer.step()
        print(f"{name}, scan {backend}: {table(profile_steps(trainer, 3), 3, options.rows)}\n", flush=True)
        return []
    timing = time_steps(trainer, options.warmup, options.steps, options.repeats)
    tokens = options.batch * options.seq_len
    flops = step_flops(config, arch).total
    of = {
        "model": "tiny" if options.tiny else "SmolLM2-135M",
        "stage": name,
        "scan": backend,
        "batch": options.batch,
        "seq_len": options.seq_len,
        "cuda_graph": trainer.graphed,
    }
    measures = _measures(timing, tokens, flops, peak)
    print(json.dumps({**of, **measures, "flops_per_token": flops, "peak_tflops": peak}), flush=True)
    units = {"tokens_per_second": "token/s", "mfu": "share", "peak_memory_gib": "GiB"}
    return [
        {"metric": f"training.{key}", "value": measures[key], "unit": unit, "of": of}
        for key, unit in units.items()
        if key in measures
    ]


def _measures(timing: Timing, tokens: int, flops: float, peak: float | None) -> dict[str, float]:
    measures = {
        "tokens_per_second": round(tokens / timing.median),
        "slowest": round(tokens / timing.slowest),
        "fastest": round(tokens / timing.fastest),
        "warmup_seconds": round(timing.warmup, 2),
    }
    if peak is not None:
        measures["mfu"] = round(tokens / timing.median * flops / (peak * 1e12), 4)
    if timing.peak_memory_gib is not None:
        measures["peak_memory_gib"] = round(timing.peak_memory_gib, 2)
    return measures
