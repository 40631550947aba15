"""Whether Triton is there, and where its kernels run."""

from __future__ import annotations

import importlib.util
import os
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

# A constant, so that compiled code need not trace how it is found.
_FOUND = os.environ.get("MAMBASCOPE_TRITON") != "0" and importlib.util.find_spec("triton") is not None


def triton_available() -> bool:
    """Whether Triton can be imported and MAMBASCOPE_TRITON=0 does not turn the project's kernels off."""
    return _FOUND


def device_of(x: Tensor) -> AbstractContextManager[object]:
    """Triton launches on the current device, which need not be the tensors'."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()
