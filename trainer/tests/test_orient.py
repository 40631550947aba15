"""Matrix orientation against matrices made entry by entry."""

import math
from pathlib import Path

import pytest
import torch
from runs import metrics, parse, run_config, stage_after, write_data
from samples import ARCHITECTURE
from torch import Tensor

from mambascope_trainer.mixers.attention import Attention, rotary_table
from mambascope_trainer.mixers.mamba2 import Mamba2
from mambascope_trainer.model.config import Mamba2Config
from mambascope_trainer.run.config import ConfigError
from mambascope_trainer.run.train import build_stage
from mambascope_trainer.stages import orient
from mambascope_trainer.stages.matrix import SsdTerms, attention_rows
from mambascope_trainer.stages.orient import Orient

FORMS = {
    "ssd": {"form": "ssd"},
    "discrete": {"form": "discrete", "conv_activation": "identity", "norm": "none"},
    "no convolution": {"form": "discrete", "conv_kernel": 0, "gate": False},
}
LENGTH = 11


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def mixer(form: str) -> Mamba2:
    torch.manual_seed(0)
    mamba = Mamba2(ARCHITECTURE, Mamba2Config.like_attention(ARCHITECTURE, **FORMS[form])).double()
    with torch.no_grad():
        for p in mamba.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return mamba


def inputs() -> Tensor:
    return torch.randn(2, LENGTH, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def ssd_by_entry(mamba: Mamba2, u: Tensor) -> Tensor:
    """(b, H, T, T), every entry by the recurrence of docs/contracts.md: what a unit input at s leaves at t."""
    C, B, log_decay, d, D = mamba.matrix_terms(u)
    heads, groups = C.shape[2], B.shape[2]
    matrix = torch.zeros(len(u), heads, LENGTH, LENGTH, dtype=torch.float64)
    for b in range(len(u)):
        for h in range(heads):
            for s in range(LENGTH):
                state = B[b, s, h // (heads // groups)] * (1.0 if d is None else d[b, s, h])
                for t in range(s, LENGTH):
                    if t > s:
                        state = state * math.exp(log_decay[b, t, h])
                    matrix[b, h, t, s] = torch.dot(C[b, t, h], state) + (D[h] if s == t else 0)
    return matrix


def attention_by_entry(attention: Attention, u: Tensor) -> Tensor:
    queries, keys = attention.queries_and_keys(u, rotary_table(ARCHITECTURE, LENGTH))
    heads, groups = queries.shape[1], keys.shape[1]
    matrix = torch.zeros(len(u), heads, LENGTH, LENGTH, dtype=torch.float64)
    for b in range(len(u)):
        for h in range(heads):
            for t in range(LENGTH):
                scores = [
                    math.exp(torch.dot(queries[b, h, t], keys[b, h // (heads // groups), s]) / math.sqrt(16))
                    for s in range(t + 1)
                ]
                matrix[b, h, t, : t + 1] = torch.tensor(scores, dtype=torch.float64) / sum(scores)
    return matrix


@pytest.mark.parametrize("form", list(FORMS))
@torch.no_grad()
def test_the_ssd_matrix_is_the_recurrence_entry_by_entry(form: str) -> None:
    mamba, u = mixer(form), inputs()
    wanted = ssd_by_entry(mamba, u)
    terms = SsdTerms(*mamba.matrix_terms(u))
    for start, stop in ((0, LENGTH), (0, 4), (4, 8), (8, LENGTH)):
        torch.testing.assert_close(terms.rows(start, stop), wanted[:, :, start:stop, :stop])
        assert not wanted[:, :, start:stop, stop:].any()


@torch.no_grad()
def test_the_matrix_times_x_is_what_the_mixer_computes() -> None:
    mamba, u = mixer("ssd"), inputs()
    z, xbc, _ = mamba.project(u)
    x, _, _ = mamba.mix(xbc, None)
    matrix = SsdTerms(*mamba.matrix_terms(u)).rows(0, LENGTH)
    y = torch.einsum("bhts,bshp->bthp", matrix, x.repeat_interleave(2, dim=2))
    torch.testing.assert_close(mamba.combine(y.flatten(2), z), mamba(u)[0])


@torch.no_grad()
def test_the_attention_matrix_is_softmax_entry_by_entry() -> None:
    torch.manual_seed(0)
    attention, u = Attention(ARCHITECTURE).double(), inputs()
    wanted = attention_by_entry(attention, u)
    queries, keys = attention.queries_and_keys(u, rotary_table(ARCHITECTURE, LENGTH))
    torch.testing.assert_close(attention_rows(queries, keys, 0, LENGTH), wanted)
    torch.testing.assert_close(attention_rows(queries, keys, 5, 9), wanted[:, :, 5:9, :9])


@pytest.mark.parametrize("rows", [3, 256])
def test_the_distance_and_its_gradient_do_not_depend_on_the_blocks(
    models: Path, data: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    stage = build_stage(parse(run_config(models, data, "orient")))
    assert isinstance(stage, Orient)
    monkeypatch.setattr(orient, "ROWS", rows)
    mamba, u, rotary = mixer("ssd"), inputs(), rotary_table(ARCHITECTURE, LENGTH)
    attention = Attention(ARCHITECTURE).double()
    found, relative = stage.distance(mamba, attention, u, rotary)
    with torch.no_grad():
        wanted = attention_by_entry(attention, u)
    off = torch.linalg.matrix_norm(wanted - SsdTerms(*mamba.matrix_terms(u)).rows(0, LENGTH))
    torch.testing.assert_close(found.double(), off.mean(), rtol=1e-5, atol=0)
    expected = off.mean() / torch.linalg.matrix_norm(wanted).mean()
    torch.testing.assert_close(relative.double(), expected, rtol=1e-5, atol=0)
    names = ["in_proj.weight", "conv1d.weight", "dt_bias", "A_log", "D"]
    parameters = [p for name, p in mamba.named_parameters() if name in names]
    gradients = torch.autograd.grad(found, parameters)
    for gradient, reference in zip(gradients, torch.autograd.grad(off.mean(), parameters), strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-4, atol=1e-8)


def test_orientation_learns_and_leaves_the_rest(models: Path, data: Path, tmp_path: Path) -> None:
    config = run_config(models, data, "orient", eval_batches=3, eval_every=100)
    config["optimiser"] |= {"steps": 40, "learning_rate": 1e-2, "weight_decay": 0.0}
    fresh = {name: value.clone() for name, value in build_stage(parse(config)).state_dict().items()}
    stage, _ = stage_after(config, tmp_path)
    first, last = (record for record in metrics(tmp_path) if record["kind"] == "eval")
    assert last["loss"] < 0.8 * first["loss"]
    assert last["relative"] < 0.8 * first["relative"]
    assert {"orient.0", "orient.2"} <= last.keys()
    after = stage.state_dict()
    moved = {name.split("mamba.")[1] for name, value in after.items() if not torch.equal(value, fresh[name])}
    assert moved == {"in_proj.weight", "conv1d.weight", "conv1d.bias", "dt_bias", "A_log", "D"}
    # Gate and x are the first rows of in_proj: the matrix does not depend on them.
    name = "model.layers.0.mamba.in_proj.weight"
    assert torch.equal(after[name][:96], fresh[name][:96])


def test_more_heads_than_attention_cannot_be_oriented(models: Path, data: Path) -> None:
    config = parse(run_config(models, data, "orient", mixer={"options": {"num_heads": 8}}))
    with pytest.raises(ConfigError, match=r"mixer\.options\.num_heads"):
        build_stage(config)
