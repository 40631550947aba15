"""A published Mamba-in-the-Llama folder gives the same logits as the authors' mixer, written again from their code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from samples import trained_tokenizer
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from mambascope_trainer.bundle import Bundle
from mambascope_trainer.bundle.verify import verify_bundle
from mambascope_trainer.cli import main
from mambascope_trainer.exporters.hugging_face import write_hugging_face
from mambascope_trainer.exporters.source import from_bundle
from mambascope_trainer.model.load import load_variant
from mambascope_trainer.progress import Progress

HIDDEN, HEADS, SIZE, KV, LAYERS = 64, 4, 16, 2, 3
INNER, SHARED = HEADS * SIZE, KV * SIZE
ATTENTION = [1]
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
IDS = torch.randint(320, (2, 19), generator=torch.Generator().manual_seed(0))
SSM: dict[str, Any] = {"expand": 1, "ngroups": HEADS, "d_state": SIZE}
MAMBA: dict[str, Any] = {
    "d_model": HIDDEN, "ssm_cfg": SSM, "rms_norm_eps": 1e-5, "vocab_size": None, "d_inner": INNER, "d_xb": SHARED,
    "intermediate_size": 96, "hidden_act": "silu", "n_layer": LAYERS, "attn_layers": ATTENTION,
}  # fmt: skip


class TheirMixer(torch.nn.Module):
    """The authors' Mamba-2 mixer: one channel-by-channel step after another, in float64, names as in their files."""

    def __init__(self, tensors: dict[str, Tensor], ssm: dict[str, Any]) -> None:
        super().__init__()
        self.w, self.ssm = {name: value.double() for name, value in tensors.items()}, ssm

    def forward(self, u: Tensor) -> Tensor:
        w, ssm, batch, length = self.w, self.ssm, u.shape[0], u.shape[1]
        rows = u.double() @ w["in_proj.weight"].T
        z, x, B, C, dt = rows.split([INNER, SHARED, SHARED, INNER, HEADS], dim=-1)

        def per_head(part: Tensor) -> Tensor:
            return part.view(batch, length, KV, SIZE).repeat_interleave(HEADS // KV, dim=2).flatten(2)

        early = ssm.get("repeat_kv_before_conv", False)
        if early:
            x, B = per_head(x), per_head(B)
        xBC = torch.cat([x, B, C], dim=-1)
        taps = w["conv1d.weight"]
        bias = w.get("conv1d.bias", torch.zeros(taps.shape[0], dtype=torch.float64))
        convolved = F.conv1d(xBC.transpose(1, 2), taps, bias, padding=taps.shape[2] - 1, groups=taps.shape[0])
        xBC = F.silu(convolved[..., :length].transpose(1, 2))
        widths = [INNER, INNER, INNER] if early else [SHARED, SHARED, INNER]
        x, B, C = xBC.split(widths, dim=-1)
        if not early:
            x, B = per_head(x), per_head(B)
        x, B, C = (part.view(batch, length, HEADS, SIZE) for part in (x, B, C))
        dt = F.softplus(dt + w["dt_bias"])
        A = -torch.exp(w["A_log"])
        state = torch.zeros(batch, HEADS, SIZE, SIZE, dtype=torch.float64)  # (b, h, p, n), as in their kernels
        outputs = []
        for t in range(length):
            kept = torch.exp(dt[:, t] * A)[..., None, None] * state
            state = kept + torch.einsum("bh,bhp,bhn->bhpn", dt[:, t], x[:, t], B[:, t])
            outputs.append(torch.einsum("bhpn,bhn->bhp", state, C[:, t]) + w["D"][:, None] * x[:, t])
        y = torch.stack(outputs, dim=1).flatten(2) * F.silu(z)
        if ssm.get("rmsnorm", True):
            groups = y.view(batch, length, HEADS, SIZE)
            groups = groups / torch.sqrt(groups.square().mean(dim=-1, keepdim=True) + 1e-5)
            y = groups.flatten(2) * w["norm.weight"]
        out: Tensor = (y @ w["out_proj.weight"].T).to(u.dtype)
        return out


class TheirLayer(torch.nn.Module):
    """The mixer in the place of transformers' attention."""

    def __init__(self, mixer: TheirMixer) -> None:
        super().__init__()
        self.mixer = mixer

    def forward(self, hidden_states: Tensor, **_: Any) -> tuple[Tensor, None]:
        return self.mixer(hidden_states), None


def mixer_tensors(ssm: dict[str, Any], seed: int) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int, scale: float = 1.0, centre: float = 0.0) -> Tensor:
        return centre + scale * torch.randn(*shape, generator=random)

    channels = 3 * INNER if ssm.get("repeat_kv_before_conv") else INNER + 2 * SHARED
    taps = ssm.get("d_conv", 4)
    return {
        "in_proj.weight": normal(2 * INNER + 2 * SHARED + HEADS, HIDDEN, scale=HIDDEN**-0.5),
        "conv1d.weight": normal(channels, 1, taps, scale=0.5),
        **({"conv1d.bias": normal(channels, scale=0.2)} if ssm.get("conv_bias", True) else {}),
        "dt_bias": normal(HEADS, centre=-1.0),
        "A_log": normal(HEADS, scale=0.5),
        "D": normal(HEADS, centre=1.0),
        **({"norm.weight": normal(INNER, scale=0.1, centre=1.0)} if ssm.get("rmsnorm", True) else {}),
        "out_proj.weight": normal(HIDDEN, INNER, scale=INNER**-0.5),
    }


