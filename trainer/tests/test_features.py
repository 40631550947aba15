"""Drafts on features (EAGLE): what they compute, how they train on their own features, and the way through a bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import assert_resumes, final_state, metrics, parse, run_config, stage_after, write_data
from samples import ARCHITECTURE, MIXER, random_tensors, write_bundle
from torch import Tensor

from mambascope_trainer import bundle as bundles
from mambascope_trainer.bundle import Bundle, Storage
from mambascope_trainer.bundle.manifest import Draft, format_manifest, parse_manifest
from mambascope_trainer.bundle.mixer_shapes import mamba2_tensor_shapes
from mambascope_trainer.cli import main
from mambascope_trainer.data.sampler import Sampler
from mambascope_trainer.errors import MambascopeError
from mambascope_trainer.evaluation.own_steps import STEPS, OwnSteps
from mambascope_trainer.evaluation.subjects import load_run, subjects
from mambascope_trainer.exporters.source import from_bundle
from mambascope_trainer.model.draft import draft_of, features_before
from mambascope_trainer.model.llama import Llama
from mambascope_trainer.model.load import load_alone, load_teacher, load_variant
from mambascope_trainer.reference import Reference
from mambascope_trainer.run.optimiser import build_optimiser
from mambascope_trainer.run.train import build_stage, train
from mambascope_trainer.stages.draft import DraftStage
from mambascope_trainer.stages.own_features import own_positions, trained_features

SCHEMAS = Path(bundles.__file__).parents[1] / "schemas"
MIXERS = ("mamba2", "attention")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The family `tiny` with a random draft on features of each mixer, named after it. Not to be written to."""
    folder = tmp_path_factory.mktemp("family") / "tiny"
    writer = write_bundle(folder, Storage(matrix="f32", embedding="f32"))
    for seed, mixer in enumerate(MIXERS):
        draft = Draft(2, 96, features=True)
        shapes = {k: v for k, v in draft.architecture(ARCHITECTURE).tensor_shapes().items() if "embed" not in k}
        if mixer == "mamba2":
            shapes = {name: shape for name, shape in shapes.items() if "self_attn" not in name}
            for layer in range(2):
                shapes |= mamba2_tensor_shapes(MIXER, ARCHITECTURE.hidden_size, layer)
        shapes["model.features_proj.weight"] = (ARCHITECTURE.hidden_size, ARCHITECTURE.hidden_size)
        tensors = random_tensors(shapes, np.random.default_rng(seed))
        config = MIXER if mixer == "mamba2" else {}
        writer.add_draft(mixer, f"Draft on features, {mixer}", mixer, config, draft, tensors, Storage(matrix="f32"))
    return folder


def random_features(rows: int, length: int) -> Tensor:
    return torch.randn(rows, length, ARCHITECTURE.hidden_size, generator=torch.Generator().manual_seed(1))


def some_ids(rows: int, length: int) -> Tensor:
    return torch.randint(0, ARCHITECTURE.vocab_size, (rows, length), generator=torch.Generator().manual_seed(0))


def draft_config(models: Path, data: Path, mixer: str = "mamba2", **changes: object) -> dict[str, object]:
    draft = {"mixer": mixer, "layers": 1, "features": True, "passes": 3, "own_run": 3}
    options = {"norm_groups": 4} if mixer == "mamba2" else {}
    config = run_config(models, data, "draft", draft=draft, mixer={"options": options}, **changes)
    return {**config, "layers": []}


def built(config: dict[str, object]) -> DraftStage:
    stage = build_stage(parse(config))
    assert isinstance(stage, DraftStage)
    return stage


@pytest.mark.parametrize("mixer", MIXERS)
def test_a_draft_on_features_computes_what_the_reference_does(family: Path, mixer: str) -> None:
    bundle = Bundle.open(family)
    draft, ids, features = load_variant(bundle, mixer), some_ids(2, 24), random_features(2, 24)
    with torch.no_grad():
        logits = draft(ids, features=features)[0]
        assert torch.equal(logits, draft.hidden(ids, features=features) @ draft.head_weight.T)
        blind = draft(ids, features=torch.zeros_like(features))[0]
    reference = Reference(bundle, bundle.variant(mixer).layers)
    for row in range(2):
        expected = reference.logits(ids[row].tolist(), features[row].numpy())
        assert np.abs(logits[row].numpy() - expected).max() < 1e-4
    assert (logits - blind).abs().max() > 0.1


@pytest.mark.parametrize("mixer", MIXERS)
def test_steps_with_states_are_the_whole_sequence(family: Path, mixer: str) -> None:
    draft, ids, features = load_variant(Bundle.open(family), mixer), some_ids(2, 20), random_features(2, 20)
    with torch.no_grad():
        whole, _ = draft.read(ids, features=features)
        parts, states, begin = [], None, 0
        for end in (7, 8, 9, 15, 20):
            hidden, states = draft.read(ids[:, begin:end], states, begin, features[:, begin:end])
            parts.append(hidden)
            begin = end
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-5)


