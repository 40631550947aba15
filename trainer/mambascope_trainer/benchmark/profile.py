"""Where a step's GPU time goes: kernels by total time, and the share in which the GPU waits."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from .measure import Trainer

#: Trace categories that occupy the device.
ON_DEVICE = ("kernel", "gpu_memcpy", "gpu_memset")


@dataclass(frozen=True)
class Kernel:
    name: str
    calls: int
    milliseconds: float


@dataclass(frozen=True)
class Profile:
    """Kernels by falling total time, milliseconds of the traced span, and the share of it with no kernel running."""

    kernels: list[Kernel]
    span: float
    idle_share: float


def read_trace(events: Iterable[Mapping[str, Any]]) -> Profile:
    """The profile of a Chrome trace's events (times in microseconds)."""
    spans: list[tuple[float, float]] = []
    calls: defaultdict[str, int] = defaultdict(int)
    totals: defaultdict[str, float] = defaultdict(float)
    for event in events:
        if event.get("ph") == "X" and event.get("cat") in ON_DEVICE:
            start, length = float(event["ts"]), float(event["dur"])
            spans.append((start, start + length))
            calls[event["name"]] += 1
            totals[event["name"]] += length
    if not spans:
        return Profile([], 0.0, 0.0)
    spans.sort()
    busy, reached = 0.0, spans[0][0]
    for start, end in spans:
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    span = reached - spans[0][0]
    kernels = [Kernel(name, calls[name], total / 1000) for name, total in totals.items()]
    kernels.sort(key=lambda kernel: -kernel.milliseconds)
    return Profile(kernels, span / 1000, 1 - busy / span)


def profile_steps(trainer: Trainer, steps: int) -> Profile:
    """Trace `steps` steps on CUDA, after warm-up."""
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    trainer.wait()
    with torch.profiler.profile(activities=activities) as profiler:
        for _ in range(steps):
            trainer.step()
        trainer.wait()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        return read_trace(json.loads(path.read_text())["traceEvents"])


def table(profile: Profile, steps: int, rows: int) -> str:
    """The costliest kernels as text, a step."""
    total = sum(kernel.milliseconds for kernel in profile.kernels) or 1.0
    lines = [
        f"{profile.span / steps:.2f} ms a step, {100 * profile.idle_share:.1f}% of it with the GPU idle",
        "  ms/step  share  calls  kernel",
    ]
    for kernel in profile.kernels[:rows]:
        share = 100 * kernel.milliseconds / total
        lines.append(
            f"{kernel.milliseconds / steps:9.3f} {share:5.1f}% {kernel.calls / steps:6.1f}  {kernel.name[:120]}"
        )
    return "\n".join(lines)