def write_published(
    folder: Path,
    file: str = "model.safetensors",
    ssm: dict[str, Any] = SSM,
    attention: list[int] = ATTENTION,
    **changes: Any,
) -> Any:
    """A folder in their layout, and transformers' Llama with their mixers in the place of attention."""
    torch.manual_seed(5)
    config = LlamaConfig(
        hidden_size=HIDDEN, intermediate_size=96, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        num_key_value_heads=KV, vocab_size=320, rope_theta=500000.0, rms_norm_eps=1e-5, initializer_range=0.1,
        max_position_embeddings=128, tie_word_embeddings=False,
    )  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    for index in (i for i in range(LAYERS) if i not in attention):
        mixer = mixer_tensors(ssm, index)
        model.model.layers[index].self_attn = TheirLayer(TheirMixer(mixer, ssm))
        state = {name: value for name, value in state.items() if f"layers.{index}.self_attn." not in name}
        state |= {f"model.layers.{index}.mamba.{name}": value for name, value in mixer.items()}
    folder.mkdir()
    config.save_pretrained(folder)
    (folder / "mamba_config.json").write_text(
        json.dumps({**MAMBA, "ssm_cfg": ssm, "attn_layers": attention, **changes})
    )
    if file.endswith(".bin"):
        old = file.startswith("old/")
        torch.save(state, folder / Path(file).name, _use_new_zipfile_serialization=not old)
    else:
        save_file(state, folder / file, {"format": "pt"})
    trained_tokenizer().save(str(folder / "tokenizer.json"))
    return model


def run_import(source: Path, out: Path) -> int:
    return main(["import-hf", "--source", str(source), "--out", str(out), "--codec", "f32"])


@pytest.mark.parametrize(
    ("file", "ssm"),
    [
        ("model.safetensors", SSM),
        ("pytorch_model.bin", SSM),
        ("old/pytorch_model.bin", SSM),
        ("model.safetensors", {**SSM, "repeat_kv_before_conv": True}),
        ("model.safetensors", {**SSM, "rmsnorm": False, "d_conv": 3, "conv_bias": False}),
    ],
    ids=["safetensors", "pickle", "older pickle", "repeated before the convolution", "no norm, three taps"],
)
@torch.no_grad()
def test_logits_are_theirs(tmp_path: Path, file: str, ssm: dict[str, Any]) -> None:
    theirs = write_published(tmp_path / "source", file, ssm)
    assert run_import(tmp_path / "source", tmp_path / "tiny") == 0
    bundle = Bundle.open(tmp_path / "tiny")
    assert verify_bundle(bundle, Progress(None)) == []
    ours = load_variant(bundle, "published")
    assert (ours(IDS)[0] - theirs(IDS, use_cache=False).logits).abs().max() < 1e-4
    # The base has no attention for these layers, so there is no teacher to show.
    assert list(bundle.manifest.variants) == ["published"]
    assert bundle.variant("published").layers == ("mamba2:published", "attention", "mamba2:published")
    assert bundle.variant("published").title == "33% attention, as published"


