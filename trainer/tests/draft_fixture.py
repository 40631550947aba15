"""Writes what `lib/inference/draft-parity.test.ts` reads: a tiny family with trained drafts, and PyTorch's logits, of
a draft on features for features that are recorded with them.

From the project's root, with PYTHONPATH=trainer: python trainer/tests/draft_fixture.py
"""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from runs import parse, run_config, write_data
from samples import ARCHITECTURE, write_bundle
from torch import Tensor

from mambascope_trainer.bundle import Bundle
from mambascope_trainer.cli import main
from mambascope_trainer.model.draft import features_before
from mambascope_trainer.model.load import load_variant
from mambascope_trainer.run.train import train

FOLDER = Path(__file__).parents[2] / "lib" / "inference" / "fixtures" / "drafts"
TOKENS = [(index * 37 + 11) % ARCHITECTURE.vocab_size for index in range(20)]
DRAFTS: dict[str, dict[str, Any]] = {
    "draft2": {"mixer": "mamba2", "intermediate_size": 64},
    "draft2-attention": {"mixer": "attention", "from_layers": [1, 2]},
    "eagle1": {"mixer": "mamba2", "layers": 1, "intermediate_size": 64, "from_layers": [2], "features": True},
    "eagle1-attention": {"mixer": "attention", "layers": 1, "features": True},
}


def write() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        models, data = Path(scratch) / "models", write_data(Path(scratch) / "data")
        write_bundle(models / "tiny")
        for name, draft in DRAFTS.items():
            options = {"norm_groups": 4} if draft["mixer"] == "mamba2" else {}
            config = run_config(models, data, "draft", draft=draft, mixer={"options": options, "codec": "q4_0"})
            run = Path(scratch) / name
            train(parse({**config, "layers": []}), run, resume=False)
            main(["export", "--run", str(run), "--out", str(models / "tiny"), "--set", name, "--codec", "q4_0"])
        shutil.copytree(models / "tiny", FOLDER)
    bundle = Bundle.open(FOLDER)
    ids = torch.tensor([TOKENS])
    alone: dict[str, str] = {}
    beside: dict[str, dict[str, str]] = {}
    with torch.no_grad():
        features = features_before(load_variant(bundle, "teacher").hidden(ids))
        for name in DRAFTS:
            model = load_variant(bundle, name)
            if model.features_proj is None:
                alone[name] = encoded(model(ids)[0])
            else:
                hidden, logits = model.hidden(ids, features=features), model(ids, features=features)[0]
                beside[name] = {"hidden_states": encoded(hidden), "logits": encoded(logits)}
    document = {"tokens": TOKENS, "logits": alone, "features": encoded(features), "on_features": beside}
    (FOLDER / "logits.json").write_text(json.dumps(document) + "\n")


def encoded(rows: Tensor) -> str:
    """base64 of rows (1, T, n) as little-endian float32."""
    return base64.b64encode(rows[0].numpy().astype("<f4").tobytes()).decode()


if __name__ == "__main__":
    write()
