"""Tensors of a Mamba-2 mixer: names and shapes that follow from its config."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .fields import Reader, invalid


def check_mamba2_config(config: Mapping[str, Any], where: str) -> None:
    """Raises `manifest-invalid` if a field is missing, unknown or out of its range."""
    reader = Reader(dict(config), where)
    reader.text("form", re.compile("ssd|discrete"))
    heads, groups = reader.integer("num_heads", 1), reader.integer("num_kv_heads", 1)
    reader.integer("head_dim", 1)
    reader.integer("state_size", 1)
    kernel = reader.integer("conv_kernel", 0)
    reader.text("conv_activation", re.compile("silu|identity"))
    reader.boolean("gate")
    reader.text("norm", re.compile("none|rms"))
    norm_groups = reader.integer("norm_groups", 1)
    reader.positive("norm_eps")
    reader.done()
    if kernel not in (0, 4) or heads % groups or norm_groups not in (1, heads):
        raise invalid(where, "conv_kernel is 0 or 4, num_kv_heads divides num_heads, norm_groups is 1 or num_heads")


def mamba2_tensor_shapes(config: Mapping[str, Any], hidden_size: int, layer: int) -> dict[str, tuple[int, ...]]:
    """Every tensor of layer `layer`'s mixer under its full name. The config must have been checked."""
    heads, groups = config["num_heads"], config["num_kv_heads"]
    inner = heads * config["head_dim"]
    conv = groups * (config["head_dim"] + config["state_size"]) + heads * config["state_size"]
    prefix = f"model.layers.{layer}.mamba."
    shapes: dict[str, tuple[int, ...]] = {
        "in_proj.weight": ((inner if config["gate"] else 0) + conv + heads, hidden_size),
        "dt_bias": (heads,),
        "D": (heads,),
        "out_proj.weight": (hidden_size, inner),
    }
    if config["conv_kernel"]:
        shapes["conv1d.weight"] = (conv, config["conv_kernel"])
        shapes["conv1d.bias"] = (conv,)
    if config["form"] == "ssd":
        shapes["A_log"] = (heads,)
    if config["norm"] == "rms":
        shapes["norm.weight"] = (inner,)
    return {prefix + name: shape for name, shape in shapes.items()}
