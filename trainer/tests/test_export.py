"""What a run trained is what its export computes, and what `evaluate` measures is what the logits say."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from runs import final_state, parse, run_config, stage_after, write_data
from samples import ARCHITECTURE, MIXER, TEXT, mixer_tensors, write_bundle
from torch import Tensor
from transformers import AutoModelForCausalLM

from mambascope_trainer.bundle import Bundle, Storage, decode, encode
from mambascope_trainer.bundle.verify import verify_bundle
from mambascope_trainer.cli import main
from mambascope_trainer.data.pack import train_tokenizer
from mambascope_trainer.data.tokens import TokenRows
from mambascope_trainer.model.llama import Llama
from mambascope_trainer.model.load import load_teacher, load_variant
from mambascope_trainer.parity import load_tokenizer
from mambascope_trainer.progress import Progress
from mambascope_trainer.stages.distill import Distill
from mambascope_trainer.stages.pretrain import Pretrain

IDS = torch.randint(ARCHITECTURE.vocab_size, (2, 21), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def trained(models: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Llama]:
    """A run directory and the student as it was when the run ended, training through q4_0."""
    folder = tmp_path_factory.mktemp("runs") / "student"
    config = run_config(models, data, mixer={"codec": "q4_0"})
    stage, loop = stage_after(config, folder)
    loop.directory.write_config(parse(config).model_dump())
    assert isinstance(stage, Distill)
    stage.model.use(stage.pattern({0, 2}))
    return folder, stage.model.requires_grad_(False)


def logits(model: Llama, codec: str | None = None) -> Tensor:
    if codec is not None:
        for index in (0, 2):
            model.mamba(index).codec = codec
    out: Tensor = model(IDS)[0]
    return out


def export(run: Path, out: Path, *arguments: str) -> int:
    return main(["export", "--run", str(run), "--out", str(out), *arguments])


@pytest.mark.parametrize("codec", ["q4_0", "q8_0"])
def test_an_exported_student_is_the_one_that_was_trained(
    models: Path, trained: tuple[Path, Llama], tmp_path: Path, codec: str
) -> None:
    run, student = trained
    assert export(run, tmp_path / "tiny", "--fallback", str(models / "tiny"), "--set", "mine", "--codec", codec) == 0
    bundle = Bundle.open([tmp_path / "tiny", models / "tiny"])
    variant = bundle.variant("mine")
    assert variant.layers == ("mamba2:mine", "attention", "mamba2:mine")
    assert variant.title == "33% attention"
    training = bundle.manifest.mixer_sets["mine"].training
    assert {key: training[key] for key in ("method", "steps", "tokens")} == {
        "method": "distill",
        "steps": 14,
        "tokens": 14 * 64,
    }
    assert verify_bundle(bundle, Progress(None)) == []
    assert torch.equal(logits(load_variant(bundle, "mine")), logits(student, codec))


def test_f16_rounds_the_matrices_alone(models: Path, trained: tuple[Path, Llama], tmp_path: Path) -> None:
    run, _ = trained
    assert export(run, tmp_path / "tiny", "--fallback", str(models / "tiny"), "--set", "mine", "--codec", "f16") == 0
    bundle = Bundle.open([tmp_path / "tiny", models / "tiny"])
    for name, value in final_state(run).items():
        expected = value.half().float() if name.endswith("_proj.weight") else value
        np.testing.assert_array_equal(bundle.tensor(name, "mine"), expected.numpy())


@pytest.mark.parametrize("tied", [True, False])
def test_a_pretrained_model_becomes_a_family(data: Path, tmp_path: Path, tied: bool) -> None:
    tokenizer = train_tokenizer(TEXT, ARCHITECTURE.vocab_size)
    architecture = {**ARCHITECTURE.to_json(), "vocab_size": tokenizer.get_vocab_size(), "tie_word_embeddings": tied}
    config = run_config(tmp_path, data, "pretrain", layers=[], family="new", architecture=architecture)
    config["optimiser"]["steps"] = 3
    stage, loop = stage_after(config, tmp_path / "run")
    assert isinstance(stage, Pretrain)
    loop.directory.write_config(parse(config).model_dump())
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    names = ("--title", "New", "--tokenizer", str(tmp_path / "tokenizer.json"))
    for codec in ("f16", "q8_0"):
        assert export(tmp_path / "run", tmp_path / codec, *names, "--codec", codec) == 0
        bundle = Bundle.open(tmp_path / codec)
        assert verify_bundle(bundle, Progress(None)) == []
        assert bundle.manifest.special_tokens.eos == (0,)
        with torch.no_grad():
            for name, value in stage.model.named_parameters():
                stored = value.detach().numpy()
                if value.dim() == 2:
                    stored = decode(encode(final_state(tmp_path / "run")[name].numpy(), codec))
                value.copy_(torch.from_numpy(stored))
            assert torch.equal(load_teacher(bundle)(IDS)[0], stage.model(IDS)[0])
            stage.load_state_dict(final_state(tmp_path / "run"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda run: run.joinpath("config.json").unlink(), "config-invalid"),
        (lambda run: [path.unlink() for path in run.glob("checkpoints/*")], "checkpoint-missing"),
        (lambda run: None, "usage"),
    ],
)
def test_what_cannot_be_exported_is_said(
    trained: tuple[Path, Llama], tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, code: str
) -> None:
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    for name in ("config.json", "checkpoints/step-0000014.pt"):
        (run / name).write_bytes((trained[0] / name).read_bytes())
    change(run)
    assert export(run, tmp_path / "out") == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["code"] == code


@pytest.mark.parametrize("train", ["mixers", "mixers+mlp", "all"])
def test_a_run_goes_to_other_forms_with_all_that_it_trained(
    models: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], train: str
) -> None:
    config = run_config(models, data, train=train)
    stage, loop = stage_after(config, tmp_path / "run")
    loop.directory.write_config(parse(config).model_dump())
    assert isinstance(stage, Distill)
    stage.model.use(stage.pattern({0, 2}))
    with torch.no_grad():
        expected = logits(stage.model)
        assert export(tmp_path / "run", tmp_path / "hf", "--format", "hf") == 0
        model = AutoModelForCausalLM.from_pretrained(tmp_path / "hf", trust_remote_code=True, dtype="auto")
        assert (model(IDS).logits - expected).abs().max() < 5e-5
    assert export(tmp_path / "run", tmp_path / "onnx", "--format", "onnx") == 0
    assert (tmp_path / "onnx" / "onnx" / "model.onnx").is_file()
    capsys.readouterr()
    fallback = ("--fallback", str(models / "tiny"), "--set", "mine", "--codec", "f32")
    done = export(tmp_path / "run", tmp_path / "tiny", *fallback)
    if train == "all":
        # The base is shared by all variants: what changes it is no mixer set.
        assert done == 1
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["code"] == "export-unsupported"
        assert not (tmp_path / "tiny").exists()
    else:
        assert done == 0
        bundle = Bundle.open([tmp_path / "tiny", models / "tiny"])
        assert torch.equal(logits(load_variant(bundle, "mine")), expected)


def naive_measures(student: Llama, teacher: Llama, windows: list[list[int]]) -> dict[str, float]:
    """One window after another, in float64."""
    kl, ce, teacher_ce, agree = [], [], [], []
    for window in windows:
        ids = torch.tensor([window])
        s, t = (model(ids[:, :-1])[0][0].double().log_softmax(dim=-1) for model in (student, teacher))
        kl += (t.exp() * (t - s)).sum(dim=-1).tolist()
        places = torch.arange(len(window) - 1)
        ce += (-s[places, ids[0, 1:]]).tolist()
        teacher_ce += (-t[places, ids[0, 1:]]).tolist()
        agree += (s.argmax(dim=-1) == t.argmax(dim=-1)).double().tolist()
    return {
        "kl": np.mean(kl),
        "agreement": np.mean(agree),
        "perplexity": np.exp(np.mean(ce)),
        "teacher_perplexity": np.exp(np.mean(teacher_ce)),
        "perplexity_ratio": np.exp(np.mean(ce) - np.mean(teacher_ce)),
        "tokens": len(kl),
    }


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with the variant `v`, whose set overrides a norm too: the teacher must keep its own."""
    folder = tmp_path_factory.mktemp("hybrid") / "tiny"
    writer = write_bundle(folder, Storage(matrix="f32", embedding="f32"))
    norm = {"model.layers.1.input_layernorm.weight": np.full(64, 1.5, np.float32)}
    writer.add_mixer_set("s", MIXER, [1], mixer_tensors([1]) | norm, Storage(matrix="f32"))
    writer.add_variant("v", "V", ["attention", "mamba2:s", "attention"])
    return folder


