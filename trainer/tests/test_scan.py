"""The Mamba-2 recurrence: every form against the definition, in float64."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mambascope_trainer.mixers import scan as module
from mambascope_trainer.mixers.scan import (
    backward_is_right,
    fla_available,
    fla_is_safe,
    scan,
    scan_chunked,
    scan_fla,
    scan_loop,
)

Inputs = tuple[Tensor, Tensor, Tensor, Tensor]


def random_inputs(
    batch: int = 2, length: int = 37, heads: int = 4, groups: int = 2, n: int = 5, p: int = 3, seed: int = 0
) -> tuple[Inputs, Tensor]:
    """(C, B, v, log_decay) and a state, float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    decay = -normal(batch, length, heads).exp()
    inputs = normal(batch, length, heads, n), normal(batch, length, groups, n), normal(batch, length, heads, p), decay
    return inputs, normal(batch, heads, n, p)


def as_matrix(C: Tensor, B: Tensor, v: Tensor, log_decay: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """y = (L ∘ C B^T) v and what the first state adds, written out entry by entry."""
    batch, length, heads, _ = C.shape
    share = heads // B.shape[2]
    y, last = torch.zeros_like(v), torch.zeros_like(state)
    for b in range(batch):
        for h in range(heads):
            keys = B[b, :, h // share]
            for t in range(length):
                carried = log_decay[b, : t + 1, h].sum().exp()
                y[b, t, h] = carried * (C[b, t, h] @ state[b, h])
                for s in range(t + 1):
                    weight = log_decay[b, s + 1 : t + 1, h].sum().exp() * (C[b, t, h] @ keys[s])
                    y[b, t, h] += weight * v[b, s, h]
            last[b, h] = log_decay[b, :, h].sum().exp() * state[b, h]
            for s in range(length):
                last[b, h] += log_decay[b, s + 1 :, h].sum().exp() * torch.outer(keys[s], v[b, s, h])
    return y, last


@pytest.mark.parametrize("form", [scan_loop, lambda *a: scan_chunked(*a, chunk=4)], ids=["loop", "chunked"])
def test_the_recurrence_is_the_masked_matrix(form: Any) -> None:
    inputs, state = random_inputs(length=11)
    for found, expected in zip(form(*inputs, state), as_matrix(*inputs, state), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(1, 40),
    chunk=st.integers(1, 17),
    groups=st.integers(1, 3),
    share=st.integers(1, 3),
    with_state=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_chunks_do_not_change_values_or_gradients(
    length: int, chunk: int, groups: int, share: int, with_state: bool, seed: int
) -> None:
    inputs, first = random_inputs(2, length, groups * share, groups, seed=seed)
    results = []
    for form in (scan_loop, lambda *a: scan_chunked(*a, chunk=chunk)):
        leaves = [x.clone().requires_grad_() for x in (*inputs, first)]
        y, last = form(*leaves[:4], leaves[4] if with_state else None)
        weigh = torch.Generator().manual_seed(1)
        total = sum((x * torch.randn(x.shape, generator=weigh, dtype=x.dtype)).sum() for x in (y, last))
        used = leaves if with_state else leaves[:4]
        results.append([y, last, *torch.autograd.grad(total, used)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(cut=st.integers(1, 149), seed=st.integers(0, 2**16))
def test_two_passes_with_the_state_are_one(cut: int, seed: int) -> None:
    inputs, first = random_inputs(1, 150, seed=seed)
    whole, last = scan(*inputs, first, "chunked")
    start, state = scan(*(x[:, :cut] for x in inputs), first, "chunked")
    rest, end = scan(*(x[:, cut:] for x in inputs), state, "chunked")
    torch.testing.assert_close(torch.cat([start, rest], dim=1), whole, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(end, last, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("size", [0.0, -1e-12, -30.0, -1e4, -1e30])
def test_extreme_decays_neither_overflow_nor_lose_the_gradient(size: float) -> None:
    inputs, state = random_inputs(length=130)
    C, B, v, log_decay = (x.float() for x in inputs)
    log_decay = torch.full_like(log_decay, size)
    log_decay[:, ::3] = -0.1
    leaves = [x.requires_grad_() for x in (C, B, v, log_decay)]
    y, last = scan_chunked(*leaves, state.float())
    exact, exact_last = scan_loop(*(x.detach().double() for x in leaves), state)
    if size > -1e3:  # beyond, the sums of decays are too long for float32, and all that is asked is finite values
        torch.testing.assert_close(y.double(), exact, rtol=1e-3, atol=1e-3)
        torch.testing.assert_close(last.double(), exact_last, rtol=1e-3, atol=1e-3)
    for value in (y, last, *torch.autograd.grad(y.sum() + last.sum(), leaves)):
        assert torch.isfinite(value).all()


def test_a_token_with_no_input_and_no_decay_leaves_the_state() -> None:
    (C, B, v, log_decay), state = random_inputs(length=5)
    _, last = scan(C, B, torch.zeros_like(v), torch.zeros_like(log_decay), state)
    assert torch.equal(last, state)


@pytest.mark.parametrize(
    ("capability", "triton", "right"),
    [
        ((9, 0), "3.3.1", True),
        ((9, 0), "3.4.0", False),
        ((9, 0), "3.5.1+git12ab", False),
        ((9, 0), "3.7.0", False),
        ((9, 0), "3.7", False),
        ((9, 0), "3.7.1", True),
        ((9, 0), "4.0", True),
        ((8, 0), "3.5.1", True),
        ((10, 0), "3.5.1", True),
    ],
)
def test_where_the_kernels_backward_is_right(capability: tuple[int, int], triton: str, right: bool) -> None:
    assert backward_is_right(capability, triton) is right


@pytest.mark.parametrize(("needs_gradient", "safe"), [(True, False), (False, True)])
def test_unsafe_kernels_still_serve_without_gradients(
    monkeypatch: pytest.MonkeyPatch, needs_gradient: bool, safe: bool
) -> None:
    monkeypatch.setattr(module, "fla_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(module.metadata, "version", lambda name: "3.5.0")
    fla_is_safe.cache_clear()
    try:
        assert fla_is_safe(0, needs_gradient) is safe
    finally:
        fla_is_safe.cache_clear()


@pytest.mark.cuda
@pytest.mark.skipif(not fla_available(), reason="needs flash-linear-attention")
def test_fla_agrees_with_the_loop() -> None:
    inputs, _ = random_inputs(2, 200, n=32, p=32)
    differentiate = fla_is_safe(torch.cuda.current_device(), True)
    results = []
    for form in (scan_fla, scan_loop):
        leaves = [x.float().cuda().requires_grad_(differentiate) for x in inputs]
        y, last = form(*leaves)
        results.append([y, last, *(torch.autograd.grad(y.square().sum(), leaves) if differentiate else ())])
    for found, expected in zip(*results, strict=True):
        assert (found - expected).norm() < 1e-2 * expected.norm()
