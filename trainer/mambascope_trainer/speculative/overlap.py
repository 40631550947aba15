"""How the fused kernels keep loads in flight: across launches, and across what the compiler would do at once.

Both are instructions of CUDA GPUs: in Triton's interpreter OVERLAP and GPU are false.
"""

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait


@triton.jit
def after_the_kernel_before(OVERLAP: tl.constexpr):
    """Programmatic dependent launch (compute capability 9.0): a kernel begins while the one before it still runs.

    What stands before this reads nothing that another kernel writes, and writes nothing. The next kernel may begin.
    """
    if OVERLAP:
        gdc_launch_dependents()
        gdc_wait()


@triton.jit
def loaded(x, GPU: tl.constexpr):
    """x, needed from here on. Without it the compiler brings x into the layout of a product's operand right after its
    load, and waits for it before the next load is issued."""
    if GPU:
        PACK: tl.constexpr = 32 // x.dtype.primitive_bitwidth
        x = tl.inline_asm_elementwise("mov.b32 $0, $1;", "=r,r", [x], dtype=x.dtype, is_pure=False, pack=PACK)
    return x
