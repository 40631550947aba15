"""The greedy choice of layers against every pattern measured whole."""

import json
from pathlib import Path

import pytest
import torch
from runs import parse, run_config, write_data
from samples import ARCHITECTURE

from mambascope_trainer.bundle import Bundle
from mambascope_trainer.cli import main
from mambascope_trainer.commands.select import pattern_text
from mambascope_trainer.data.tokens import TokenRows
from mambascope_trainer.evaluation.agreement import compare_with_teacher
from mambascope_trainer.evaluation.selection import GreedySelection
from mambascope_trainer.model.load import load_teacher
from mambascope_trainer.run.train import build_stage, train
from mambascope_trainer.stages.distill import Distill


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def test_every_choice_is_the_least_of_the_patterns_measured_whole(models: Path, data: Path) -> None:
    stage = build_stage(parse(run_config(models, data, layers=[0, 1, 2])))
    assert isinstance(stage, Distill)
    teacher, count = load_teacher(Bundle.open(models / "tiny")), ARCHITECTURE.num_hidden_layers
    batches = list(TokenRows(data / "evaluation", 16, 0).once(4))
    steps = GreedySelection(stage.model, batches).run([0, 1, 2], 3)
    replaced: set[int] = set()
    for step in steps:
        measured = {}
        for layer in set(range(count)) - replaced:
            stage.model.use(stage.pattern(replaced | {layer}))
            measured[layer] = compare_with_teacher(stage.model, teacher, batches)["kl"]
        assert step.candidates == pytest.approx(measured, rel=1e-3)
        assert step.kl == min(step.candidates.values())
        assert step.kl == step.candidates[step.layer]
        replaced.add(step.layer)
    assert len({step.layer for step in steps}) == 3


def test_the_command_prints_nested_patterns(
    models: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = run_config(models, data, "align", layers=[0, 1, 2])
    config["optimiser"]["steps"] = 2
    train(parse(config), tmp_path / "run", resume=False)
    common = ["select", "--bundle", str(models / "tiny"), "--run", str(tmp_path / "run"), "--rows"]
    command = [*common, str(data / "evaluation"), "--seq-len", "16"]
    assert main([*command, "--keep", "2", "0", "1", "--out", str(tmp_path / "out.json")]) == 0
    patterns = json.loads((tmp_path / "out.json").read_text())["patterns"]
    assert [p["keep"] for p in patterns] == [2, 1, 0]
    kept = [set(p["attention"]) for p in patterns]
    assert kept[0] > kept[1] > kept[2]
    assert patterns[2]["pattern"] == "m3"
    assert "result" in json.loads(capsys.readouterr().out.splitlines()[-1])
    assert main([*command, "--keep", "1", "--always-keep", "0", "2", "--out", str(tmp_path / "out.json")]) == 1
    assert "from 2 to 3" in json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["action"]


def test_patterns_in_text_form() -> None:
    assert pattern_text(set(), 4) == "a4"
    assert pattern_text({1, 2, 5}, 6) == "a.m2.a2.m"


def test_the_smollm2_set_can_be_selected_from(smollm2: Path, tmp_path: Path) -> None:
    """The mixers that ship, on few tokens: what is replaced costs more and more."""
    from mambascope_trainer.commands.select import add_mixers
    from mambascope_trainer.stages.sources import bundle_source

    shipped = Path(__file__).parents[2] / "public" / "models" / smollm2.name
    bundle = Bundle.open([smollm2, shipped])
    model = load_teacher(bundle).eval().requires_grad_(False)
    assert add_mixers(model, [bundle_source(bundle, "aligned")]) == list(range(30))
    ids = torch.tensor([[1, 9690, 198, 2683, 359, 253, 5356, 5646, 11173, 3365, 3511]])
    selection = GreedySelection(model, [ids])
    kls = [step.kl for step in selection.run([5, 12, 20], 3)]
    assert 0 < kls[0] < kls[2] < 1
