"""An ONNX folder as transformers.js expects it: config, tokenizer, and one model file under `onnx/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..new_folder import new_folder
from .folder import token_ids, write_json, write_tokenizer
from .hugging_face import mixers
from .onnx_graph import MAX_FILE_BYTES, save_model
from .onnx_model import build_model
from .source import ExportSource

#: File names by number format, and transformers.js's `dtype` for each.
FILES = {"f32": "model", "f16": "model_fp16", "q8": "model_quantized", "q4": "model_q4"}
DTYPES = {"f32": "fp32", "f16": "fp16", "q8": "q8", "q4": "q4"}


def write_onnx(source: ExportSource, out: Path, precision: str = "f32", max_file_bytes: int = MAX_FILE_BYTES) -> None:
    """Writes `onnx/model*.onnx`, config and tokenizer into `out`. Raises `out-exists`."""
    with new_folder(out) as folder:
        write_tokenizer(folder, source)
        (folder / "onnx").mkdir()
        name = FILES[precision]
        metadata = {"mambascope.name": source.name, "mambascope.layers": " ".join(source.model.pattern)}
        model = build_model(source.model, precision)
        external = save_model(model, folder / "onnx" / f"{name}.onnx", metadata, max_file_bytes)
        write_json(folder / "config.json", config(source, precision, external))


def config(source: ExportSource, precision: str, external: bool) -> dict[str, Any]:
    """The content of config.json.

    transformers.js finds a model's cache by its `model_type`: `granitemoehybrid` is the one whose layers have
    `past_conv` and `past_ssm` or `past_key_values`, named by `layer_types`. The weights' own form is in `mixers`.
    """
    arch = source.model.arch.to_json()
    javascript: dict[str, Any] = {"dtype": DTYPES[precision]}
    if external:
        javascript["use_external_data_format"] = True
    shared = {**token_ids(source), "use_cache": True, "transformers.js_config": javascript}
    if all(kind == "attention" for kind in source.model.pattern):
        return {"architectures": ["LlamaForCausalLM"], **arch, **shared}
    kinds = ["attention" if kind == "attention" else "mamba" for kind in source.model.pattern]
    # Left out, any layer may have either cache: what a model without attention needs for the cache of its length.
    layer_types = {"layer_types": kinds} if "attention" in kinds else {}
    return {
        "architectures": ["GraniteMoeHybridForCausalLM"],
        **arch,
        "model_type": "granitemoehybrid",
        **layer_types,
        "mixers": mixers(source.model),
        **shared,
    }
