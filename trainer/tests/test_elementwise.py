"""The kernels of convolution and SwiGLU against plain PyTorch, on the GPU or in Triton's interpreter."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

pytest.importorskip("triton", reason="needs Triton: pip install triton (it comes with PyTorch's CUDA builds)")

from mambascope_trainer.benchmark.workloads import TINY
from mambascope_trainer.mixers import joint_linear
from mambascope_trainer.mixers.attention import rotary_table, rotate
from mambascope_trainer.mixers.elementwise import _conv, _rotary, _swiglu, conv_triton, rotary_triton, swiglu_triton
from mambascope_trainer.mixers.mamba2 import causal_conv

pytestmark = pytest.mark.cuda(interpreter=True)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.mark.parametrize(("length", "channels"), [(1, 5), (3, 64), (130, 70), (64, 129)])
def test_the_convolution_is_that_of_plain_pytorch(length: int, channels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(2, length, channels + 9), (channels, 4), (channels,), (2, length, channels)]
    wide, weight, bias, upstream = (torch.randn(*s, generator=generator).to(DEVICE) for s in shapes)
    results = []
    for form, dtype in ((conv_triton, torch.float32), (causal_conv, torch.float64)):
        leaves = [x.to(dtype).requires_grad_() for x in (wide, weight, bias)]
        out = form(leaves[0][..., 4 : 4 + channels], leaves[1], leaves[2])  # rows of a wider tensor
        results.append([out, *torch.autograd.grad(out, leaves, upstream.to(dtype))])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("shape", [(1, 1, 8), (2, 37, 2 * 96)])
def test_swiglu_is_that_of_plain_pytorch(shape: tuple[int, ...]) -> None:
    joint = 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    results = []
    for dtype in (torch.float32, torch.float64):
        leaf = joint.to(dtype).requires_grad_()
        gate, up = leaf.chunk(2, dim=-1)
        out = swiglu_triton(leaf) if dtype == torch.float32 else F.silu(gate) * up
        results.append([out, *torch.autograd.grad(out.square().sum(), leaf)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("length", "heads", "groups", "p"), [(1, 1, 1, 16), (70, 3, 1, 64), (130, 4, 2, 32)])
def test_the_rotation_is_that_of_plain_pytorch(length: int, heads: int, groups: int, p: int) -> None:
    generator = torch.Generator().manual_seed(0)
    joint = torch.randn(2, length, (heads + 2 * groups) * p, generator=generator).to(DEVICE)
    arch = replace(TINY, head_dim=p)
    cos, sin = (x[3:] for x in rotary_table(arch, length + 3, torch.device(DEVICE)))  # rows of a longer table
    results = []
    for dtype in (torch.float32, torch.float64):
        leaf = joint.to(dtype).requires_grad_()
        if dtype == torch.float32:
            q, k, v = rotary_triton(leaf, cos, sin, heads, groups)
        else:
            parts = leaf.split([heads * p, groups * p, groups * p], dim=-1)
            q, k, v = (x.view(2, length, -1, p).transpose(1, 2) for x in parts)
            q, k = rotate(q, cos.double(), sin.double()), rotate(k, cos.double(), sin.double())
        weigh = torch.Generator().manual_seed(1)
        total = sum((x * torch.randn(x.shape, generator=weigh).to(x)).sum() for x in (q, k, v))
        # Gradients arrive with attention's own strides.
        transposed = [
            torch.randn(x.shape, generator=weigh).to(x).transpose(1, 2).contiguous().transpose(1, 2) for x in (q, k, v)
        ]
        results.append([q, k, v, *torch.autograd.grad(total, leaf, retain_graph=True)])
        results[-1] += torch.autograd.grad((q, k, v), leaf, transposed)
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


def test_the_operators_keep_the_rules_of_their_kind() -> None:
    x = torch.randn(1, 5, 6, device=DEVICE, requires_grad=True)
    taps = torch.randn(6, 4, device=DEVICE, requires_grad=True)
    torch.library.opcheck(_conv, (x, taps, torch.randn(6, device=DEVICE, requires_grad=True)))
    torch.library.opcheck(_swiglu, (x,))
    joint = torch.randn(1, 5, 3 * 16, device=DEVICE, requires_grad=True)
    torch.library.opcheck(_rotary, (joint, torch.randn(5, 16, device=DEVICE), torch.randn(5, 16, device=DEVICE), 1, 1))


@pytest.mark.parametrize("rows", [(16, 16), (5, 6)])
def test_projections_side_by_side(rows: tuple[int, int]) -> None:
    projections = [nn.Linear(8, n, bias=False) for n in rows]
    u = torch.randn(2, 3, 8)
    found = joint_linear.project_together(u, projections)
    torch.testing.assert_close(found, torch.cat([p(u) for p in projections], dim=-1))
