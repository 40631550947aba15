"""Whether Triton is there, and where its kernels run."""

from __future__ import annotations

import importlib.util
import os
from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch
from torch import Tensor


@cache
def _found() -> bool:
    return os.environ.get("MAMBASCOPE_TRITON") != "0" and importlib.util.find_spec("triton") is not None


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def triton_available() -> bool:
    """Whether Triton can be imported and MAMBASCOPE_TRITON=0 does not turn the project's kernels off; a constant to
    compiled code."""
    return _found()


def device_of(x: Tensor) -> AbstractContextManager[object]:
    """Triton launches on the current device, which need not be the tensors'."""
    return torch.cuda.device(x.device) if x.is_cuda else nullcontext()
