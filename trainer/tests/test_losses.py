"""The chunked loss with its own gradient against plain autograd."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mambascope_trainer import losses
from mambascope_trainer.losses import LossWeights, chunk_loss, distillation_loss, kernel_chunk_loss

Case = tuple[Tensor, Tensor, Tensor, Tensor]


def random_case(count: int, seed: int) -> Case:
    """(student, teacher, head, labels)."""
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (torch.randn(count, 8, generator=generator) for _ in range(2))
    return student, teacher, torch.randn(13, 8, generator=generator), torch.randint(13, (count,), generator=generator)


def naive(case: Case, weights: LossWeights) -> tuple[Tensor, dict[str, Tensor]]:
    student, teacher, head, labels = case
    s, t = student @ head.T, teacher @ head.T
    kl = F.kl_div(
        F.log_softmax(s / weights.temperature, -1), F.softmax(t / weights.temperature, -1), reduction="batchmean"
    )
    ce = F.cross_entropy(s, labels)
    measures = {
        "kl": weights.temperature**2 * kl,
        "ce": ce,
        "teacher_ce": F.cross_entropy(t, labels),
        "agreement": (s.argmax(-1) == t.argmax(-1)).to(s.dtype).mean(),
    }
    return weights.alpha * ce + weights.beta * measures["kl"], measures


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(1, 30),
    alpha=st.sampled_from([0.0, 0.3, 2.0]),
    beta=st.sampled_from([0.0, 1.0, 0.5]),
    temperature=st.sampled_from([0.5, 1.0, 3.0]),
    seed=st.integers(0, 2**16),
)
def test_value_measures_and_gradient_are_those_of_autograd(
    count: int, alpha: float, beta: float, temperature: float, seed: int
) -> None:
    weights = LossWeights(alpha, beta, temperature)
    case = random_case(count, seed)
    student, *rest = case
    student.requires_grad_()
    loss, measures = distillation_loss(student, *rest, weights)
    (gradient,) = torch.autograd.grad(3 * loss, student)

    wide = student.detach().double().requires_grad_()
    expected, expected_measures = naive((wide, rest[0].double(), rest[1].double(), rest[2]), weights)
    (expected_gradient,) = torch.autograd.grad(3 * expected, wide)
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=1e-5, atol=1e-5)
    for name, value in expected_measures.items():
        torch.testing.assert_close(measures[name].double(), value.detach(), rtol=1e-5, atol=1e-5)


def test_chunks_do_not_change_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    results: list[Any] = []
    for chunk in (4096, 7, 1):
        monkeypatch.setattr(losses, "CHUNK_TOKENS", chunk)
        student, *rest = random_case(23, 1)
        student.requires_grad_()
        loss, measures = distillation_loss(student, *rest, LossWeights(0.5, 1.0, 2.0))
        results.append((loss, *measures.values(), *torch.autograd.grad(loss, student)))
    for other in results[1:]:
        for found, expected in zip(other, results[0], strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_a_student_that_is_its_teacher_has_no_kl_and_no_gradient() -> None:
    student, _, head, labels = random_case(9, 2)
    student.requires_grad_()
    loss, measures = distillation_loss(student, student.detach(), head, labels, LossWeights())
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert measures["agreement"] == 1
    assert torch.autograd.grad(loss, student)[0].abs().max() < 1e-6


@pytest.mark.cuda(interpreter=True)
@pytest.mark.parametrize(("alpha", "beta"), [(0.0, 1.0), (0.7, 0.5), (1.0, 0.0)])
@pytest.mark.parametrize("block", [8, 16, 64])
def test_the_kernel_is_the_loss_in_plain_pytorch(
    alpha: float, beta: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("triton", reason="needs Triton: pip install triton (it comes with PyTorch's CUDA builds)")
    monkeypatch.setattr(losses, "KERNEL_BLOCK", block)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator().manual_seed(0)
    student, teacher, head = (torch.randn(n, 8, generator=generator).to(device) for n in (11, 11, 37))
    teacher[:4] = student[:4] + 0.01 * teacher[:4]  # some tokens on which they agree
    labels = torch.randint(37, (11,), generator=generator).to(device)
    case = student, teacher, head, labels, LossWeights(alpha, beta)
    wide = [x.double() if x.is_floating_point() else x for x in case[:4]]
    sums, gradient = kernel_chunk_loss(*case)
    expected_sums, expected_gradient = chunk_loss(wide[0], wide[1], wide[2], wide[3], case[4])
    torch.testing.assert_close(sums.double(), expected_sums.double(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=1e-5, atol=1e-5)
    assert 4 <= sums[3] < 11