def evaluate(out: Path, *arguments: str) -> list[dict[str, Any]]:
    assert main(["evaluate", *arguments, "--seq-len", "10", "--batch", "4", "--out", str(out)]) == 0
    records: list[dict[str, Any]] = json.loads(out.read_text())
    return records


def test_evaluate_measures_what_the_logits_say(hybrid: Path, data: Path, tmp_path: Path) -> None:
    bundle = Bundle.open(hybrid)
    text = tmp_path / "text.txt"
    text.write_text(TEXT[0] * 3, encoding="utf-8")
    rows = data / "evaluation"
    records = evaluate(
        tmp_path / "o.json", "--bundle", str(hybrid), "--variants", "v", "--text", str(text), "--rows", str(rows)
    )
    ids = load_tokenizer(bundle).encode(TEXT[0] * 3).ids
    windows = {
        "text.txt": [ids[start : start + 11] for start in range(0, len(ids) - 10, 10)],
        "evaluation": [window.tolist() for batch in TokenRows(rows, 10, 0).batch(0, 21)[None] for window in batch],
    }
    student, teacher = load_variant(bundle, "v"), load_teacher(bundle).requires_grad_(False)
    assert [record["data"] for record in records] == list(windows)
    for record in records:
        expected = naive_measures(student, teacher, windows[record["data"]])
        assert {key: record[key] for key in expected} == pytest.approx(expected, rel=1e-4)
        assert (record["family"], record["variant"]) == ("tiny", "v")


