"""A Hugging Face folder, written by transformers itself, gives the same logits as a family here."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from forms import write_forms
from safetensors.torch import load_file, save_file
from samples import trained_tokenizer
from tokenizers.processors import TemplateProcessing
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

from mambascope_trainer.bundle import Bundle
from mambascope_trainer.bundle.verify import verify_bundle
from mambascope_trainer.cli import main
from mambascope_trainer.exporters.hugging_face import write_hugging_face
from mambascope_trainer.exporters.source import from_bundle
from mambascope_trainer.model.load import load_teacher, load_variant
from mambascope_trainer.progress import Progress

SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 320,
    "max_position_embeddings": 128,
    "rms_norm_eps": 1e-6,
    "rope_theta": 5000.0,
    "tie_word_embeddings": True,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "initializer_range": 0.1,
}
IDS = torch.randint(320, (2, 33), generator=torch.Generator().manual_seed(0))


def save_tokenizer(folder: Path, **config: Any) -> None:
    trained_tokenizer().save(str(folder / "tokenizer.json"))
    document = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", **config}
    (folder / "tokenizer_config.json").write_text(json.dumps(document))


def write_llama(folder: Path, dtype: torch.dtype = torch.float32, shard: str = "1GB", **changes: Any) -> Any:
    """A random model, saved by transformers with a tokenizer beside it; in float32, as its saved values are."""
    torch.manual_seed(3)
    mistral = changes.pop("mistral", False)
    config = (MistralConfig if mistral else LlamaConfig)(**{**SHAPE, **changes})
    kind = MistralForCausalLM if mistral else LlamaForCausalLM
    kind(config).to(dtype).save_pretrained(folder, max_shard_size=shard)
    save_tokenizer(folder)
    # Read again: a model that was half once has its rotary angles rounded.
    return kind.from_pretrained(folder, dtype=torch.float32).eval()


def run_import(source: Path | str, out: Path, *arguments: str) -> int:
    return main(["import-hf", "--source", str(source), "--out", str(out), *arguments])


@torch.no_grad()
def distance(model: Any, family: Path) -> float:
    ours = load_teacher(Bundle.open(family))(IDS)[0]
    return float((model(IDS).logits - ours).abs().max())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": False},
        {"num_key_value_heads": 4, "head_dim": 24},
        {"shard": "60KB"},
        {"mistral": True, "sliding_window": None, "tie_word_embeddings": False},
    ],
    ids=["tied", "untied", "head_dim", "sharded", "mistral"],
)
def test_logits_are_those_of_transformers(tmp_path: Path, changes: dict[str, Any]) -> None:
    model = write_llama(tmp_path / "source", **changes)
    assert run_import(tmp_path / "source", tmp_path / "tiny", "--codec", "f32") == 0
    assert distance(model, tmp_path / "tiny") < 1e-5
    bundle = Bundle.open(tmp_path / "tiny")
    assert verify_bundle(bundle, Progress(None)) == []
    assert bundle.manifest.origin == {"kind": "imported", "source": "source"}
    assert list(bundle.manifest.variants) == ["teacher"]


@pytest.mark.parametrize(("dtype", "codec"), [(torch.float16, "f16"), (torch.bfloat16, "f32")])
def test_half_precision_weights_keep_their_values(tmp_path: Path, dtype: torch.dtype, codec: str) -> None:
    model = write_llama(tmp_path / "source", dtype)
    assert run_import(tmp_path / "source", tmp_path / "tiny", "--codec", codec) == 0
    assert distance(model, tmp_path / "tiny") < 1e-5


def test_block_codecs(tmp_path: Path) -> None:
    model = write_llama(tmp_path / "source")
    assert run_import(tmp_path / "source", tmp_path / "tiny", "--codec", "q4_0") == 0
    tensors = Bundle.open(tmp_path / "tiny").manifest.tensors
    assert tensors["model.layers.0.mlp.up_proj.weight"].codec == "q4_0"
    assert tensors["model.embed_tokens.weight"].codec == "q8_0"
    assert tensors["model.norm.weight"].codec == "f32"
    assert distance(model, tmp_path / "tiny") > 1e-3


@pytest.mark.parametrize("form", ["config", "named", "jinja"])
def test_tokenizer_template_and_special_tokens(tmp_path: Path, form: str) -> None:
    source, template = tmp_path / "source", "{{ messages[0]['content'] }}"
    write_llama(source)
    held: Any = {
        "config": template,
        "named": [{"name": "x", "template": "no"}, {"name": "default", "template": template}],
    }
    save_tokenizer(source, **({"chat_template": held[form]} if form in held else {}))
    if form == "jinja":
        (source / "chat_template.jinja").write_text(template)
    tokenizer = trained_tokenizer()
    tokenizer.post_processor = TemplateProcessing("<|im_start|> $A", None, [("<|im_start|>", 1)])
    tokenizer.save(str(source / "tokenizer.json"))
    (source / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 2], "pad_token_id": 0}))
    assert run_import(source, tmp_path / "tiny") == 0
    manifest = Bundle.open(tmp_path / "tiny").manifest
    assert manifest.special_tokens.to_json() == {"bos": 1, "eos": [2, 0], "pad": 0}
    assert json.loads((tmp_path / "tiny" / "tokenizer_config.json").read_text())["chat_template"] == template
    assert (tmp_path / "tiny" / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()


def test_what_is_exported_can_be_imported(tmp_path: Path) -> None:
    model = write_llama(tmp_path / "source")
    run_import(tmp_path / "source", tmp_path / "tiny", "--codec", "f32")
    write_hugging_face(from_bundle([tmp_path / "tiny"], "teacher", None), tmp_path / "again")
    assert run_import(tmp_path / "again", tmp_path / "other", "--family", "tiny", "--codec", "f32") == 0
    assert distance(model, tmp_path / "other") < 1e-5


@pytest.mark.parametrize("pattern", ["m~paper.a.m~paper", "m~discrete.m~wide.m~bare"])
def test_an_exported_hybrid_can_be_imported(tmp_path: Path, pattern: str) -> None:
    source = from_bundle([write_forms(tmp_path / "tiny")], None, pattern)
    write_hugging_face(source, tmp_path / "out", shard_bytes=100_000)
    assert run_import(tmp_path / "out", tmp_path / "again", "--codec", "f32") == 0
    bundle = Bundle.open(tmp_path / "again")
    assert verify_bundle(bundle, Progress(None)) == []
    assert list(bundle.manifest.variants) == ["imported"]
    assert len(bundle.manifest.mixer_sets) == len(set(pattern.split(".")) - {"a"})
    with torch.no_grad():
        assert torch.equal(load_variant(bundle, "imported")(IDS)[0], source.model(IDS)[0])


def test_a_hybrid_with_wrong_mixers_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = from_bundle([write_forms(tmp_path / "tiny")], "half", None)
    for change, code in (({"state_size": 8}, "hf-tensors"), ({"form": "other"}, "hf-config")):
        folder = tmp_path / code
        write_hugging_face(source, folder)
        mixers = json.loads((folder / "config.json").read_text())["mixers"]
        edit_json(folder / "config.json", mixers=[mixers[0], {**mixers[1], **change}, mixers[2]])
        assert run_import(folder, tmp_path / "again") == 1
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["code"] == code
        assert not (tmp_path / "again").exists()


def edit_json(path: Path, **changes: Any) -> None:
    document = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in document.items() if value is not ...}))


def change_tensors(folder: Path, drop: str | None = None, **added: torch.Tensor) -> None:
    tensors = load_file(folder / "model.safetensors") | added
    if drop is not None:
        del tensors[drop]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})


def drop_shard(folder: Path) -> None:
    sorted(folder.glob("model-*.safetensors"))[1].unlink()


def truncate(folder: Path) -> None:
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])


def pickle_only(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


NORM = "model.norm.weight"
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "rope_theta": 500000.0}
BAD: dict[str, tuple[str, Any]] = {
    "no config": ("hf-config", lambda f: (f / "config.json").unlink()),
    "broken config": ("hf-config", lambda f: (f / "config.json").write_text("{")),
    "missing field": ("hf-config", lambda f: edit_json(f / "config.json", hidden_size=...)),
    "wrong field": ("hf-config", lambda f: edit_json(f / "config.json", num_attention_heads="four")),
    "architecture": ("hf-unsupported", lambda f: edit_json(f / "config.json", model_type="qwen2")),
    "attention bias": ("hf-unsupported", lambda f: edit_json(f / "config.json", attention_bias=True)),
    "mlp bias": ("hf-unsupported", lambda f: edit_json(f / "config.json", mlp_bias=True)),
    "activation": ("hf-unsupported", lambda f: edit_json(f / "config.json", hidden_act="gelu")),
    "rope scaling": ("hf-unsupported", lambda f: edit_json(f / "config.json", rope_parameters=LLAMA3)),
    "older rope scaling": (
        "hf-unsupported",
        lambda f: edit_json(f / "config.json", rope_parameters=..., rope_scaling={"type": "linear", "factor": 2.0}),
    ),
    "sliding window": (
        "hf-unsupported",
        lambda f: edit_json(f / "config.json", model_type="mistral", sliding_window=32),
    ),
    "quantised": ("hf-unsupported", lambda f: edit_json(f / "config.json", quantization_config={"bits": 4})),
    "missing tensor": ("hf-tensors", lambda f: change_tensors(f, drop=NORM)),
    "unknown tensor": (
        "hf-tensors",
        lambda f: change_tensors(f, **{"model.layers.0.self_attn.q_proj.bias": torch.ones(64)}),
    ),
    "wrong shape": ("hf-tensors", lambda f: change_tensors(f, **{NORM: torch.ones(63)})),
    "wrong type": ("weights-type", lambda f: change_tensors(f, **{NORM: torch.ones(64, dtype=torch.int8)})),
    "not finite": ("codec-not-finite", lambda f: change_tensors(f, **{NORM: torch.full((64,), torch.nan)})),
    "truncated": ("weights-damaged", truncate),
    "no weights": ("weights-missing", lambda f: (f / "model.safetensors").unlink()),
    "pickle": ("weights-pickle", pickle_only),
    "no tokenizer": ("hf-tokenizer", lambda f: (f / "tokenizer.json").unlink()),
    "broken tokenizer": ("hf-tokenizer", lambda f: (f / "tokenizer.json").write_text("{}")),
    "more tokens": ("hf-tokenizer", lambda f: (f / "tokenizer.json").write_text(_with_token(400))),
}


def _with_token(index: int) -> str:
    document = json.loads(trained_tokenizer().to_str())
    document["added_tokens"].append({**document["added_tokens"][0], "id": index, "content": "<more>"})
    return json.dumps(document)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "llama"
    write_llama(folder)
    return folder


@pytest.mark.parametrize("case", BAD)
def test_bad_folders_are_named_and_leave_nothing(
    llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    code, spoil = BAD[case]
    shutil.copytree(llama, tmp_path / "source")
    spoil(tmp_path / "source")
    assert run_import(tmp_path / "source", tmp_path / "home" / "tiny") == 1
    error = json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["action"]
    assert not (tmp_path / "home").exists() or list((tmp_path / "home").iterdir()) == []


def test_a_missing_shard_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_llama(tmp_path / "source", shard="60KB")
    drop_shard(tmp_path / "source")
    assert run_import(tmp_path / "source", tmp_path / "tiny") == 1
    assert "model-00002-of" in json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["message"]


def test_a_family_that_is_there_is_kept(llama: Path, tmp_path: Path) -> None:
    assert run_import(llama, tmp_path / "tiny") == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "tiny").iterdir()}
    assert run_import(llama, tmp_path / "tiny", "--codec", "f32") == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "tiny").iterdir()} == before


def test_sources_that_are_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    for source, code in (
        (os.devnull, "source-missing"),
        ("a/b/c", "source-missing"),
        ("owner/model", "hub-unreachable"),
    ):
        assert run_import(source, tmp_path / "tiny") == 1
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["code"] == code


def test_numbers_survive_the_codec_that_was_asked_for(llama: Path, tmp_path: Path) -> None:
    assert run_import(llama, tmp_path / "tiny", "--codec", "q8_0", "--embedding-codec", "f32") == 0
    bundle, source = Bundle.open(tmp_path / "tiny"), load_file(llama / "model.safetensors")
    np.testing.assert_array_equal(
        bundle.tensor("model.embed_tokens.weight"), source["model.embed_tokens.weight"].numpy()
    )
    name = "model.layers.1.mlp.down_proj.weight"
    assert 0 < np.abs(bundle.tensor(name) - source[name].numpy()).max() < 0.01
