"""How the fused kernels keep loads in flight across what the compiler would do at once.

An instruction of CUDA GPUs: in Triton's interpreter GPU is false.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def loaded(x, GPU: tl.constexpr):
    """x, needed from here on. Without it the compiler brings x into the layout of a product's operand right after its
    load, and waits for it before the next load is issued."""
    if GPU:
        PACK: tl.constexpr = 32 // x.dtype.primitive_bitwidth
        x = tl.inline_asm_elementwise("mov.b32 $0, $1;", "=r,r", [x], dtype=x.dtype, is_pure=False, pack=PACK)
    return x
