"""A tiny chat-tuned family: random weights, a trained tokenizer and SmolLM2's chat template."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from samples import ARCHITECTURE, random_tensors, trained_tokenizer

from mambascope_trainer.bundle import BundleWriter, Description, SpecialTokens, Storage

SYSTEM = "You are tiny."
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\n" + SYSTEM + "<|im_end|>\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def write_chat_bundle(folder: Path, template: str | None = TEMPLATE) -> Path:
    """The family `tiny-chat`, whose turns are short: their end has a large embedding, and so large logits."""
    config = {"eos_token": "<|im_end|>", "bos_token": "<|im_start|>", "chat_template": template}
    tensors = random_tensors(ARCHITECTURE.tensor_shapes(), np.random.default_rng(0))
    tensors["model.embed_tokens.weight"][2] *= 4
    BundleWriter.create(
        folder,
        Description("tiny-chat", "Tiny", "Random weights.", "Apache-2.0", "made by a test"),
        ARCHITECTURE,
        SpecialTokens(bos=None, eos=(2, 0), pad=0),
        (trained_tokenizer().to_str().encode(), json.dumps(config).encode()),
        tensors,
        Storage(matrix="f32", embedding="f32"),
    )
    return folder