@torch.no_grad()
def test_a_scaled_rotary_embedding_matters_to_attention_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, attention in (("half", ATTENTION), ("none", [])):
        theirs = write_published(tmp_path / name, attention=attention)
        config = json.loads((tmp_path / name / "config.json").read_text())
        rope = {**LLAMA3, "rope_theta": 500000.0, "original_max_position_embeddings": 64}
        (tmp_path / name / "config.json").write_text(json.dumps({**config, "rope_parameters": rope}))
        if attention:
            assert run_import(tmp_path / name, tmp_path / "tiny") == 1
            assert "llama3" in json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["message"]
        else:
            assert run_import(tmp_path / name, tmp_path / "tiny") == 0
            ours = load_variant(Bundle.open(tmp_path / "tiny"), "published")
            assert (ours(IDS)[0] - theirs(IDS, use_cache=False).logits).abs().max() < 1e-4


@torch.no_grad()
def test_a_published_hybrid_can_be_exported(tmp_path: Path) -> None:
    theirs = write_published(tmp_path / "source")
    run_import(tmp_path / "source", tmp_path / "tiny")
    source = from_bundle([tmp_path / "tiny"], None, "m~published.a.m~published")
    assert (source.model(IDS)[0] - theirs(IDS, use_cache=False).logits).abs().max() < 1e-4
    write_hugging_face(source, tmp_path / "out")
    assert (tmp_path / "out" / "modeling_mambascope.py").is_file()


@pytest.mark.parametrize(
    ("ssm", "changes", "code", "part"),
    [
        ({"D_has_hdim": True}, {}, "mixer-unsupported", "D_has_hdim"),
        ({"norm_before_gate": True}, {}, "mixer-unsupported", "norm_before_gate"),
        ({"dt_limit": [0.0, 1.0]}, {}, "mixer-unsupported", "dt is limited"),
        ({"bias": True}, {}, "mixer-unsupported", "biases"),
        ({"d_conv": 5}, {}, "mixer-unsupported", "5 taps"),
        ({"ngroups": 2}, {}, "mixer-unsupported", "d_inner"),
        ({}, {"d_xb": 24}, "mixer-unsupported", "d_xb"),
        ({}, {"n_layer": 4}, "hf-config", "n_layer"),
        ({}, {"attn_layers": [7]}, "hf-config", "attn_layers"),
        ({}, {"attn_layers": [0]}, "hf-config", "model.layers.1.mamba"),
        ({}, {"attn_layers": [1, 2]}, "hf-tensors", "model.layers.2.self_attn"),
        ({}, {"attn_layers": None}, "hf-config", "attn_layers"),
    ],
)
def test_what_cannot_be_expressed_is_said(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    ssm: dict[str, Any],
    changes: dict[str, Any],
    code: str,
    part: str,
) -> None:
    write_published(tmp_path / "source", ssm=SSM, **{"ssm_cfg": {**SSM, **ssm}, **changes})
    assert run_import(tmp_path / "source", tmp_path / "tiny") == 1
    error = json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
    assert error["code"] == code
    assert part in error["message"]
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_their_mamba_1_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_published(tmp_path / "source")
    first = {"model.layers.0.mamba.in_proj_x.weight": torch.ones(SHARED, HIDDEN)}
    save_file(first, tmp_path / "source" / "model.safetensors", {"format": "pt"})
    assert run_import(tmp_path / "source", tmp_path / "tiny") == 1
    assert "Mamba-1" in json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["message"]


class Trap:
    """What runs a program when it is unpickled without care."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_published(tmp_path / "source")
    (tmp_path / "source" / "model.safetensors").unlink()
    torch.save({"x": Trap(tmp_path / "trapped")}, tmp_path / "source" / "pytorch_model.bin")
    assert run_import(tmp_path / "source", tmp_path / "tiny") == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["code"] == "weights-damaged"
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