def test_evaluate_a_run_by_codec(models: Path, trained: tuple[Path, Llama], data: Path, tmp_path: Path) -> None:
    run, student = trained
    source = ("--bundle", str(models / "tiny"), "--rows", str(data / "evaluation"), "--limit", "6")
    records = evaluate(tmp_path / "o.json", *source, "--runs", str(run), "--codecs", "f32", "q4_0")
    windows = TokenRows(data / "evaluation", 10, 0).batch(0, 6).tolist()
    teacher = load_teacher(Bundle.open(models / "tiny")).requires_grad_(False)
    for record, codec in zip(records, (None, "q4_0"), strict=True):
        for index in (0, 2):
            student.mamba(index).codec = codec
        expected = naive_measures(student, teacher, windows)
        assert {key: record[key] for key in expected} == pytest.approx(expected, rel=1e-4)
    assert [record["codec"] for record in records] == ["f32", "q4_0"]


def test_the_teacher_agrees_with_itself_and_too_little_text_is_said(
    hybrid: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ("--bundle", str(hybrid), "--variants", "teacher", "--rows", str(data / "evaluation"))
    (record,) = evaluate(tmp_path / "o.json", *source)
    assert record["kl"] == pytest.approx(0, abs=1e-6)
    assert record["agreement"] == record["perplexity_ratio"] == 1
    (tmp_path / "short.txt").write_text("Hi")
    assert main(["evaluate", "--bundle", str(hybrid), "--variants", "v", "--text", str(tmp_path / "short.txt")]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["code"] == "data-unusable"
    assert main(["evaluate", *source[:2], "--runs", str(tmp_path / "none"), *source[4:]]) == 1
    assert not (tmp_path / "none").exists()


def test_layers_that_a_run_left_as_they_were_stay_in_their_set(
    models: Path, data: Path, trained: tuple[Path, Llama], tmp_path: Path
) -> None:
    run, _ = trained
    out = tmp_path / "tiny"
    assert export(run, out, "--fallback", str(models / "tiny"), "--set", "mine", "--codec", "q4_0") == 0
    config = run_config(models, data, layers_trained=[2], mixer={"codec": "q4_0", "start_from": str(run)})
    stage, loop = stage_after(config, tmp_path / "tuned")
    loop.directory.write_config(parse(config).model_dump())
    tuned = ["--set", "tuned", "--codec", "q4_0", "--others", "mine"]
    assert export(tmp_path / "tuned", out, *tuned) == 0
    bundle = Bundle.open([out, models / "tiny"])
    assert bundle.variant("tuned").layers == ("mamba2:mine", "attention", "mamba2:tuned")
    assert bundle.manifest.mixer_sets["tuned"].layers == (2,)
    assert isinstance(stage, Distill)
    stage.model.use(stage.pattern({0, 2}))
    assert torch.equal(logits(load_variant(bundle, "tuned")), logits(stage.model.requires_grad_(False)))


def test_a_set_without_the_other_layers_is_refused(
    models: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = run_config(models, data, layers_trained=[2], mixer={"codec": "q4_0"})
    _, loop = stage_after(config, tmp_path / "tuned")
    loop.directory.write_config(parse(config).model_dump())
    fallback = ["--fallback", str(models / "tiny")]
    assert export(tmp_path / "tuned", tmp_path / "tiny", *fallback, "--set", "t", "--others", "missing") == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert "does not hold the layers [0]" in json.loads(last)["error"]["message"]


def test_a_pattern_becomes_a_variant(models: Path, trained: tuple[Path, Llama], tmp_path: Path) -> None:
    run, _ = trained
    out = tmp_path / "tiny"
    assert export(run, out, "--fallback", str(models / "tiny"), "--set", "mine", "--codec", "q4_0") == 0
    named = ["variant", "--bundle", str(out), str(models / "tiny"), "--name", "last"]
    assert main([*named, "--pattern", "a2.m~mine"]) == 0
    variant = Bundle.open([out, models / "tiny"]).variant("last")
    assert (variant.title, variant.layers) == ("67% attention", ("attention", "attention", "mamba2:mine"))
    assert main([*named, "--pattern", "a.m~mine.a"]) == 1  # the set has no layer 1
    assert main([*named, "--pattern", "a2"]) == 1


def test_a_set_with_other_layers_takes_the_place_of_an_older_one(models: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny"
    for layers in ([0, 2], [1]):
        config = run_config(models, data, layers=layers)
        run = tmp_path / f"run{layers[0]}"
        _, loop = stage_after(config, run)
        loop.directory.write_config(parse(config).model_dump())
        assert export(run, out, "--fallback", str(models / "tiny"), "--set", "mine", "--codec", "q4_0") == 0
    bundle = Bundle.open([out, models / "tiny"])
    assert bundle.variant("mine").layers == ("attention", "mamba2:mine", "attention")
    assert verify_bundle(bundle, Progress(None)) == []