def test_features_are_those_of_the_token_before() -> None:
    hidden = random_features(2, 5)
    features = features_before(hidden)
    assert torch.equal(features[:, 1:], hidden[:, :-1])
    assert not features[:, 0].any()


@given(length=st.integers(1, 200), longest=st.integers(1, 6), seed=st.integers(0, 2**32))
@settings(deadline=None)
def test_own_positions_are_the_cycles_of_decoding(length: int, longest: int, seed: int) -> None:
    """Runs of own features as long as asked for, one or two true ones between them, and true ones first."""
    own = own_positions(length, longest, torch.Generator().manual_seed(seed))
    assert torch.equal(own, own_positions(length, longest, torch.Generator().manual_seed(seed)))
    assert own.shape == (length,)
    assert own.dtype == torch.bool
    runs = [(kind, len(list(group))) for kind, group in groupby(own.tolist())]
    assert runs[0][0] is False
    # The first of all tokens reads no state whatever the cycle it falls into: one more true one.
    assert runs[0][1] <= 3
    assert all(size <= longest if kind else size <= 2 for kind, size in runs[1:])


def test_own_positions_come_in_all_lengths_and_phases() -> None:
    seen, starts = set(), set()
    for seed in range(50):
        runs = [
            (k, len(list(g))) for k, g in groupby(own_positions(60, 3, torch.Generator().manual_seed(seed)).tolist())
        ]
        seen |= set(runs[1:-1])
        starts.add(runs[0][1])
    assert seen == {(True, 1), (True, 2), (True, 3), (False, 1), (False, 2)}
    assert starts == {1, 2, 3}


def decoded_features(draft: Llama, ids: Tensor, true: Tensor, own: Tensor) -> Tensor:
    """What decoding reads, one token after another: its own last hidden state where `own`, else the true feature."""
    states, last, rows = None, true[:, :1], []
    for place in range(ids.shape[1]):
        feature = last if own[place] else true[:, place : place + 1]
        rows.append(feature)
        last, states = draft.read(ids[:, place : place + 1], states, place, feature)
    return torch.cat(rows, dim=1)


@pytest.mark.parametrize("mixer", MIXERS)
def test_passes_come_to_what_decoding_reads(family: Path, mixer: str) -> None:
    bundle = Bundle.open(family)
    # In float64: what a random model reads of itself it amplifies, rounding too.
    draft, ids, target = load_variant(bundle, mixer).double(), some_ids(3, 30), random_features(3, 30).double()
    own = own_positions(30, 3, torch.Generator().manual_seed(4))
    with torch.no_grad():
        expected = decoded_features(draft, ids, features_before(target), own)
    places = own.nonzero().flatten().tolist()
    for passes in (1, 2, 4, len(places) + 1):
        found = trained_features(draft, ids, target, own, passes)
        assert torch.equal(found[:, ~own], features_before(target)[:, ~own])
        # Each pass is right for one more of the tokens that read own features: the next after those it could build on.
        right = places[passes - 1] if passes <= len(places) else 30
        assert torch.allclose(found[:, :right], expected[:, :right], atol=1e-6)
        assert passes > len(places) or (found[:, right] - expected[:, right]).abs().max() > 1e-2


@pytest.mark.parametrize("mixer", MIXERS)
def test_training_lowers_the_loss_and_moves_all_of_the_draft(
    models: Path, data: Path, tmp_path: Path, mixer: str
) -> None:
    config = draft_config(models, data, mixer)
    config["draft"] = {**config["draft"], "feature_loss": 0.1}  # type: ignore[dict-item]
    before = built(config).state_dict()
    assert not before["model.features_proj.weight"].any()
    stage, _ = stage_after(config, tmp_path)
    assert not [name for name, value in stage.state_dict().items() if torch.equal(value, before[name])]
    rows = [row for row in metrics(tmp_path) if row["kind"] == "train"]
    assert rows[-1]["kl"] < rows[0]["kl"]
    assert rows[-1]["loss"] == pytest.approx(rows[-1]["kl"] + 0.1 * rows[-1]["feature_loss"], abs=1e-5)


