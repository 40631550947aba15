"""Writes what `lib/inference/draft-parity.test.ts` reads: a tiny family with two trained drafts, and PyTorch's logits.

From the project's root, with PYTHONPATH=trainer: python trainer/tests/draft_fixture.py
"""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from pathlib import Path

from runs import parse, run_config, write_data
from samples import ARCHITECTURE, write_bundle

from mambascope_trainer.bundle import Bundle
from mambascope_trainer.cli import main
from mambascope_trainer.model.load import load_variant
from mambascope_trainer.parity import prefill_logits
from mambascope_trainer.run.train import train

FOLDER = Path(__file__).parents[2] / "lib" / "inference" / "fixtures" / "drafts"
TOKENS = [(index * 37 + 11) % ARCHITECTURE.vocab_size for index in range(20)]
DRAFTS = {
    "draft2": {"mixer": "mamba2", "intermediate_size": 64},
    "draft2-attention": {"mixer": "attention", "from_layers": [1, 2]},
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
    logits = {name: prefill_logits(load_variant(bundle, name), TOKENS) for name in DRAFTS}
    encoded = {name: base64.b64encode(rows.astype("<f4").tobytes()).decode() for name, rows in logits.items()}
    (FOLDER / "logits.json").write_text(json.dumps({"tokens": TOKENS, "logits": encoded}) + "\n")


if __name__ == "__main__":
    write()
