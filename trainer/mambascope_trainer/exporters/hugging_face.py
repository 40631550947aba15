"""A Hugging Face folder: plain Llama if all layers are attention, else with the model's own code beside its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ..model.llama import Llama
from ..new_folder import new_folder
from .folder import token_ids, write_json, write_tokenizer
from .remote_code import __file__ as _remote_code
from .source import ExportSource

DTYPES = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}
MAX_SHARD_BYTES = 4 * 2**30


def write_hugging_face(source: ExportSource, out: Path, dtype: str = "f32", shard_bytes: int = MAX_SHARD_BYTES) -> None:
    """Writes config, weights, tokenizer, generation config, code where it is needed, and a model card into `out`.

    Raises `out-exists`. The folder loads with `AutoModelForCausalLM.from_pretrained(out, trust_remote_code=True)`.
    """
    hybrid = "mamba2" in source.model.pattern
    with new_folder(out) as folder:
        write_json(folder / "config.json", config(source, dtype))
        write_tokenizer(folder, source)
        _write_weights(folder, state_dict(source.model, DTYPES[dtype]), shard_bytes)
        if hybrid:
            for name in ("configuration_mambascope.py", "modeling_mambascope.py"):
                code = Path(_remote_code).parent / name
                (folder / name).write_bytes(code.read_bytes())
        (folder / "README.md").write_text(_card(source, hybrid), encoding="utf-8")


def config(source: ExportSource, dtype: str) -> dict[str, Any]:
    """The content of config.json."""
    arch = source.model.arch.to_json()
    shared = {**token_ids(source), "dtype": str(DTYPES[dtype]).removeprefix("torch."), "use_cache": True}
    if "mamba2" not in source.model.pattern:
        theta = arch["rope_theta"]
        rope = {"rope_parameters": {"rope_type": "default", "rope_theta": theta}}
        return {"architectures": ["LlamaForCausalLM"], **arch, **rope, **shared}
    for name in ("model_type", "num_hidden_layers"):
        arch.pop(name)
    return {
        "architectures": ["HybridLlamaForCausalLM"],
        "auto_map": {
            "AutoConfig": "configuration_mambascope.HybridLlamaConfig",
            "AutoModelForCausalLM": "modeling_mambascope.HybridLlamaForCausalLM",
        },
        "model_type": "mambascope",
        **arch,
        "rope_base": arch.pop("rope_theta"),
        "mixers": mixers(source.model),
        **shared,
    }


def mixers(model: Llama) -> list[str | dict[str, Any]]:
    """For each layer "attention", or the config of its Mamba-2 mixer."""
    return [
        "attention" if kind == "attention" else model.mamba(index).config.model_dump()
        for index, kind in enumerate(model.pattern)
    ]


def state_dict(model: Llama, dtype: torch.dtype) -> dict[str, Tensor]:
    """The tensors that the active mixers need, by the bundle's names."""
    unused = {
        f"layers.{index}.{'mamba' if kind == 'attention' else 'self_attn'}." for index, kind in enumerate(model.pattern)
    }
    return {
        name if name.startswith("lm_head.") else f"model.{name}": value.to(dtype).contiguous()
        for name, value in model.state_dict().items()
        if not name.startswith(tuple(unused))
    }


def _write_weights(folder: Path, tensors: dict[str, Tensor], shard_bytes: int) -> None:
    shards: list[dict[str, Tensor]] = [{}]
    used = 0
    for name, value in tensors.items():
        if used + value.nbytes > shard_bytes and shards[-1]:
            shards.append({})
            used = 0
        shards[-1][name] = value
        used += value.nbytes
    metadata = {"format": "pt"}
    if len(shards) == 1:
        save_file(shards[0], folder / "model.safetensors", metadata)
        return
    index: dict[str, str] = {}
    for number, shard in enumerate(shards, start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file(shard, folder / file, metadata)
        index |= dict.fromkeys(shard, file)
    total = sum(value.nbytes for value in tensors.values())
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": index})


def _card(source: ExportSource, hybrid: bool) -> str:
    kept = source.model.pattern.count("attention")
    remote = ", trust_remote_code=True" if hybrid else ""
    return f"""---
license: {source.license.lower()}
library_name: transformers
pipeline_tag: text-generation
---

# {source.title}: {source.name}

{kept} of {len(source.model.pattern)} layers are attention, the others Mamba-2. Source of the base: {source.origin}

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("path/to/this/folder"{remote})
tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder"{remote})
```
"""