def test_the_trained_pass_reads_own_features(models: Path, data: Path) -> None:
    """The loss of a step is that of the draft on the features that `trained_features` makes, and has its gradient."""
    stage = built(draft_config(models, data))
    projection = stage.draft.features_proj
    assert projection is not None
    torch.nn.init.normal_(projection.weight, std=0.2)
    ids = some_ids(2, 17)
    measures = stage.train_step(ids, 5, 1.0)
    with torch.no_grad():
        target = stage.target.hidden(ids[:, :-1])
        own = own_positions(16, 3, torch.Generator().manual_seed((stage.seed << 32) + 5))
        features = trained_features(stage.draft, ids[:, :-1], target, own, 3)
    student = stage.draft.hidden(ids[:, :-1], features=features)
    log_p, log_q = ((h @ stage.target.head_weight.T).log_softmax(dim=-1) for h in (target, student))
    kl = (log_p.exp() * (log_p - log_q)).sum(dim=-1).mean()
    (expected,) = torch.autograd.grad(kl, projection.weight)
    assert float(measures["kl"]) == pytest.approx(float(kl.detach()), rel=1e-5)
    assert projection.weight.grad is not None
    assert torch.allclose(projection.weight.grad, expected, atol=1e-6)


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_the_projection_learns_as_slowly_as_features_are_long(models: Path, data: Path, optimiser: str) -> None:
    stage = built(draft_config(models, data))
    config = parse(draft_config(models, data)).optimiser.model_copy(update={"name": optimiser})
    with torch.no_grad():
        stage.target.norm.weight.fill_(3.0)
        stage.target.embed_tokens.weight.fill_(0.5)
    rates = stage.learning_rates()
    assert rates == {"model.features_proj.weight": pytest.approx(1 / 6)}
    named = stage.named_parameters()
    groups = build_optimiser(named, config, torch.device("cpu"), stage.matrices(), rates).param_groups
    peaks = {id(p): group["peak"] for group in groups for p in group["params"]}
    assert peaks.keys() == {id(p) for p in named.values()}
    for name, parameter in named.items():
        factor = 1 / 6 if name == "model.features_proj.weight" else 1.0
        assert peaks[id(parameter)] == pytest.approx(factor * config.learning_rate), name


def test_resuming_equals_never_stopping(models: Path, data: Path, tmp_path: Path) -> None:
    assert_resumes(parse(draft_config(models, data)), tmp_path)


