"""A tiny family with a chat template and hybrids of both Mamba-2 forms, for the tests of evaluation."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from samples import ARCHITECTURE, MIXER, mixer_tensors, random_tensors, trained_tokenizer
from torch import Tensor

from mambascope_trainer.bundle import Bundle, BundleWriter, Description, SpecialTokens, Storage
from mambascope_trainer.model.llama import Llama
from mambascope_trainer.model.load import load_teacher, load_variant

TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def write_hybrids(folder: Path, template: str | None = TEMPLATE, bos: int | None = None) -> Path:
    """Variants `half` (a Mamba-2 mixer with convolution and norm in its middle layer) and `none` (in all layers)."""
    config = {"eos_token": "<|im_end|>", **({} if template is None else {"chat_template": template})}
    tokenizer = trained_tokenizer().to_str().encode(), json.dumps(config).encode()
    storage = Storage(matrix="f32", embedding="f32")
    writer = BundleWriter.create(
        folder,
        Description("tiny", "Tiny", "Random weights.", "Apache-2.0", "made by a test"),
        replace(ARCHITECTURE, max_position_embeddings=2048),
        SpecialTokens(bos=bos, eos=(2, 0), pad=0),
        tokenizer,
        random_tensors(ARCHITECTURE.tensor_shapes(), np.random.default_rng(0)),
        storage,
    )
    writer.add_mixer_set("s", MIXER, [0, 1, 2], mixer_tensors([0, 1, 2]), Storage(matrix="f32"))
    writer.add_variant("half", "Half", ["attention", "mamba2:s", "attention"])
    writer.add_variant("none", "None", ["mamba2:s"] * 3)
    return folder


def models(folder: Path, variant: str) -> tuple[Llama, Llama]:
    """A variant and its teacher."""
    bundle = Bundle.open(folder)
    return load_variant(bundle, variant), load_teacher(bundle).eval().requires_grad_(False)


def naive_log_probs(model: Llama, ids: list[int]) -> Tensor:
    """Log-probabilities (T, V) of one text alone, in float64."""
    with torch.no_grad():
        return model(torch.tensor([ids]))[0][0].double().log_softmax(dim=-1)
