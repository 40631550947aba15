"""The Mamba-2 mixer in every form: against the float64 reference, and with its state."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from samples import ARCHITECTURE, MIXER, mixer_tensors, write_bundle
from torch import Tensor

from mambascope_trainer.bundle import Bundle, BundleWriter, Storage
from mambascope_trainer.bundle.mixer_shapes import mamba2_tensor_shapes
from mambascope_trainer.mixers.attention import Attention
from mambascope_trainer.mixers.init import init_from_attention
from mambascope_trainer.mixers.mamba2 import Mamba2, causal_conv
from mambascope_trainer.model.config import Mamba2Config
from mambascope_trainer.model.load import load_teacher, load_variant
from mambascope_trainer.reference import Reference

FORMS: list[dict[str, Any]] = [
    {**MIXER, "form": form, "conv_kernel": kernel, "conv_activation": act, "gate": gate, "norm": norm, "norm_groups": n}
    for form, kernel, act, gate, (norm, n) in itertools.product(
        ("ssd", "discrete"), (0, 4), ("silu", "identity"), (True, False), (("none", 1), ("rms", 1), ("rms", 4))
    )
]


def random_mixer(config: dict[str, Any], seed: int = 0) -> Mamba2:
    mixer = Mamba2(ARCHITECTURE, Mamba2Config.model_validate(config))
    prefix = "model.layers.0.mamba."
    tensors = mixer_tensors([0], config, seed)
    mixer.load_state_dict({name.removeprefix(prefix): torch.from_numpy(value) for name, value in tensors.items()})
    return mixer.requires_grad_(False)


def random_hidden(length: int, batch: int = 2) -> Tensor:
    return torch.randn(batch, length, ARCHITECTURE.hidden_size, generator=torch.Generator().manual_seed(5))


def label(config: dict[str, Any]) -> str:
    return "-".join(
        str(config[key]) for key in ("form", "conv_kernel", "conv_activation", "gate", "norm", "norm_groups")
    )


def test_parameters_have_the_names_and_shapes_of_the_bundle() -> None:
    for config in FORMS:
        mixer = Mamba2(ARCHITECTURE, Mamba2Config.model_validate(config))
        found = {f"model.layers.7.mamba.{key}": tuple(value.shape) for key, value in mixer.state_dict().items()}
        assert found == mamba2_tensor_shapes(config, ARCHITECTURE.hidden_size, 7)


@pytest.mark.parametrize("config", FORMS, ids=label)
def test_a_mixer_agrees_with_the_reference(tmp_path_factory: pytest.TempPathFactory, config: dict[str, Any]) -> None:
    folder = tmp_path_factory.getbasetemp() / "reference"
    if not folder.exists():
        write_bundle(folder, Storage(matrix="f32", embedding="f32"))
    BundleWriter.open(folder).add_mixer_set(
        "s", config, [0], mixer_tensors([0], config, seed=0), Storage(matrix="f32"), replace_existing=True
    )
    u = random_hidden(70, batch=1)
    out, _ = random_mixer(config)(u)
    exact = Reference(Bundle.open(folder), ["mamba2:s", "attention", "attention"])._mamba2(
        u[0].double().numpy(), "model.layers.0.", "s"
    )
    np.testing.assert_allclose(out[0].numpy(), exact, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("config", FORMS, ids=label)
def test_one_token_at_a_time_equals_one_pass(config: dict[str, Any]) -> None:
    mixer = random_mixer(config).double()
    u = random_hidden(9).double()
    whole, (conv, ssm) = mixer(u)
    state, outputs = None, []
    for t in range(u.shape[1]):
        out, state = mixer(u[:, t : t + 1], state)
        outputs.append(out)
    torch.testing.assert_close(torch.cat(outputs, dim=1), whole, rtol=1e-9, atol=1e-9)
    channels = 2 * (16 + 16) + 4 * 16
    assert state is not None
    assert conv.shape == state[0].shape == (2, channels, max(config["conv_kernel"] - 1, 0))
    assert ssm.shape == (2, 4, 16, 16)
    torch.testing.assert_close(conv, state[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ssm, state[1], rtol=1e-9, atol=1e-9)


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 6), min_size=1, max_size=6))
def test_any_cut_of_a_sequence_gives_the_same(cuts: list[int]) -> None:
    mixer = random_mixer(MIXER).double()
    u = random_hidden(sum(cuts), batch=1).double()
    whole, _ = mixer(u)
    state, outputs = None, []
    for part in u.split(cuts, dim=1):
        out, state = mixer(part, state)
        outputs.append(out)
    torch.testing.assert_close(torch.cat(outputs, dim=1), whole, rtol=1e-9, atol=1e-9)


def test_the_convolution_is_torchs() -> None:
    x, weight, bias = torch.randn(2, 10, 6), torch.randn(6, 4), torch.randn(6)
    exact = torch.nn.functional.conv1d(x.transpose(1, 2), weight[:, None], bias, padding=3, groups=6)[..., :10]
    torch.testing.assert_close(causal_conv(x, weight, bias), exact.transpose(1, 2), rtol=1e-5, atol=1e-5)


def test_the_future_does_not_reach_the_past() -> None:
    mixer, u = random_mixer(MIXER), random_hidden(70)
    changed = u.clone()
    changed[:, 40:] += 1
    assert torch.equal(mixer(u)[0][:, :40], mixer(changed)[0][:, :40])


@pytest.mark.parametrize(
    "wrong", [{"conv_kernel": 3}, {"num_kv_heads": 3}, {"norm_groups": 2}, {"form": "x"}, {"k": 1}]
)
def test_configs_that_the_bundle_refuses_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Mamba2Config.model_validate({**MIXER, **wrong})


BARE = {"form": "discrete", "conv_kernel": 0, "conv_activation": "identity", "gate": False, "norm": "none"}


@pytest.mark.parametrize("conv_kernel", [0, 4])
def test_from_attention_with_no_decay_it_is_linear_attention(conv_kernel: int) -> None:
    torch.manual_seed(0)
    attention = Attention(ARCHITECTURE).requires_grad_(False)
    mixer = Mamba2(ARCHITECTURE, Mamba2Config.like_attention(ARCHITECTURE, **{**BARE, "conv_kernel": conv_kernel}))
    init_from_attention(mixer.requires_grad_(False), attention)
    mixer.dt_bias.fill_(-40.0)  # a decay of exp(-exp(-40)): one
    u = random_hidden(20)
    q, k, v = (
        projection(u).unflatten(-1, (-1, 16)) for projection in (attention.q_proj, attention.k_proj, attention.v_proj)
    )
    heads = []
    for head in range(4):
        scores = q[:, :, head] @ k[:, :, head // 2].transpose(1, 2) / 16**0.5
        heads.append(scores.tril() @ v[:, :, head // 2])
    expected = torch.cat(heads, dim=-1) @ attention.o_proj.weight.T
    torch.testing.assert_close(mixer(u)[0], expected, rtol=1e-4, atol=1e-4)


def test_other_shapes_than_the_attentions_are_refused() -> None:
    mixer = Mamba2(ARCHITECTURE, Mamba2Config.like_attention(ARCHITECTURE, state_size=32))
    with pytest.raises(ValueError, match="cannot initialise from attention"):
        init_from_attention(mixer, Attention(ARCHITECTURE))


def test_a_sets_tensors_replace_the_bases_in_its_layers(tmp_path: Path) -> None:
    writer = write_bundle(tmp_path, Storage(matrix="f32"))
    name = "model.layers.1.mlp.up_proj.weight"
    rng = np.random.default_rng(3)
    tensors = {**mixer_tensors([1]), name: rng.normal(0, 0.1, ARCHITECTURE.tensor_shapes()[name]).astype(np.float32)}
    writer.add_mixer_set("s", MIXER, [1], tensors, Storage(matrix="f32"))
    writer.add_variant("v", "V", ["attention", "mamba2:s", "attention"])
    bundle = Bundle.open(tmp_path)
    ids = [3, 1, 4, 1, 5, 9, 2, 6]
    logits = load_variant(bundle, "v")(torch.tensor([ids]))[0][0]
    np.testing.assert_allclose(logits.numpy(), Reference(bundle, bundle.variant("v").layers).logits(ids), atol=2e-4)
    assert not torch.equal(load_teacher(bundle).layers[1].mlp.up_proj.weight, torch.from_numpy(tensors[name]))
