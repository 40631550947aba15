"""Tiny hybrids of every mixer form, for the tests of exporters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from samples import ARCHITECTURE, MIXER, mixer_tensors, random_tensors, write_bundle

from mambascope_trainer.bundle import Storage
from mambascope_trainer.bundle.manifest import Draft

#: Mixer sets of the bundle that `write_forms` makes; each covers all layers.
FORMS: dict[str, dict[str, Any]] = {
    "paper": MIXER,
    "discrete": {**MIXER, "form": "discrete", "norm": "none", "norm_groups": 1, "conv_activation": "identity"},
    "wide": {**MIXER, "num_heads": 8, "num_kv_heads": 4, "head_dim": 8, "state_size": 24, "norm_groups": 1},
    "bare": {**MIXER, "conv_kernel": 0, "gate": False, "norm": "none", "norm_groups": 1, "num_kv_heads": 4},
}
#: One pattern a form, and all of them with attention in one model.
PATTERNS = [*(f"m~{form}.a.m~{form}" for form in FORMS), "m~paper.m~discrete.m~wide", "m~bare.m~wide.a"]

#: Drafts of the bundle, two layers each, with their mixer.
DRAFTS = {"draft-mamba": "mamba2", "draft-attention": "attention"}


def write_forms(folder: Path) -> Path:
    """A bundle of float32 weights with a set for each of FORMS, its drafts, and the variants teacher and half."""
    storage = Storage(matrix="f32", embedding="f32")
    writer = write_bundle(folder, storage)
    layers = list(range(ARCHITECTURE.num_hidden_layers))
    for seed, (name, config) in enumerate(FORMS.items(), start=2):
        writer.add_mixer_set(name, config, layers, mixer_tensors(layers, config, seed), storage)
    for name, mixer in DRAFTS.items():
        shape = Draft(2, 32)
        own = shape.architecture(ARCHITECTURE).tensor_shapes()
        mamba = mixer == "mamba2"
        skipped = "self_attn" if mamba else "none"
        shapes = {key: size for key, size in own.items() if "embed_tokens" not in key and skipped not in key}
        tensors = random_tensors(shapes, np.random.default_rng(9)) | (mixer_tensors([0, 1]) if mamba else {})
        writer.add_draft(name, name, mixer, MIXER if mamba else {}, shape, tensors, storage)
    writer.add_variant("half", "Half", ("attention", "mamba2:paper", "attention"))
    return folder
