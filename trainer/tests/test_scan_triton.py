"""The Triton scan against the definition in float64, on the GPU or in Triton's interpreter."""

from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="needs Triton: pip install triton (it comes with PyTorch's CUDA builds)")

from mambascope_trainer.mixers import scan_triton as module
from mambascope_trainer.mixers.scan import expand_groups, scan, scan_loop
from mambascope_trainer.mixers.scan_triton import scan_triton

pytestmark = pytest.mark.cuda(interpreter=True)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
#: The interpreter knows no products of bfloat16.
SHORT = torch.bfloat16 if torch.cuda.is_available() else torch.float16


def random_inputs(
    length: int, heads: int, groups: int, v_groups: int, n: int, p: int, batch: int = 1, seed: int = 0
) -> list[Tensor]:
    """C, B, v, log_decay and a state, float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(DEVICE)

    return [
        normal(batch, length, heads, n),
        normal(batch, length, groups, n),
        normal(batch, length, v_groups, p),
        -0.3 * normal(batch, length, heads).exp(),
        normal(batch, heads, n, p),
    ]


#: Exact float32 products take Triton minutes to compile for a GPU: there the kernels are tested as they are used.
EXACT = torch.float32 if DEVICE == "cpu" else torch.bfloat16
TOLERANCE = 5e-6 if DEVICE == "cpu" else 1e-2


def values_and_gradients(form: Any, inputs: list[Tensor], dtype: torch.dtype, with_state: bool) -> list[Tensor]:
    """y, the last state, and the gradients of a weighted sum of both."""
    leaves = [x.to(torch.promote_types(dtype, torch.float32) if x.dim() == 3 else dtype) for x in inputs]
    leaves = [x.requires_grad_() for x in (leaves if with_state else leaves[:4])]
    y, last = form(*leaves)
    generator = torch.Generator().manual_seed(1)
    total = sum(
        (x.double() * torch.randn(x.shape, generator=generator, dtype=torch.float64).to(DEVICE)).sum()
        for x in (y, last)
    )
    return [x.detach() for x in (y, last, *torch.autograd.grad(total, leaves))]


def assert_close(found: list[Tensor], expected: list[Tensor], tolerance: float) -> None:
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        assert torch.isfinite(a).all()
        assert (a.double() - b.double()).norm() <= tolerance * (b.double().norm() + 1)


@pytest.mark.parametrize(
    ("length", "heads", "groups", "v_groups", "n", "p", "with_state"),
    [
        (1, 1, 1, 1, 16, 16, False),
        (63, 2, 1, 2, 16, 32, True),
        (64, 3, 1, 1, 64, 64, False),
        (65, 4, 2, 4, 32, 16, False),
        (150, 6, 3, 2, 16, 16, True),
        (129, 2, 2, 2, 128, 128, True),
    ],
)
def test_the_kernels_are_the_definition(
    length: int, heads: int, groups: int, v_groups: int, n: int, p: int, with_state: bool
) -> None:
    inputs = [x.to(EXACT).double() for x in random_inputs(length, heads, groups, v_groups, n, p)]
    found = values_and_gradients(scan_triton, inputs, EXACT, with_state)
    assert_close(found, values_and_gradients(scan_loop, inputs, torch.float64, with_state), TOLERANCE)


def test_16_bits_are_near_the_definition_of_their_inputs() -> None:
    inputs = [x.to(SHORT).double() for x in random_inputs(130, 3, 1, 1, 64, 64, batch=2)]
    found = values_and_gradients(scan_triton, inputs, SHORT, True)
    assert found[0].dtype == SHORT
    assert found[1].dtype == torch.float32
    assert_close(found, values_and_gradients(scan_loop, inputs, torch.float64, True), 1e-2)


def test_inputs_may_be_slices_of_one_tensor() -> None:
    C, B, v, log_decay, state = (x.to(EXACT) for x in random_inputs(70, 2, 1, 1, 16, 16, batch=2))
    joined = torch.cat([v.flatten(2), B.flatten(2), C.flatten(2)], dim=-1).requires_grad_()

    def sliced(joined: Tensor, log_decay: Tensor) -> tuple[Tensor, Tensor]:
        parts = joined.split([16, 16, 32], dim=-1)
        v, B, C = (torch.unflatten(x, 2, (-1, 16)) for x in parts)
        log_decay = log_decay.float()
        return scan_triton(C, B, v, log_decay.transpose(1, 2).contiguous().transpose(1, 2), state)

    y, last = sliced(joined, log_decay)
    C, B, v, log_decay, state = (x.double() for x in (C, B, v, log_decay, state))
    expected = scan_loop(C, B, v, log_decay, state)
    assert_close([y, last], list(expected), TOLERANCE)
    (gradient,) = torch.autograd.grad(y.square().sum(), joined)
    leaves = [x.requires_grad_() for x in (v, B, C)]
    y, _ = scan_loop(C, B, v, log_decay, state)
    parts = torch.autograd.grad(y.square().sum(), leaves)
    assert_close([gradient], [torch.cat([x.flatten(2) for x in parts], dim=-1)], 2 * TOLERANCE)


@pytest.mark.parametrize("size", [0.0, -1e-12, -30.0, -1e4, -1e30])
def test_extreme_decays_neither_overflow_nor_lose_the_gradient(size: float) -> None:
    inputs = random_inputs(130, 1, 1, 1, 16, 16)
    inputs[3].fill_(size)
    inputs[3][:, ::3] = -0.1
    found = values_and_gradients(scan_triton, inputs, EXACT, True)
    assert all(torch.isfinite(x).all() for x in found)
    if DEVICE == "cpu" and size > -1e3:  # beyond, the sums of decays are too long for float32
        expected = values_and_gradients(scan_loop, inputs, torch.float64, True)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a.double(), b, rtol=1e-3, atol=1e-3)


def test_the_operator_keeps_the_rules_of_its_kind() -> None:
    C, B, v, log_decay, state = random_inputs(20, 2, 1, 1, 16, 16)
    leaves = [x.to(EXACT).requires_grad_() for x in (C, B, v)] + [log_decay.float().requires_grad_()]
    for start in (None, state.float()):
        torch.library.opcheck(module._scan, (*leaves, start, True))


def test_compiled_code_holds_it_without_a_break() -> None:
    inputs = random_inputs(40, 2, 1, 1, 16, 16)
    whole = torch.compile(scan_triton, backend="aot_eager", fullgraph=True)
    found = values_and_gradients(whole, inputs, EXACT, True)
    assert_close(found, values_and_gradients(scan_triton, inputs, EXACT, True), 1e-6)


def test_the_backend_is_reached_by_name_and_without_gradients() -> None:
    C, B, v, log_decay, state = (x.to(EXACT) for x in random_inputs(30, 4, 2, 2, 16, 16))
    with torch.no_grad():
        y, last = scan(C, B, v, log_decay, state, "triton")
        expected = scan(*(x.double() for x in (C, B, expand_groups(v, 4), log_decay, state)), "loop")
    assert_close([y, last], list(expected), TOLERANCE)
