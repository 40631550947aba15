"""Programmatic dependent launch, by which a kernel begins while the one before it on the stream still runs.

CUDA, compute capability 9.0 or higher; in Triton's interpreter OVERLAP is always false.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait


@triton.jit
def after_the_kernel_before(OVERLAP: tl.constexpr):
    """What stands before it reads nothing that another kernel writes, and writes nothing. The next kernel may begin."""
    if OVERLAP:
        gdc_launch_dependents()
        gdc_wait()
