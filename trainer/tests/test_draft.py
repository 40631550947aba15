"""Drafts: what they share, what training moves, what they measure, and the way through a bundle and back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import torch
from runs import (
    STEPS,
    assert_resumes,
    assert_same_state,
    final_state,
    metrics,
    parse,
    run_config,
    stage_after,
    write_data,
)
from samples import ARCHITECTURE, random_tensors, write_bundle
from torch import nn

from mambascope_trainer import bundle as bundles
from mambascope_trainer.bundle import Bundle
from mambascope_trainer.bundle.manifest import Draft, format_manifest, parse_manifest
from mambascope_trainer.cli import main
from mambascope_trainer.data.tokens import TokenRows
from mambascope_trainer.errors import MambascopeError
from mambascope_trainer.evaluation.acceptance import expected_acceptance
from mambascope_trainer.mixers.attention import Attention
from mambascope_trainer.model.draft import spread_layers
from mambascope_trainer.model.load import load_mixers, load_teacher, load_variant
from mambascope_trainer.parity import check_variant
from mambascope_trainer.run.config import ConfigError, read_config
from mambascope_trainer.run.train import build_stage, train
from mambascope_trainer.stages.draft import DraftStage

SCHEMAS = Path(bundles.__file__).parents[1] / "schemas"
OPTIONS = {"norm_groups": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def draft_config(models: Path, data: Path, mixer: str, **changes: object) -> dict[str, object]:
    options = OPTIONS if mixer == "mamba2" else {}
    config = run_config(models, data, "draft", draft={"mixer": mixer}, mixer={"options": options}, **changes)
    return {**config, "layers": []}


def built(config: dict[str, object]) -> DraftStage:
    stage = build_stage(parse(config))
    assert isinstance(stage, DraftStage)
    return stage


@pytest.mark.parametrize("mixer", ["mamba2", "attention"])
def test_training_moves_the_drafts_own_parameters_alone(models: Path, data: Path, tmp_path: Path, mixer: str) -> None:
    config = draft_config(models, data, mixer)
    before = built(config)
    own_before = before.state_dict()
    frozen = {name: value.clone() for name, value in before.target.state_dict().items()}
    stage, loop = stage_after(config, tmp_path)
    assert isinstance(stage, DraftStage)
    assert all(torch.equal(value, frozen[name]) for name, value in stage.target.state_dict().items())
    assert stage.draft.embed_tokens is stage.target.embed_tokens
    moved = stage.state_dict()
    assert moved.keys() == own_before.keys()
    still = [name for name, value in moved.items() if torch.equal(value, own_before[name])]
    assert not still
    assert ("model.layers.1.self_attn.q_proj.weight" in moved) == (mixer == "attention")
    assert ("model.layers.1.mamba.in_proj.weight" in moved) == (mixer == "mamba2")
    assert "model.norm.weight" in moved
    rows = [row for row in metrics(tmp_path) if row["kind"] == "eval"]
    assert rows[-1]["kl"] < rows[0]["kl"]
    assert rows[-1]["acceptance"] > rows[0]["acceptance"]
    assert loop.step == STEPS


def test_an_attention_draft_of_all_layers_is_the_teacher(models: Path, data: Path, tmp_path: Path) -> None:
    config = draft_config(models, data, "attention")
    stage = built({**config, "draft": {"mixer": "attention", "layers": 3, "from_layers": [0, 1, 2]}})
    measures = stage.evaluate([torch.randint(0, 320, (2, 17), generator=torch.Generator().manual_seed(0))])
    assert measures["kl"] == pytest.approx(0, abs=1e-6)
    assert measures["agreement"] == 1
    assert measures["acceptance"] == pytest.approx(1, abs=1e-5)


def test_resuming_equals_never_stopping(models: Path, data: Path, tmp_path: Path) -> None:
    assert_resumes(parse(draft_config(models, data, "mamba2", loss={"alpha": 0.2})), tmp_path)


def test_acceptance_is_the_overlap_of_the_two_distributions() -> None:
    random = np.random.default_rng(1)
    head, q, p = (random.normal(size=shape).astype(np.float32) for shape in ((50, 8), (1500, 8), (1500, 8)))

    def softmax(x: np.ndarray) -> np.ndarray:
        e = np.exp(x.astype(np.float64))
        return e / e.sum(axis=-1, keepdims=True)

    expected = 1 - 0.5 * np.abs(softmax(q @ head.T) - softmax(p @ head.T)).sum(axis=-1).mean()
    found = expected_acceptance(*(torch.from_numpy(x) for x in (q, p, head)))
    assert float(found) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("mixer", ["mamba2", "attention"])
def test_a_draft_survives_its_bundle(models: Path, data: Path, tmp_path: Path, mixer: str) -> None:
    """Trained through q4_0 with a narrower MLP: what the bundle gives back is what training evaluated."""
    home = tmp_path / "models"
    shutil.copytree(models / "tiny", home / "tiny")
    run = tmp_path / "run"
    config = draft_config(home, data, mixer)
    config["mixer"] = {"options": OPTIONS if mixer == "mamba2" else {}, "codec": "q4_0"}
    config["draft"] = {"mixer": mixer, "layers": 2, "intermediate_size": 64, "from_layers": [0, 2]}
    train(parse(config), run, resume=False)
    code = main(["export", "--run", str(run), "--out", str(home / "tiny"), "--set", "draft2", "--codec", "q4_0"])
    assert code == 0

    bundle = Bundle.open(home / "tiny")
    assert bundle.variant("draft2").layers == (f"{mixer}:draft2",) * 2
    assert bundle.manifest.architecture_of(bundle.variant("draft2").layers).intermediate_size == 64
    assert main(["verify", str(home / "tiny")]) == 0
    loaded = load_variant(bundle, "draft2")
    ids = torch.randint(0, 320, (2, 24), generator=torch.Generator().manual_seed(0))
    stage = built(config)
    stage.load_state_dict(final_state(run))
    with torch.no_grad():
        assert torch.equal(loaded(ids)[0], stage.draft(ids)[0])
        whole, states = loaded(ids[:, :20])
        rest, _ = loaded(ids[:, 20:], states, 20)
    assert torch.allclose(torch.cat([whole, rest], dim=1), loaded(ids)[0], atol=1e-5)
    assert max(item.max_abs_diff for item in check_variant(bundle, "draft2", loaded, [ids[0].tolist()])) < 1e-4

    # The run evaluates as its bundle's variant does, and both as the stage did.
    data_rows = str(data / "evaluation")
    out = tmp_path / "records.json"
    arguments = [
        "--bundle",
        str(home / "tiny"),
        "--rows",
        data_rows,
        "--seq-len",
        "16",
        "--batch",
        "4",
        "--out",
        str(out),
    ]
    assert main(["evaluate", *arguments, "--variants", "draft2", "--runs", str(run), "--codecs", "q4_0"]) == 0
    exported, trained = (item for item in json.loads(out.read_text()) if "kl" in item)
    for measure in ("kl", "agreement", "acceptance"):
        assert exported[measure] == pytest.approx(trained[measure], rel=1e-5)
    rows = TokenRows(data / "evaluation", 16, 0)
    expected = stage.evaluate(rows.once(len(rows)))
    assert exported["acceptance"] == pytest.approx(expected["acceptance"], rel=1e-4)
    assert exported["kl"] == pytest.approx(expected["kl"], rel=1e-4)

    # A second export takes the first one's place, also with another shape.
    config["draft"] = {"mixer": mixer, "layers": 1}
    train(parse(config), tmp_path / "run1", resume=False)
    main(["export", "--run", str(tmp_path / "run1"), "--out", str(home / "tiny"), "--set", "draft2", "--title", "One"])
    assert len(load_variant(Bundle.open(home / "tiny"), "draft2").layers) == 1
    teacher = load_teacher(bundle)
    assert teacher.arch.num_hidden_layers == 3
    with pytest.raises(MambascopeError, match="no mixer of the base's"):
        load_mixers(teacher, bundle, [f"{mixer}:draft2", "attention", "attention"])


def test_a_narrow_mlp_keeps_the_channels_that_weigh_most(models: Path, data: Path) -> None:
    config = draft_config(models, data, "attention")
    config["draft"] = {"mixer": "attention", "layers": 1, "intermediate_size": 95}
    stage = built(config)
    full, narrow = stage.target.layer(0).mlp, stage.draft.layer(0).mlp
    weigh = full.gate_proj.weight.norm(dim=1) * full.up_proj.weight.norm(dim=1) * full.down_proj.weight.norm(dim=0)
    kept = [i for i in range(96) if i != int(weigh.argmin())]
    assert torch.equal(narrow.down_proj.weight, full.down_proj.weight[:, kept])
    assert torch.equal(narrow.gate_proj.weight, full.gate_proj.weight[kept])


def test_the_target_may_be_a_hybrid(models: Path, data: Path, tmp_path: Path) -> None:
    home = tmp_path / "models"
    shutil.copytree(models / "tiny", home / "tiny")
    run = tmp_path / "run"
    train(parse(run_config(home, data, mixer={"options": OPTIONS})), run, resume=False)
    main(["export", "--run", str(run), "--out", str(home / "tiny"), "--set", "half", "--codec", "q8_0"])
    config = draft_config(home, data, "mamba2")
    config["draft"] = {"target": "half"}
    stage = built(config)
    assert stage.target.pattern == ["mamba2", "attention", "mamba2"]
    assert stage.draft.embed_tokens is stage.target.embed_tokens
    assert not any(parameter.requires_grad for parameter in stage.target.parameters())
    with pytest.raises(MambascopeError, match="no variant 'other'"):
        built({**config, "draft": {"target": "other"}})

    # Its mixers, trained in the teacher's layers 0 and 2, are a start for the draft's 0 and 1.
    mixer = {"options": OPTIONS, "start_from": f"bundle:{home / 'tiny'}#half"}
    started = built({**config, "draft": {"from_layers": [0, 2]}, "mixer": mixer})
    for index, layer in ((0, 0), (1, 2)):
        assert_same_state(started.draft.mamba(index).state_dict(), stage.target.mamba(layer).state_dict())
    with pytest.raises(ConfigError, match="no layer 1"):
        built({**config, "draft": {"from_layers": [0, 1]}, "mixer": mixer})
    built({**config, "draft": {"from_layers": [0, 1]}, "mixer": {**mixer, "start_from": [mixer["start_from"], "init"]}})


def test_a_draft_starts_from_another(models: Path, data: Path, tmp_path: Path) -> None:
    home = tmp_path / "models"
    shutil.copytree(models / "tiny", home / "tiny")
    config = draft_config(home, data, "mamba2")
    train(parse(config), tmp_path / "run", resume=False)
    to = ["--out", str(home / "tiny"), "--set", "draft2", "--codec", "f32"]
    assert main(["export", "--run", str(tmp_path / "run"), *to]) == 0
    first = final_state(tmp_path / "run")
    assert_same_state(built({**config, "draft": {"start_from": "draft2"}}).state_dict(), first)
    # What it has not, a draft on features has as if it were new.
    reading = built({**config, "draft": {"start_from": "draft2", "features": True}}).state_dict()
    assert not reading.pop("model.features_proj.weight").any()
    assert_same_state(reading, first)
    for change, message in (
        ({"draft": {"start_from": "teacher"}}, "teacher is no draft"),
        ({"draft": {"start_from": "draft2", "layers": 3}}, "draft2 is 2 layers .* this draft 3 layers"),
        ({"draft": {"start_from": "draft2", "intermediate_size": 32}}, "MLPs of"),
        ({"draft": {"start_from": "draft2"}, "mixer": {}}, "norm_groups=4.* this draft .*norm_groups=1"),
        ({"draft": {"start_from": "draft2", "mixer": "attention"}, "mixer": {}}, "this draft 2 layers of attention"),
    ):
        with pytest.raises(ConfigError, match=message):
            built({**config, **change})
    with pytest.raises(MambascopeError, match="no variant 'draft3'"):
        built({**config, "draft": {"start_from": "draft3"}})


def test_configs_that_cannot_be_trained_are_refused(models: Path, data: Path, tmp_path: Path) -> None:
    config = draft_config(models, data, "mamba2")
    for change, message in (
        ({"draft": {"from_layers": [0, 3]}}, "within 0..2"),
        ({"draft": {"layers": 1, "from_layers": [0, 2]}}, "must name 1 layers"),
        ({"draft": {"intermediate_size": 128}}, "wider"),
        ({"draft": {"intermediate_size": 40}, "mixer": {"codec": "q4_0"}}, "multiple of 32"),
        ({"mixer": {"options": {"state_size": 8}}}, "cannot initialise"),
        ({"mixer": {"options": {"heads": 8}}}, "mixer.options.heads"),
        ({"draft": {"mixer": "attention"}}, "attention draft takes nothing"),
    ):
        with pytest.raises(ConfigError, match=message):
            built({**config, **change})
    path = tmp_path / "config.json"
    for change, message in (({"draft": None}, "needs this section"), ({"layers": [0]}, "draft.from_layers")):
        path.write_text(json.dumps({**config, **change}))
        with pytest.raises(ConfigError, match=message):
            read_config(path)


BREAKS: dict[str, Any] = {
    "a tensor short": lambda m: m["mixer_sets"]["d"]["tensors"].pop("model.norm.weight"),
    "a tensor of the base": lambda m: m["mixer_sets"]["d"]["tensors"].update(
        {"model.embed_tokens.weight": m["base"]["tensors"]["model.embed_tokens.weight"]}
    ),
    "another width": lambda m: m["mixer_sets"]["d"]["draft"].update(intermediate_size=64),
    "an unknown field": lambda m: m["mixer_sets"]["d"]["draft"].update(layers=2),
    "another depth": lambda m: m["mixer_sets"]["d"]["draft"].update(num_hidden_layers=3),
    "a layer left out": lambda m: m["mixer_sets"]["d"].update(layers=[0, 2]),
    "no draft": lambda m: m["mixer_sets"]["d"].pop("draft"),
    "a config": lambda m: m["mixer_sets"]["d"].update(config={"gate": True}),
    "another mixer": lambda m: m["mixer_sets"]["d"].update(mixer="mamba2"),
    "half of it": lambda m: m["variants"]["d"]["layers"].pop(),
    "among the base's layers": lambda m: m["variants"]["teacher"]["layers"].__setitem__(0, "attention:d"),
    "another kind": lambda m: m["variants"]["d"].update(layers=["mamba2:d"] * 2),
    "no embedding": lambda m: m["base"]["tensors"].pop("model.embed_tokens.weight"),
}


def test_a_manifest_whose_draft_does_not_hold_together_is_refused(tmp_path: Path) -> None:
    writer = write_bundle(tmp_path)
    shape = Draft(2, 96).architecture(ARCHITECTURE).tensor_shapes()
    shapes = {name: size for name, size in shape.items() if "embed" not in name}
    tensors = random_tensors(shapes, np.random.default_rng(0))
    writer.add_draft("d", "Draft", "attention", {}, Draft(2, 96), tensors)
    text = (tmp_path / "manifest.json").read_text(encoding="utf-8")
    assert format_manifest(parse_manifest(json.loads(text))) == text
    schema = json.loads((SCHEMAS / "manifest.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(text), schema)
    for name, change in BREAKS.items():
        document = json.loads(text)
        if name == "no embedding":
            del document["variants"]["teacher"]
        change(document)
        with pytest.raises(MambascopeError) as caught:
            parse_manifest(document)
        assert caught.value.code == "manifest-invalid", name


def test_layers_are_spread_from_first_to_last() -> None:
    assert [spread_layers(n, 30) for n in (1, 2, 3)] == [[0], [0, 29], [0, 14, 29]]
    assert spread_layers(4, 4) == [0, 1, 2, 3]


def test_a_mamba_draft_holds_no_attention(models: Path, data: Path) -> None:
    stage = built(draft_config(models, data, "mamba2"))
    assert not any(isinstance(module, Attention) for module in nn.ModuleList([stage.draft]).modules())