def confirmed(target: Llama, draft: Llama, ids: Tensor, places: int) -> list[tuple[int, int]]:
    """(accepted, decided) of each step by whole passes over ever longer texts, without states."""
    counts = [(0, 0)] * STEPS
    for row in ids:
        for place in range(1, places + 1):
            text = row[: len(row) * place // places].tolist()
            true = target.hidden(torch.tensor([text]))
            own = None
            for step in range(STEPS):
                given = torch.tensor([text])
                features = None
                if draft.features_proj is not None:
                    features = features_before(true) if own is None else torch.cat([features_before(true), own], dim=1)
                hidden = draft.hidden(given, features=features)
                # The features of the drafts to come, from the draft's own states; true ones end with the text's.
                own = hidden[:, true.shape[1] - 1 :]
                token = int((hidden[0, -1] @ draft.head_weight.T).argmax())
                wanted = int((target.hidden(given)[0, -1] @ target.head_weight.T).argmax())
                accepted, decided = counts[step]
                counts[step] = accepted + (token == wanted), decided + 1
                if token != wanted:
                    break
                text.append(token)
    return counts


@pytest.mark.parametrize("features", [True, False])
def test_steps_are_counted_as_decoding_accepts(models: Path, features: bool) -> None:
    """Of a draft that is its target but for some noise, whose tokens stand often enough."""
    target = load_teacher(Bundle.open(models / "tiny")).requires_grad_(False)
    draft = draft_of(target, [0, 1, 2], 96, None, True, features).requires_grad_(False)
    noisy = draft.layer(1).mlp.down_proj if draft.features_proj is None else draft.features_proj
    noisy.weight.add_(0.01 * torch.randn(noisy.weight.shape, generator=torch.Generator().manual_seed(2)))
    ids = some_ids(4, 24)
    with torch.no_grad():
        expected = confirmed(target, draft, ids, 16)
    steps = OwnSteps(target, draft)
    steps.add(ids[:2])
    steps.add(ids[2:])
    assert list(zip(steps.accepted.int().tolist(), steps.decided.int().tolist(), strict=True)) == expected
    assert all(0 < accepted < decided for accepted, decided in expected)
    assert steps.measures()["agreement.2"] == pytest.approx(expected[1][0] / expected[1][1])


def test_a_draft_that_is_the_target_always_agrees(models: Path) -> None:
    teacher = load_teacher(Bundle.open(models / "tiny")).requires_grad_(False)
    steps = OwnSteps(teacher, draft_of(teacher, [0, 1, 2], 96, None, True))
    steps.add(some_ids(2, 20))
    assert steps.measures() == {f"agreement.{step}": 1.0 for step in range(1, STEPS + 1)}


def test_an_untrained_draft_on_features_is_the_draft_without(models: Path) -> None:
    teacher = load_teacher(Bundle.open(models / "tiny")).requires_grad_(False)
    plain, reading = (draft_of(teacher, [1], 96, None, True, features) for features in (False, True))
    ids = some_ids(2, 12)
    with torch.no_grad():
        assert torch.equal(plain(ids)[0], reading(ids, features=random_features(2, 12))[0])


@pytest.mark.parametrize("mixer", MIXERS)
def test_a_draft_on_features_survives_its_bundle(models: Path, data: Path, tmp_path: Path, mixer: str) -> None:
    home, run = tmp_path / "models", tmp_path / "run"
    shutil.copytree(models / "tiny", home / "tiny")
    config = draft_config(home, data, mixer)
    config["mixer"] = {**config["mixer"], "codec": "q4_0"}  # type: ignore[dict-item]
    train(parse(config), run, resume=False)
    assert main(["export", "--run", str(run), "--out", str(home / "tiny"), "--set", "eagle1", "--codec", "q4_0"]) == 0
    assert main(["verify", str(home / "tiny")]) == 0
    bundle = Bundle.open(home / "tiny")
    mixer_set = bundle.manifest.mixer_sets["eagle1"]
    assert mixer_set.draft == Draft(1, 96, features=True)
    assert mixer_set.tensors["model.features_proj.weight"].codec == "q4_0"
    kind = {"mamba2": "Mamba-2", "attention": "attention"}[mixer]
    assert bundle.variant("eagle1").title == f"Draft on features (EAGLE, 1 {kind} layer)"
    text = (home / "tiny" / "manifest.json").read_text(encoding="utf-8")
    assert format_manifest(parse_manifest(json.loads(text))) == text
    jsonschema.validate(json.loads(text), json.loads((SCHEMAS / "manifest.schema.json").read_text(encoding="utf-8")))

    stage = built(config)
    stage.load_state_dict(final_state(run))
    ids, features = some_ids(2, 24), random_features(2, 24)
    with torch.no_grad():
        loaded = load_variant(bundle, "eagle1")(ids, features=features)[0]
        assert torch.equal(loaded, stage.draft(ids, features=features)[0])

    broken: list[Callable[[dict[str, object]], object]] = [
        lambda s: s["tensors"].pop("model.features_proj.weight"),  # type: ignore[attr-defined]
        lambda s: s["draft"].pop("features"),  # type: ignore[attr-defined]
        lambda s: s["draft"].update(features=False),  # type: ignore[attr-defined]
    ]
    for change in broken:
        changed = json.loads(text)
        change(changed["mixer_sets"]["eagle1"])
        with pytest.raises(MambascopeError, match="not valid"):
            parse_manifest(changed)


def test_a_draft_on_features_does_not_run_alone(family: Path, data: Path, tmp_path: Path) -> None:
    bundle, ids = Bundle.open(family), some_ids(1, 4)
    draft, teacher = load_variant(bundle, "mamba2"), load_teacher(bundle)
    for missing in (
        lambda: draft(ids),
        lambda: draft.hidden(ids),
        lambda: teacher(ids, features=random_features(1, 4)),
        lambda: Sampler(draft, 1, 4, None, 0).sample([[1, 2]], [0.0]),
    ):
        with pytest.raises(MambascopeError) as caught:
            missing()
        assert caught.value.code == "features"

    train(parse(draft_config(family.parent, data)), tmp_path / "run", resume=False)
    config = draft_config(family.parent, data)
    for alone in (
        lambda: load_alone(bundle, "attention"),
        lambda: subjects(bundle, teacher, ["mamba2"], [], [], ["f32"]),
        lambda: subjects(bundle, teacher, [], [], [tmp_path / "run"], ["f32"]),
        lambda: load_run(teacher, tmp_path / "run", "f32"),
        lambda: from_bundle([family], "mamba2", None),
        lambda: built({**config, "draft": {"target": "mamba2"}}),
    ):
        with pytest.raises(MambascopeError) as caught:
            alone()
        assert caught.value.code == "draft-needs-target"
    assert main(["parity", str(family), "--variants", "mamba2"]) == 1
    assert main(["parity", str(family), "--tolerance", "0.01"]) == 0


def test_samples_need_a_draft_that_runs_alone(models: Path, data: Path) -> None:
    with pytest.raises(ValueError, match="sample_every"):
        parse(draft_config(models, data, sample_every=5))


def test_a_wrong_scheme_is_refused(models: Path, data: Path) -> None:
    for field in ("passes", "own_run"):
        with pytest.raises(ValueError, match=field):
            parse({**draft_config(models, data), "draft": {"features": True, field: 0}})
