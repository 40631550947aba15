"""An exported ONNX file computes, in onnxruntime, what the model here computes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from forms import DRAFTS, PATTERNS, write_forms
from samples import ARCHITECTURE
from transformers import PreTrainedTokenizerFast

from mambascope_trainer.bundle import decode, encode
from mambascope_trainer.bundle.codecs import unpack_nibbles
from mambascope_trainer.cli import main
from mambascope_trainer.exporters.four_bits import quantise
from mambascope_trainer.exporters.onnx_folder import write_onnx
from mambascope_trainer.exporters.source import ExportSource, from_bundle

ort = pytest.importorskip("onnxruntime")

IDS = np.random.default_rng(0).integers(3, ARCHITECTURE.vocab_size, (2, 40))
TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}


class Session:
    """Feeds a graph as transformers.js does: what is missing is an empty cache, made from the graph's own shapes."""

    def __init__(self, file: Path) -> None:
        self.session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
        self.inputs = {item.name: item for item in self.session.get_inputs()}
        self.outputs = [item.name for item in self.session.get_outputs()]

    def empty(self, batch: int) -> dict[str, Any]:
        shapes = {name: [batch if n == "batch_size" else n for n in item.shape] for name, item in self.inputs.items()}
        return {
            name: np.zeros([n if isinstance(n, int) else 0 for n in shape], TYPES[self.inputs[name].type])
            for name, shape in shapes.items()
            if name.startswith("past")
        }

    def run(self, ids: Any, mask: Any, past: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        positions = np.maximum(mask.cumsum(axis=1) - 1, 0)[:, -ids.shape[1] :]
        feeds = {"input_ids": ids, "attention_mask": mask, "position_ids": positions, **past}
        found = dict(zip(self.outputs, self.session.run(None, feeds), strict=True))
        logits = found.pop("logits")
        names = {"present_ssm": "past_ssm", "present_conv": "past_conv", "present": "past_key_values"}
        return logits, {f"{names[key.split('.', 1)[0]]}.{key.split('.', 1)[1]}": item for key, item in found.items()}


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_forms(tmp_path_factory.mktemp("models") / "tiny")


def exported(family: Path, out: Path, pattern: str, precision: str = "f32") -> tuple[ExportSource, Session]:
    source = from_bundle([family], None, pattern)
    write_onnx(source, out, precision)
    (file,) = (out / "onnx").iterdir()
    return source, Session(file)


@torch.no_grad()
def expected(source: ExportSource, ids: Any) -> Any:
    return source.model(torch.from_numpy(ids))[0].numpy()


@pytest.mark.parametrize("pattern", [*PATTERNS, "a3"])
def test_logits_are_ours_at_once_and_step_by_step(family: Path, tmp_path: Path, pattern: str) -> None:
    source, session = exported(family, tmp_path / "out", pattern)
    ours, mask = expected(source, IDS), np.ones_like(IDS)
    logits, _ = session.run(IDS, mask, session.empty(2))
    np.testing.assert_allclose(logits, ours, atol=1e-4)
    steps = [(0, 31), *((t, t + 1) for t in range(31, 37))]
    # GroupQueryAttention continues a text by several tokens for one row only.
    for rows, pieces in ((2, [*steps, (37, 38), (38, 39), (39, 40)]), (1, [*steps, (37, 40)])):
        past, found = session.empty(rows), []
        for begin, end in pieces:
            logits, past = session.run(IDS[:rows, begin:end], mask[:rows, :end], past)
            found.append(logits)
        np.testing.assert_allclose(np.concatenate(found, axis=1), ours[:rows], atol=1e-4)


@pytest.mark.parametrize("draft", DRAFTS)
def test_a_draft_is_a_model_of_its_own(family: Path, tmp_path: Path, draft: str) -> None:
    source = from_bundle([family], draft, None)
    write_onnx(source, tmp_path / "out")
    session = Session(tmp_path / "out" / "onnx" / "model.onnx")
    logits, _ = session.run(IDS, np.ones_like(IDS), session.empty(2))
    np.testing.assert_allclose(logits, expected(source, IDS), atol=1e-4)


def test_names_shapes_and_types(family: Path, tmp_path: Path) -> None:
    _, session = exported(family, tmp_path / "out", "m~paper.a.m~bare", "f16")
    arch = ARCHITECTURE
    cache = ["batch_size", arch.num_key_value_heads, "past_sequence_length", arch.head_dim]
    assert {name: (item.shape, item.type) for name, item in session.inputs.items()} == {
        "input_ids": (["batch_size", "sequence_length"], "tensor(int64)"),
        "attention_mask": (["batch_size", "total_sequence_length"], "tensor(int64)"),
        "position_ids": (["batch_size", "sequence_length"], "tensor(int64)"),
        "past_conv.0": (["batch_size", 128, 3], "tensor(float)"),
        "past_ssm.0": (["batch_size", 4, 16, 16], "tensor(float)"),
        "past_key_values.1.key": (cache, "tensor(float16)"),
        "past_key_values.1.value": (cache, "tensor(float16)"),
        "past_ssm.2": (["batch_size", 4, 16, 16], "tensor(float)"),
    }
    present = ["present_conv.0", "present_ssm.0", "present.1.key", "present.1.value", "present_ssm.2"]
    assert session.outputs == ["logits", *present]


@pytest.mark.parametrize("pattern", [PATTERNS[0], PATTERNS[1], PATTERNS[5], "a3"])
def test_a_left_padded_row_is_the_row_alone(family: Path, tmp_path: Path, pattern: str) -> None:
    source, session = exported(family, tmp_path / "out", pattern)
    ids, mask = IDS[:, :12].copy(), np.ones((2, 12), np.int64)
    ids[0, :7], mask[0, :7] = 0, 0
    first, past = session.run(ids[:, :11], mask[:, :11], session.empty(2))
    second, _ = session.run(ids[:, 11:], mask, past)
    logits = np.concatenate([first, second], axis=1)
    np.testing.assert_allclose(logits[:1, 7:], expected(source, ids[:1, 7:]), atol=1e-4)
    np.testing.assert_allclose(logits[1:], expected(source, ids[1:]), atol=1e-4)


def dequantised(file: Path) -> dict[str, Any]:
    """The matrices that a graph holds in blocks, (N, K) float32, by MatMulNBits' definition."""
    weights = {item.name: onnx.numpy_helper.to_array(item) for item in onnx.load(file).graph.initializer}
    found = {}
    for name in (key.removesuffix(".codes") for key in weights if key.endswith(".codes")):
        codes, scales = weights[f"{name}.codes"], weights[f"{name}.scales"][..., None]
        zero: Any = 128
        if codes.shape[2] == 16:
            codes = np.stack([codes & 15, codes >> 4], axis=-1).reshape(*codes.shape[:2], 32)
            zero = 8
            if f"{name}.zero_points" in weights:
                packed = weights[f"{name}.zero_points"]
                pairs = np.stack([packed & 15, packed >> 4], axis=-1).reshape(len(packed), -1)
                zero = pairs[:, : codes.shape[1], None].astype(np.float32)
        found[name] = (scales * (codes.astype(np.float32) - zero)).reshape(len(codes), -1).astype(np.float32)
    return found


@pytest.mark.parametrize(("precision", "bound"), [("q8", 1 / 127), ("q4", 1 / 6)])
def test_block_formats_compute_with_the_values_that_they_hold(
    family: Path, tmp_path: Path, precision: str, bound: float
) -> None:
    source, session = exported(family, tmp_path / "out", PATTERNS[1], precision)
    (file,) = (tmp_path / "out" / "onnx").iterdir()
    stored = dequantised(file)
    assert len(stored) == 1 + 2 * 3 + 3 * 2  # the embedding, two matrices a mixer, two an MLP
    state = source.model.state_dict()
    for name, values in stored.items():
        parts = {"qkv_proj": "q_proj k_proj v_proj", "gate_up_proj": "gate_proj up_proj"}
        joined = next((key for key in parts if key in name), None)
        keys = [name.replace(joined, part) for part in parts[joined].split()] if joined else [name]
        own = [state[key.removeprefix("model.")] for key in keys]
        whole = np.concatenate([item.numpy() for item in own])
        largest = np.abs(whole).reshape(len(whole), -1, 32).max(axis=2).repeat(32, axis=1)
        assert (np.abs(values - whole) <= largest * bound).all(), name
        for item, part in zip(own, np.split(values, np.cumsum([len(x) for x in own])[:-1]), strict=True):
            item.copy_(torch.from_numpy(part))
    logits, _ = session.run(IDS, np.ones_like(IDS), session.empty(2))
    np.testing.assert_allclose(logits, expected(source, IDS), atol=1e-3)


def test_four_bits_keep_what_was_rounded_before_and_err_less_than_the_codec() -> None:
    weight = np.random.default_rng(2).normal(size=(24, 96)).astype(np.float32)
    plain = decode(encode(weight, "q4_0"))
    rounded = quantise(plain)
    assert rounded.zeros is None
    np.testing.assert_array_equal(unpack_nibbles(rounded.codes), unpack_nibbles(encode(plain, "q4_0").parts["q"]))
    skewed = weight + np.repeat(np.random.default_rng(3).normal(size=(24, 3)), 32, axis=1).astype(np.float32)
    found = quantise(skewed)
    assert found.zeros is not None
    zeros = np.stack([found.zeros & 15, found.zeros >> 4], axis=-1).reshape(24, 4)[:, :3, None].astype(np.float32)
    values = (found.scales[..., None] * (unpack_nibbles(found.codes).astype(np.float32) - zeros)).reshape(24, 96)
    error, codec = ((values - skewed) ** 2).mean(), ((decode(encode(skewed, "q4_0")) - skewed) ** 2).mean()
    assert error < 0.6 * codec
    empty = quantise(np.zeros((2, 32), np.float32))
    assert not empty.scales.any()


def test_half_precision_is_near(family: Path, tmp_path: Path) -> None:
    source, session = exported(family, tmp_path / "out", PATTERNS[1], "f16")
    ids = IDS[:1]
    logits, past = session.run(ids[:, :30], np.ones_like(ids[:, :30]), session.empty(1))
    more, _ = session.run(ids[:, 30:], np.ones_like(ids), past)
    distance = np.abs(np.concatenate([logits, more], axis=1) - expected(source, ids))
    assert 0 < distance.mean() < 5e-3
    assert distance.max() < 0.1


def test_a_file_that_is_too_large_is_split(family: Path, tmp_path: Path) -> None:
    source = from_bundle([family], "half", None)
    write_onnx(source, tmp_path / "out", max_file_bytes=100_000)
    assert sorted(path.name for path in (tmp_path / "out" / "onnx").iterdir()) == ["model.onnx", "model.onnx_data"]
    settings = json.loads((tmp_path / "out" / "config.json").read_text())["transformers.js_config"]
    assert settings["use_external_data_format"] is True
    session = Session(tmp_path / "out" / "onnx" / "model.onnx")
    logits, _ = session.run(IDS, np.ones_like(IDS), session.empty(2))
    np.testing.assert_allclose(logits, expected(source, IDS), atol=1e-4)


def test_the_command_writes_the_layout_of_transformers_js(family: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["--format", "onnx", "--dtype", "q4", "--bundle", str(family), "--variant", "half", "--out", str(out)]
    assert main(["export", *arguments]) == 0
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert files == [
        "config.json",
        "generation_config.json",
        "onnx/model_q4.onnx",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    config = json.loads((out / "config.json").read_text())
    assert config["layer_types"] == ["attention", "mamba", "attention"]
    assert config["eos_token_id"] == [2, 0]
    assert PreTrainedTokenizerFast.from_pretrained(out)("Once upon")["input_ids"]
    model = onnx.load(out / "onnx" / "model_q4.onnx")
    assert {item.key: item.value for item in model.metadata_props}["mambascope.layers"] == "attention mamba2 attention"
