"""The device of a run, and what it says of itself."""

from __future__ import annotations

import torch

_utilisation_known = True


def resolve_device(name: str) -> torch.device:
    """ "auto" is CUDA where there is one."""
    return torch.device("cuda" if name == "auto" and torch.cuda.is_available() else "cpu" if name == "auto" else name)


def device_measures(device: torch.device) -> dict[str, float]:
    """memory_gib (the most that was allocated) and gpu_utilisation (percent, where NVML is there); nothing on a CPU."""
    if device.type != "cuda":
        return {}
    measures: dict[str, float] = {"memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2)}
    utilisation = _utilisation()
    return measures if utilisation is None else {**measures, "gpu_utilisation": utilisation}


def _utilisation() -> int | None:
    global _utilisation_known
    if not _utilisation_known:
        return None
    try:
        return torch.cuda.utilization()
    except Exception:  # NVML's binding is optional, and has errors of its own
        _utilisation_known = False
        return None
