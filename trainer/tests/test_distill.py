"""Patterns that change from step to step, what may train besides mixers, and where mixers start from."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from runs import assert_same_state, final_state, metrics, parse, run_config, stage_after, write_data
from samples import MIXER, mixer_tensors, write_bundle

from mambascope_trainer.bundle import Bundle, Storage
from mambascope_trainer.data.tokens import TokenRows
from mambascope_trainer.evaluation.agreement import compare_with_teacher
from mambascope_trainer.model.load import load_teacher
from mambascope_trainer.run.config import ConfigError, read_config
from mambascope_trainer.run.train import build_stage, train
from mambascope_trainer.stages.answers import AnswerMask
from mambascope_trainer.stages.distill import Distill

MIXTURE: dict[str, Any] = {
    "pattern": "mixture",
    "layers": [],
    "mixture": [
        {"name": "attn67", "layers": [1], "share": 1},
        {"name": "attn33", "layers": [2, 1], "share": 2},
        {"name": "attn0", "layers": [0, 1, 2], "share": 1},
    ],
    "random_share": 0.2,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


def distill(models: Path, data: Path, **changes: Any) -> Distill:
    stage = build_stage(parse(run_config(models, data, **changes)))
    assert isinstance(stage, Distill)
    return stage


def test_a_mixture_draws_its_patterns_by_their_shares(models: Path, data: Path) -> None:
    stage, again = distill(models, data, **MIXTURE), distill(models, data, **MIXTURE)
    assert stage.layers == [0, 1, 2]
    drawn = [stage.patterns.at(step) for step in range(2000)]
    assert drawn[::-1] == [again.patterns.at(step) for step in reversed(range(2000))]
    # Of the random fifth, a third has each count; one layer or two are one of three.
    expected = {
        (1,): 0.8 / 4 + 0.2 / 9,
        (1, 2): 0.8 / 2 + 0.2 / 9,
        (0, 1, 2): 0.8 / 4 + 0.2 / 3,
        (0,): 0.2 / 9,
        (2,): 0.2 / 9,
        (0, 1): 0.2 / 9,
        (0, 2): 0.2 / 9,
    }
    for pattern, share in expected.items():
        assert drawn.count(frozenset(pattern)) / 2000 == pytest.approx(share, abs=0.04), pattern
    other = distill(models, data, **MIXTURE, seed=4)
    assert [other.patterns.at(step) for step in range(2000)] != drawn


def test_evaluation_measures_each_named_pattern(models: Path, data: Path) -> None:
    stage = distill(models, data, **MIXTURE)
    ids = TokenRows(data / "evaluation", 16, 3).batch(0, 4)
    found = stage.evaluate([ids])
    teacher = load_teacher(Bundle.open(models / "tiny"))
    measured = {}
    for pattern in MIXTURE["mixture"]:
        stage.model.use(stage.pattern(set(pattern["layers"])))
        measured[pattern["name"]] = compare_with_teacher(stage.model, teacher, [ids])
    for name, measures in measured.items():
        assert found[f"kl.{name}"] == pytest.approx(measures["kl"], rel=1e-4)
        assert found[f"agreement.{name}"] == pytest.approx(measures["agreement"])
    shares = {"attn67": 0.25, "attn33": 0.5, "attn0": 0.25}
    mean = sum(share * measured[name]["kl"] for name, share in shares.items())
    assert found["kl"] == pytest.approx(mean, rel=1e-4)
    assert found["loss"] == pytest.approx(mean, rel=1e-4)


def test_a_mixture_runs_and_every_pattern_gains(models: Path, data: Path, tmp_path: Path) -> None:
    config = run_config(models, data, **MIXTURE, eval_every=100, eval_batches=3)
    config["optimiser"] |= {"steps": 60, "learning_rate": 1e-2}
    train(parse(config), tmp_path, resume=False)
    first, last = (record for record in metrics(tmp_path) if record["kind"] == "eval")
    assert all(last[f"kl.{p['name']}"] < 0.9 * first[f"kl.{p['name']}"] for p in MIXTURE["mixture"])


TRAINED = {
    "mixers": set(),
    "mixers+norms": {"input_layernorm", "post_attention_layernorm"},
    "mixers+mlp": {"input_layernorm", "post_attention_layernorm", "mlp"},
}


@pytest.mark.parametrize("what", [*TRAINED, "all"])
@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_what_trains_moves_and_the_teacher_stays(
    models: Path, data: Path, tmp_path: Path, what: str, optimiser: str
) -> None:
    config = run_config(models, data, train=what, layers=[0, 2])
    config["optimiser"] |= {"name": optimiser, "steps": 4, "warmup": 0}
    teacher = load_teacher(Bundle.open(models / "tiny")).state_dict()
    stage, _ = stage_after(config, tmp_path)
    assert isinstance(stage, Distill)
    student = {k: v for k, v in stage.model.state_dict().items() if ".mamba." not in k}
    moved = {name for name, value in student.items() if not torch.equal(value, teacher[name])}
    if what == "all":
        unused = {f"layers.{i}.self_attn.{p}_proj.weight" for i in (0, 2) for p in "qkvo"}
        assert moved == teacher.keys() - unused - {"embed_tokens.weight"}
    else:
        expected = {k for k in teacher if k.startswith(("layers.0.", "layers.2.")) and k.split(".")[2] in TRAINED[what]}
        assert moved == expected
    reference, pattern = stage.teacher()
    reference.use(pattern)
    ids = TokenRows(data / "evaluation", 16, 3).batch(0, 4)[:, :-1]
    plain = load_teacher(Bundle.open(models / "tiny"))
    torch.testing.assert_close(reference.hidden(ids), plain.hidden(ids))

    again = build_stage(parse(config))
    again.load_state_dict(stage.state_dict())
    assert_same_state(again.state_dict(), stage.state_dict())
    assert isinstance(again, Distill)
    again.model.use(["mamba2", "attention", "mamba2"])
    stage.model.use(["mamba2", "attention", "mamba2"])
    torch.testing.assert_close(again.model.hidden(ids), stage.model.hidden(ids))


def bundle_with_set(root: Path) -> Path:
    """The family tiny with a mixer set of layers 1 and 2."""
    writer = write_bundle(root / "tiny", Storage(matrix="f32", embedding="f32"))
    writer.add_mixer_set("pair", MIXER, [1, 2], mixer_tensors([1, 2]), Storage(matrix="f32"), {})
    return root


def test_mixers_start_from_the_first_source_that_has_the_layer(models: Path, data: Path, tmp_path: Path) -> None:
    root = bundle_with_set(tmp_path / "models")
    config = run_config(root, data, "align", layers=[0, 1], mixer={"options": {"norm_groups": 4}})
    config["optimiser"]["steps"] = 2
    train(parse(config), tmp_path / "run", resume=False)
    run, shipped = final_state(tmp_path / "run"), mixer_tensors([1, 2])
    sources = [str(tmp_path / "run"), f"bundle:{root / 'tiny'}#pair"]

    def start(layers: list[int], names: str | list[str]) -> dict[str, torch.Tensor]:
        mixer = {"options": {"norm_groups": 4}, "start_from": names, "calibrate": "none"}
        return build_stage(parse(run_config(root, data, layers=layers, mixer=mixer))).state_dict()

    both = start([0, 1, 2], sources)
    for name, value in both.items():
        expected = torch.from_numpy(shipped[name]) if name.startswith("model.layers.2.") else run[name]
        assert torch.equal(value, expected), name
    turned = start([0, 1, 2], sources[::-1])
    assert torch.equal(turned["model.layers.1.mamba.D"], torch.from_numpy(shipped["model.layers.1.mamba.D"]))
    fresh = start([0, 1, 2], [sources[1], "init"])
    untouched = build_stage(
        parse(run_config(root, data, layers=[0], mixer={"options": {"norm_groups": 4}, "calibrate": "none"}))
    )
    name = "model.layers.0.mamba.out_proj.weight"
    assert torch.equal(fresh[name], untouched.state_dict()[name])
    with pytest.raises(ConfigError, match="no layer 0"):
        start([0, 1], sources[1])
    with pytest.raises(ConfigError, match="other"):
        start([1], f"bundle:{root / 'tiny'}#other")
    with pytest.raises(ConfigError, match="norm_groups is 4, not 1"):
        build_stage(parse(run_config(root, data, layers=[1], mixer={"start_from": sources[1]})))
    with pytest.raises(ConfigError, match="no stage before"):
        start([1], "previous")


def test_new_mixers_are_calibrated_and_trained_ones_are_not(models: Path, data: Path, tmp_path: Path) -> None:
    config = run_config(models, data, "align", layers=[0])
    config["optimiser"]["steps"] = 2
    train(parse(config), tmp_path / "run", resume=False)
    name = "model.layers.{}.mamba.out_proj.weight"
    out = {}
    for how in ("fresh", "all", "none"):
        mixer = {"start_from": [str(tmp_path / "run"), "init"], "calibrate": how}
        out[how] = build_stage(parse(run_config(models, data, layers=[0, 1], mixer=mixer))).state_dict()
    assert torch.equal(out["fresh"][name.format(0)], final_state(tmp_path / "run")[name.format(0)])
    assert torch.equal(out["fresh"][name.format(0)], out["none"][name.format(0)])
    assert not torch.equal(out["fresh"][name.format(0)], out["all"][name.format(0)])
    assert not torch.equal(out["fresh"][name.format(1)], out["none"][name.format(1)])


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a mixture without patterns": ({"pattern": "mixture"}, "mixture: pattern"),
    "patterns without a mixture": ({"mixture": MIXTURE["mixture"], "layers": [0, 1, 2]}, "mixture: pattern"),
    "a name twice": ({**MIXTURE, "mixture": [MIXTURE["mixture"][0]] * 2}, "same name"),
    "a name of no measure": ({**MIXTURE, "mixture": [{"name": "a b", "layers": [1]}]}, r"mixture\.0\.name"),
    "layers apart": ({**MIXTURE, "layers": [0, 1]}, r"mixture: layers \[2\]"),
    "MLPs of many patterns": ({**MIXTURE, "train": "mixers+mlp"}, "train: "),
    "MLPs in alignment": ({"method": "align", "train": "mixers+norms"}, "train: align"),
    "init first": ({"mixer": {"start_from": ["init", "a"]}}, r"mixer\.start_from"),
    "init alone": ({"mixer": {"start_from": "init"}}, r"mixer\.start_from"),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_a_wrong_config_says_what_is_wrong(models: Path, data: Path, tmp_path: Path, name: str) -> None:
    changes, word = WRONG[name]
    (tmp_path / "c.json").write_text(json.dumps(run_config(models, data) | changes))
    with pytest.raises(ConfigError, match=word):
        read_config(tmp_path / "c.json")


def answers_by_hand(row: list[int], opening: list[int], end: int) -> list[bool]:
    inside, seen, flags = False, False, []
    for place, token in enumerate(row):
        flags.append(inside)
        if inside and token == end:
            inside = False
        if place + 1 >= len(opening) and row[place + 1 - len(opening) : place + 1] == opening:
            inside = seen = True
    return flags if seen else [True] * len(row)


@given(st.lists(st.lists(st.integers(0, 3), min_size=12, max_size=12), min_size=1, max_size=4))
def test_answers_lie_between_their_opening_and_the_turns_end(rows: list[list[int]]) -> None:
    for opening in ([2, 0, 1], [2, 1], [2]):
        found = AnswerMask(opening, 2)(torch.tensor(rows))
        assert found.tolist() == [answers_by_hand(row, opening, 2) for row in rows]


def test_ce_of_answers_is_that_of_their_tokens_alone(models: Path, data: Path) -> None:
    ids = TokenRows(data / "train", 16, 3).batch(0, 4)
    opening = ids[1, 3:5].tolist()
    end = int(ids[1, 9])
    config = parse(run_config(models, data, loss={"alpha": 0.7}))
    plain = build_stage(config)
    assert isinstance(plain, Distill)
    stage = Distill(plain.model, config, None, AnswerMask(opening, end))
    mask = torch.tensor([answers_by_hand(row, opening, end) for row in ids.tolist()])[:, 1:]
    assert 0 < mask.sum() < mask.numel()
    measures = stage.train_step(ids, 0, 1.0)
    found = [p.grad.clone() for p in stage.parameters() if p.grad is not None]

    teacher = load_teacher(Bundle.open(models / "tiny"))
    wanted = teacher(ids[:, :-1])[0].log_softmax(dim=-1).detach()
    stage.model.use(["mamba2", "attention", "mamba2"])
    logs = stage.model(ids[:, :-1])[0].log_softmax(dim=-1)
    ce = -logs.gather(2, ids[:, 1:, None])[..., 0][mask].mean()
    loss = (wanted.exp() * (wanted - logs)).sum(dim=-1).mean() + 0.7 * ce
    torch.testing.assert_close(measures["loss"], loss.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(measures["answer_ce"], ce.detach(), rtol=1e-4, atol=1e-5)
    for gradient, reference in zip(found, torch.autograd.grad(loss, stage.parameters()), strict=True):
        torch.testing.assert_close(gradient, reference, rtol=1e-3, atol=1e-5)


def test_answers_need_a_chat_template(models: Path, data: Path) -> None:
    with pytest.raises(ConfigError, match=r"loss\.ce_tokens"):
        build_stage(parse(run_config(models, data, loss={"alpha": 0.1, "ce_tokens": "answers"})))
