"""Fake quantisation shows training the numbers that the bundle will hold."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mambascope_trainer.bundle import decode, encode
from mambascope_trainer.mixers.quantise import fake_q4_0, fake_q8_0, straight_through

ROUND = {"q4_0": fake_q4_0, "q8_0": fake_q8_0}
# Blocks whose largest entry is 0 or at least a hundredth: the float16 scales of smaller ones are subnormal.
weights = arrays.arrays(np.float32, (2, 64), elements=st.floats(-4, 4, width=32)).map(
    lambda w: np.where(np.abs(w.reshape(2, 2, 32)).max(axis=-1, keepdims=True) < 0.01, 0, w.reshape(2, 2, 32)).reshape(
        2, 64
    )
)


@pytest.mark.parametrize("codec", list(ROUND))
@settings(max_examples=150, deadline=None)
@given(weight=weights)
def test_the_rounded_values_survive_the_codec_and_a_second_rounding(codec: str, weight: np.ndarray) -> None:
    once = ROUND[codec](torch.from_numpy(weight))
    assert torch.equal(ROUND[codec](once), once)
    np.testing.assert_array_equal(decode(encode(once.numpy(), codec)), once.numpy())


@pytest.mark.parametrize(("codec", "levels"), [("q4_0", 16), ("q8_0", 255)])
def test_the_error_is_within_a_step(codec: str, levels: int) -> None:
    weight = torch.randn(64, 128, generator=torch.Generator().manual_seed(0))
    rounded = ROUND[codec](weight)
    blocks, found = weight.view(-1, 32), rounded.view(-1, 32)
    step = blocks.abs().amax(dim=-1, keepdim=True) * 2 / (levels - 1 if codec == "q8_0" else levels)
    assert ((blocks - found).abs() <= step * 1.01).all()
    assert all(len(block.unique()) <= levels for block in found)
    assert (blocks - found).abs().mean() < 0.3 * step.mean()


@pytest.mark.parametrize("codec", list(ROUND))
def test_the_value_is_the_rounded_one_and_the_gradient_passes(codec: str) -> None:
    weight = (3 * torch.randn(8, 64)).requires_grad_()
    value = straight_through(weight, codec)
    assert torch.equal(value, ROUND[codec](weight.detach()))
    upstream = torch.randn_like(weight)
    (gradient,) = torch.autograd.grad(value, weight, upstream)
    assert torch.equal(gradient, upstream)
    assert straight_through(weight, None) is weight
