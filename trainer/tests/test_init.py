"""A mixer with more heads or groups than attention starts as the same function."""

from __future__ import annotations

import pytest
import torch

from mambascope_trainer.bundle.manifest import Architecture
from mambascope_trainer.mixers.attention import Attention
from mambascope_trainer.mixers.init import init_from_attention, segment_rows
from mambascope_trainer.mixers.mamba2 import Mamba2
from mambascope_trainer.model.config import Mamba2Config

ARCHITECTURE = Architecture(
    model_type="llama",
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=1,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    vocab_size=64,
    max_position_embeddings=64,
    rms_norm_eps=1e-5,
    rope_theta=10000.0,
    tie_word_embeddings=True,
    hidden_act="silu",
)
DISCRETE = {"form": "discrete", "conv_activation": "identity", "norm": "none", "gate": False}


def mixer(attention: Attention, **options: object) -> Mamba2:
    built = Mamba2(ARCHITECTURE, Mamba2Config.like_attention(ARCHITECTURE, **DISCRETE, **options)).double()
    init_from_attention(built, attention)
    with torch.no_grad():  # the same decay in every head
        built.dt_bias.fill_(-1.0)
        dt_rows = segment_rows(built.config)[-1]
        built.in_proj.weight[-dt_rows:] = 0
    return built


@pytest.mark.parametrize(
    "options",
    [
        {"num_heads": 8},
        {"num_kv_heads": 4},
        {"num_heads": 8, "num_kv_heads": 4},
        {"num_heads": 8, "num_kv_heads": 8},
        {"num_heads": 12, "num_kv_heads": 4},
    ],
)
def test_copies_of_heads_and_groups_leave_the_function_as_it_is(options: dict[str, int]) -> None:
    torch.manual_seed(0)
    attention = Attention(ARCHITECTURE).double()
    u = torch.randn(2, 19, 32, dtype=torch.float64)
    expected, _ = mixer(attention)(u)
    out, _ = mixer(attention, **options)(u)
    torch.testing.assert_close(out, expected)


@pytest.mark.parametrize("options", [{"num_heads": 6}, {"state_size": 16}, {"num_kv_heads": 1}])
def test_shapes_that_do_not_go_together_are_refused(options: dict[str, int]) -> None:
    config = Mamba2Config.like_attention(ARCHITECTURE, **DISCRETE, **options)
    with pytest.raises(ValueError, match="multiples of the counts"):
        init_from_attention(Mamba2(ARCHITECTURE, config), Attention(ARCHITECTURE))
