"""Muon against PyTorch's own, its segments, and the schedules."""

import copy
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import parse, run_config, write_data
from torch import nn

from mambascope_trainer.run.config import OptimiserConfig
from mambascope_trainer.run.muon import Muon, orthogonalise
from mambascope_trainer.run.optimiser import Together, build_optimiser
from mambascope_trainer.run.schedule import learning_rate, set_learning_rates
from mambascope_trainer.run.train import build_stage

CPU = torch.device("cpu")


def config(**fields: object) -> OptimiserConfig:
    return OptimiserConfig.model_validate({"steps": 10, "batch": 1, "learning_rate": 0.02, "warmup": 0, **fields})


def random_matrix(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(24, 40), (40, 24), (16, 16), (3, 40)])
def test_muon_takes_pytorchs_steps(shape: tuple[int, int]) -> None:
    ours, theirs = (nn.Parameter(random_matrix(*shape)) for _ in range(2))
    muon = Muon([ours], lr=0.1, momentum=0.9, weight_decay=0.1, segments={})
    reference = torch.optim.Muon(
        [theirs], lr=0.1, momentum=0.9, weight_decay=0.1, nesterov=True, adjust_lr_fn="match_rms_adamw"
    )
    for step in range(4):
        ours.grad = random_matrix(*shape, seed=step + 1)
        theirs.grad = ours.grad.clone()
        muon.step()
        reference.step()
    moved = (theirs - random_matrix(*shape)).norm()
    # PyTorch iterates in bfloat16.
    assert (ours - theirs).norm() < 0.03 * moved


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 1000))
def test_orthogonalising_keeps_the_singular_vectors_and_levels_the_values(rows: int, columns: int, seed: int) -> None:
    matrix = random_matrix(rows, columns, seed=seed).double()
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    # Values far below the largest need more iterations.
    matrix = (u * s.clamp(min=0.1 * float(s[0]))) @ vt
    found = torch.linalg.multi_dot([u.T, orthogonalise(matrix[None])[0], vt.T])
    assert (found - found.diag().diag()).abs().max() < 1e-3
    assert found.diag().min() > 0.6
    assert found.diag().max() < 1.3


def test_segments_are_orthogonalised_each_by_itself() -> None:
    rows, gradient = [8, 4, 4, 2], random_matrix(18, 12)
    whole = nn.Parameter(torch.zeros(18, 12))
    parts = [nn.Parameter(torch.zeros(n, 12)) for n in rows]
    muon = Muon([whole], lr=1.0, momentum=0.9, weight_decay=0.0, segments={whole: rows})
    apart = Muon(parts, lr=1.0, momentum=0.9, weight_decay=0.0, segments={})
    whole.grad = gradient
    for part, piece in zip(parts, gradient.split(rows), strict=True):
        part.grad = piece.clone()
    muon.step()
    apart.step()
    torch.testing.assert_close(whole, torch.cat(list(parts)))
    # A step has the size of AdamW's in every segment.
    for piece in whole.detach().split(rows):
        assert piece.square().mean().sqrt() == pytest.approx(0.2, rel=0.25)


def test_a_parameter_without_a_gradient_stays() -> None:
    moved, left = nn.Parameter(torch.ones(4, 4)), nn.Parameter(torch.ones(4, 4))
    muon = Muon([moved, left], lr=0.1, momentum=0.9, weight_decay=0.5, segments={})
    moved.grad = random_matrix(4, 4)
    muon.step()
    assert torch.equal(left, torch.ones(4, 4))
    assert not torch.equal(moved, torch.ones(4, 4))


def test_muon_takes_the_projections_and_adamw_the_rest(models: Path, tmp_path: Path) -> None:
    stage = build_stage(parse(run_config(models, write_data(tmp_path))))
    named = stage.named_parameters()
    optimiser = build_optimiser(named, config(name="muon", adam_learning_rate=0.001), CPU, stage.matrices())
    assert isinstance(optimiser, Together)
    muon, adam = optimiser.parts
    names = {id(p): name for name, p in named.items()}
    taken = {names[id(p)].split("mamba.")[1] for group in muon.param_groups for p in group["params"]}
    rest = {names[id(p)].split("mamba.")[1] for group in adam.param_groups for p in group["params"]}
    assert taken == {"in_proj.weight", "out_proj.weight"}
    assert rest == {"conv1d.weight", "conv1d.bias", "dt_bias", "A_log", "D", "norm.weight"}
    # Gate, x, B, C of 4 heads and 2 groups of 16, and 4 rows of dt.
    assert stage.matrices()["model.layers.0.mamba.in_proj.weight"] == [64, 32, 32, 64, 4]
    set_learning_rates(optimiser.param_groups, 0, config(name="muon", adam_learning_rate=0.001, warmup=4))
    assert [group["lr"] for group in muon.param_groups] == pytest.approx([0.005])
    assert [group["lr"] for group in adam.param_groups] == pytest.approx([0.00025] * 2)


def test_the_state_of_both_is_saved_and_loaded() -> None:
    def start() -> tuple[dict[str, nn.Parameter], Together]:
        named = {"m": nn.Parameter(random_matrix(6, 4)), "v": nn.Parameter(random_matrix(5))}
        optimiser = build_optimiser(named, config(name="muon"), CPU, {"m": [4, 2]})
        assert isinstance(optimiser, Together)
        return named, optimiser

    def advance(named: dict[str, nn.Parameter], optimiser: Together, seed: int) -> None:
        for name, p in named.items():
            p.grad = random_matrix(*p.shape, seed=seed + len(name))
        optimiser.step()

    named, optimiser = start()
    advance(named, optimiser, 1)
    again, resumed = start()
    for name, p in again.items():
        p.data.copy_(named[name])
    resumed.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    advance(named, optimiser, 2)
    advance(again, resumed, 2)
    assert all(torch.equal(again[name], p) for name, p in named.items())


def test_wsd_is_flat_and_then_a_line() -> None:
    o = config(steps=100, schedule="wsd", warmup=10, decay_fraction=0.2, final_fraction=0.1, learning_rate=1.0)
    rates = [learning_rate(step, o) for step in range(101)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[10:81] == pytest.approx([1.0] * 71)
    assert [later - earlier for earlier, later in pairwise(rates[80:])] == pytest.approx([-0.9 / 20] * 20)
    assert rates[100] == pytest.approx(0.1)
