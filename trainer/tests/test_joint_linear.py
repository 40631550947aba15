"""Joint projections are the separate ones, values and gradients."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mambascope_trainer.mixers import joint_linear as module
from mambascope_trainer.mixers.coded_linear import CodedLinear
from mambascope_trainer.mixers.joint_linear import joint_linear, project


@pytest.mark.parametrize("rows", [(48, 16), (9,), (5, 7, 16), (32,)])
@pytest.mark.parametrize("least", [1, 10**6])
def test_joint_products_are_the_separate_ones(
    rows: tuple[int, ...], least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MANY_TOKENS", least)
    generator = torch.Generator().manual_seed(0)
    u, *weights = (
        torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)
        for shape in [(2, 5, 32), *((n, 32) for n in rows)]
    )
    results = []
    for outputs in (joint_linear(u, weights), [F.linear(u, weight) for weight in weights]):
        total = sum((out * torch.arange(out.shape[-1])).square().sum() for out in outputs)
        results.append([*outputs, *torch.autograd.grad(total, [u, *weights])])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-10)


def test_projections_that_are_more_than_a_product_are_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MANY_TOKENS", 1)
    plain, biased = nn.Linear(32, 8, bias=False), nn.Linear(32, 8)
    coded = CodedLinear(nn.Linear(32, 8, bias=False), "q4_0")
    u = torch.randn(1, 3, 32)
    for group in ((plain, biased), (plain, coded), (plain, plain)):
        for found, projection in zip(project(u, group), group, strict=True):
            torch.testing.assert_close(found, projection(u))
