"""An exported Hugging Face folder computes, in transformers, what the model here computes."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from forms import DRAFTS, PATTERNS, write_forms
from samples import ARCHITECTURE
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from mambascope_trainer.bundle import Bundle
from mambascope_trainer.cli import main
from mambascope_trainer.exporters.hugging_face import write_hugging_face
from mambascope_trainer.exporters.source import ExportSource, from_bundle
from mambascope_trainer.parity import greedy

IDS = torch.randint(3, ARCHITECTURE.vocab_size, (2, 70), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_forms(tmp_path_factory.mktemp("models") / "tiny")


def exported(family: Path, out: Path, pattern: str) -> tuple[ExportSource, Any]:
    source = from_bundle([family], None, pattern)
    write_hugging_face(source, out)
    return source, load(out)


def load(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, dtype="auto").eval()


def largest(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


@pytest.mark.parametrize("pattern", [*PATTERNS, "a3"])
@torch.no_grad()
def test_logits_are_ours_whole_and_in_pieces(family: Path, tmp_path: Path, pattern: str) -> None:
    source, model = exported(family, tmp_path / "out", pattern)
    # float64 shows that the arithmetic is the same; in float32 the norms of random tiny groups magnify each rounding.
    assert largest(model(IDS).logits, source.model(IDS)[0]) < 5e-5
    model.double()
    # transformers' own Llama has its rotary angles in float32, ours are rounded from float64.
    tolerance = 1e-5 if pattern == "a3" else 1e-10
    ours = source.model.double()(IDS)[0]
    assert largest(model(IDS).logits, ours) < tolerance
    # Through the cache: a prompt longer than a chunk of the scan, then single tokens, then several at once.
    cache, found = None, []
    for begin, end in ((0, 66), (66, 67), (67, 68), (68, 70)):
        step = model(IDS[:, begin:end], past_key_values=cache, use_cache=True)
        cache = step.past_key_values
        found.append(step.logits)
    assert largest(torch.cat(found, dim=1), ours) < tolerance
    assert cache.get_seq_length() == 70


@pytest.mark.parametrize("draft", DRAFTS)
@torch.no_grad()
def test_a_draft_is_a_model_of_its_own(family: Path, tmp_path: Path, draft: str) -> None:
    source = from_bundle([family], draft, None)
    write_hugging_face(source, tmp_path / "out")
    model = load(tmp_path / "out")
    assert model.config.num_hidden_layers == 2
    assert model.config.intermediate_size == 32
    assert largest(model(IDS).logits, source.model(IDS)[0]) < 5e-5


@pytest.mark.parametrize("pattern", [PATTERNS[0], PATTERNS[1], PATTERNS[4]])
@torch.no_grad()
def test_greedy_generation_is_ours_with_and_without_a_cache(family: Path, tmp_path: Path, pattern: str) -> None:
    source, model = exported(family, tmp_path / "out", pattern)
    prompt = IDS[:1, :9].tolist()[0]
    expected, leads = greedy(source.model, prompt, 24)
    assert min(leads) > 1e-4
    for use_cache in (True, False):
        out = model.generate(
            torch.tensor([prompt]), max_new_tokens=24, do_sample=False, use_cache=use_cache, eos_token_id=None
        )
        assert out[0, 9:].tolist() == expected


@pytest.mark.parametrize("pattern", [PATTERNS[0], PATTERNS[1], PATTERNS[2], PATTERNS[5]])
@torch.no_grad()
def test_a_left_padded_row_is_the_row_alone(family: Path, tmp_path: Path, pattern: str) -> None:
    source, model = exported(family, tmp_path / "out", pattern)
    padded, mask = IDS[:, :12].clone(), torch.ones(2, 12, dtype=torch.long)
    padded[0, :7], mask[0, :7] = 0, 0
    alone = source.model(padded[:1, 7:])[0]
    whole = model(padded, attention_mask=mask)
    assert largest(whole.logits[:1, 7:], alone) < 1e-5
    settings = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None}
    together = model.generate(padded, attention_mask=mask, **settings)
    assert together[0, 7:].tolist() == model.generate(padded[:1, 7:], **settings)[0].tolist()
    assert together[1].tolist() == model.generate(padded[1:], **settings)[0].tolist()


def test_beam_search_reorders_the_states(family: Path, tmp_path: Path) -> None:
    _, model = exported(family, tmp_path / "out", PATTERNS[0])
    settings = {"max_new_tokens": 8, "num_beams": 3, "do_sample": False, "eos_token_id": None}
    cached, plain = (model.generate(IDS[:1, :5], use_cache=use_cache, **settings) for use_cache in (True, False))
    assert cached.tolist() == plain.tolist()


def test_a_loss_is_that_of_the_next_tokens(family: Path, tmp_path: Path) -> None:
    source, model = exported(family, tmp_path / "out", PATTERNS[0])
    expected = torch.nn.functional.cross_entropy(source.model(IDS)[0][:, :-1].flatten(0, 1), IDS[:, 1:].flatten())
    found = model.train()(IDS, labels=IDS)
    assert found.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    found.loss.backward()
    assert model.model.layers[0].mamba.A_log.grad.abs().sum() > 0


def test_the_folder_is_complete_and_saves_again(family: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main(["export", "--format", "hf", "--bundle", str(family), "--variant", "half", "--out", str(out)]) == 0
    model, tokenizer = load(out), AutoTokenizer.from_pretrained(out)
    text = "Once upon a time, 12 birds"
    own = Bundle.open(family)
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.eos_token_id == own.manifest.special_tokens.eos[0]
    assert model.generation_config.eos_token_id == list(own.manifest.special_tokens.eos)
    assert [isinstance(mixer, dict) for mixer in model.config.mixers] == [False, True, False]
    model.save_pretrained(tmp_path / "again")
    again = load(tmp_path / "again")
    assert torch.equal(again(IDS).logits, model(IDS).logits)


def test_half_precision_and_shards(family: Path, tmp_path: Path) -> None:
    source = from_bundle([family], "half", None)
    write_hugging_face(source, tmp_path / "sharded", "bf16", shard_bytes=50_000)
    index = json.loads((tmp_path / "sharded" / "model.safetensors.index.json").read_text())
    assert len(set(index["weight_map"].values())) > 2
    model = load(tmp_path / "sharded")
    assert model.dtype == torch.bfloat16
    with torch.no_grad():
        distance = (model(IDS).logits.float() - source.model(IDS)[0]).abs().mean()
    assert 0 < distance < 0.05


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--variant", "none"], "variant-missing"),
        (["--pattern", "a2"], "pattern-invalid"),
        (["--pattern", "a.x.a"], "pattern-invalid"),
        (["--pattern", "a.m~none.a"], "mixer-set-missing"),
        (["--variant", "half", "--pattern", "a3"], "usage"),
        (["--dtype", "q4"], "usage"),
        (["--run", "somewhere"], "usage"),
    ],
)
def test_what_cannot_be_exported_is_said_and_leaves_nothing(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: str
) -> None:
    out = tmp_path / "out"
    assert main(["export", "--format", "hf", "--bundle", str(family), "--out", str(out), *arguments]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["code"] == code
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_kept(family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["export", "--format", "hf", "--bundle", str(family), "--out", str(tmp_path)]) == 1
    assert "out-exists" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
