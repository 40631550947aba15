"""The PyTorch models against the float64 reference and transformers, on random weights."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from samples import ARCHITECTURE, MIXER, mixer_tensors, write_bundle

from mambascope_trainer.bundle import Bundle, Storage
from mambascope_trainer.cli import main
from mambascope_trainer.model.load import load_variant
from mambascope_trainer.parity import PLAIN_PROMPTS, check_variant, compare, greedy, prefill_logits
from mambascope_trainer.reference import Reference

IDS = [[3, 200, 17, 17, 99, 301, 4, 8, 250, 31, 7], [5]]

MIXERS: dict[str, dict[str, Any]] = {
    "paper": MIXER,
    "one norm group": {**MIXER, "norm_groups": 1},
    "discrete, bare": {
        **MIXER, "form": "discrete", "conv_kernel": 0, "conv_activation": "identity", "gate": False, "norm": "none",
    },
    "other sizes": {**MIXER, "num_heads": 6, "num_kv_heads": 3, "head_dim": 8, "state_size": 24, "norm_groups": 6},
    "no convolution": {**MIXER, "conv_kernel": 0},
}  # fmt: skip


@pytest.mark.parametrize("name", list(MIXERS))
def test_hybrids_agree_with_the_reference(tmp_path: Path, name: str) -> None:
    writer = write_bundle(tmp_path, Storage(matrix="q4_1"))
    writer.add_mixer_set("s", MIXERS[name], [0, 2], mixer_tensors([0, 2], MIXERS[name]), Storage(matrix="q4_0"))
    writer.add_variant("hybrid", "Hybrid", ["mamba2:s", "attention", "mamba2:s"])
    bundle = Bundle.open(tmp_path)
    differences = check_variant(bundle, "hybrid", load_variant(bundle, "hybrid"), IDS)
    assert {item.against for item in differences} == {"float64 reference", "token by token"}
    for item in differences:
        assert item.max_abs_diff < 2e-4
        assert item.max_kl < 1e-8


def test_the_teacher_agrees_with_transformers(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    bundle = Bundle.open(tmp_path)
    differences = {
        item.against: item for item in check_variant(bundle, "teacher", load_variant(bundle, "teacher"), IDS)
    }
    assert set(differences) == {"float64 reference", "token by token", "transformers"}
    assert max(item.max_abs_diff for item in differences.values()) < 1e-4


def test_the_comparison_sees_a_wrong_layer(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    bundle = Bundle.open(tmp_path)
    model = load_variant(bundle, "teacher")
    model.layers[1].self_attn.k_proj.weight[:8].mul_(-1)  # the half of one key head: a wrong rotation looks alike
    item = compare("t", "r", prefill_logits(model, IDS[0]), Reference(bundle, ["attention"] * 3).logits(IDS[0]))
    assert item.max_abs_diff > 1e-2
    assert item.max_kl > 1e-6


def test_comparison_of_known_logits() -> None:
    item = compare("v", "w", np.log([[0.5, 0.5], [0.9, 0.1]]), np.log([[0.25, 0.75], [0.9, 0.1]]))
    assert item.max_kl == pytest.approx(0.25 * np.log(0.5) + 0.75 * np.log(1.5))
    assert item.max_abs_diff == pytest.approx(np.log(2))
    assert item.top1_agreement == 0.5


def test_fixtures_hold_what_the_model_says(tmp_path: Path) -> None:
    writer = write_bundle(tmp_path / "tiny")
    writer.add_mixer_set("s", MIXER, [1], mixer_tensors([1]))
    writer.add_variant("hybrid", "Hybrid", ["attention", "mamba2:s", "attention"])
    out = tmp_path / "fixtures.json"
    assert main(["parity", str(tmp_path / "tiny"), "--fixtures", str(out), "--continuation", "6"]) == 0
    document = json.loads(out.read_text(encoding="utf-8"))
    assert list(document["variants"]) == ["teacher", "hybrid"]
    bundle = Bundle.open(tmp_path / "tiny")
    model = load_variant(bundle, "hybrid")
    case = document["variants"]["hybrid"]["cases"][1]
    assert case["text"] == PLAIN_PROMPTS[1]
    logits = Reference(bundle, bundle.variant("hybrid").layers).logits(case["ids"])
    last = np.frombuffer(base64.b64decode(case["last_logits"]), "<f4")
    assert last.shape == (ARCHITECTURE.vocab_size,)
    np.testing.assert_allclose(last, logits[-1], atol=2e-4)
    np.testing.assert_allclose(case["logsumexp"], np.log(np.exp(logits).sum(axis=-1)), atol=2e-4)
    top = np.take_along_axis(logits, np.asarray(case["top_ids"]), axis=-1)
    np.testing.assert_allclose(case["top_logits"], top, atol=2e-4)
    assert (np.asarray(case["top_logits"])[:, -1] >= np.sort(logits)[:, -33] - 2e-4).all()

    tokens, _ = greedy(model, case["ids"], 6)
    assert case["continuation"] == tokens
    text = list(case["ids"])
    for token, lead in zip(tokens, case["continuation_leads"], strict=True):
        ordered = np.sort(prefill_logits(model, text)[-1])
        assert prefill_logits(model, text)[-1][token] == pytest.approx(ordered[-1], abs=2e-4)
        assert lead == pytest.approx(ordered[-1] - ordered[-2], abs=1e-3)
        text.append(token)


def test_too_large_a_difference_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_bundle(tmp_path)
    prompts = tmp_path / "prompts.json"
    prompts.write_text('["one two"]')
    assert main(["parity", str(tmp_path), "--prompts", str(prompts), "--tolerance", "0"]) == 1
    error = json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
    assert error["code"] == "parity"


@pytest.mark.smollm2
def test_smollm2_agrees_with_transformers(smollm2_bundle: Bundle) -> None:
    ids = [1, 4093, 198, 1780, 314, 260, 3575, 282, 4649, 47, 2, 198, 1, 520, 9531, 198]
    for item in check_variant(smollm2_bundle, "teacher", load_variant(smollm2_bundle, "teacher"), [ids]):
        assert item.max_abs_diff < 1e-3
        assert item.top1_agreement == 1
