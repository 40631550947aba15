import json
import subprocess
import sys
from pathlib import Path

import pytest
from samples import write_bundle, write_gguf

from mambascope_trainer.cli import main

TRAINER = Path(__file__).parents[1]
# Stands for an environment that has numpy alone.
LIGHT = """
import sys
for name in ("torch", "transformers", "tokenizers", "safetensors", "pydantic", "jsonschema", "gguf"):
    sys.modules[name] = None
from mambascope_trainer.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run_light(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LIGHT, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=TRAINER, check=False)


def test_import_and_verify_need_numpy_alone(tmp_path: Path) -> None:
    write_gguf(tmp_path / "tiny.gguf")
    done = run_light("import-gguf", tmp_path / "tiny.gguf", "--family", "tiny", "--out", tmp_path / "tiny")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for phase in ("read", "convert", "write", "verify"):
        last = [line for line in lines if line.get("phase") == phase][-1]
        assert last["done"] == last["total"] > 0
    assert "manifest.json" not in lines[-1]["result"]["files"]

    checked = run_light("verify", tmp_path / "tiny")
    assert checked.returncode == 0, checked.stdout
    assert "All files are there and whole." in checked.stdout
    (tmp_path / "tiny" / "tokenizer.json").unlink()
    checked = run_light("verify", tmp_path / "tiny")
    assert checked.returncode == 1
    assert "MISSING tokenizer.json" in checked.stdout


def test_a_missing_package_is_said(tmp_path: Path) -> None:
    write_bundle(tmp_path)
    done = run_light("parity", tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "package-missing"
    assert "requirements.txt" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["none.gguf", "--family", "x"], "source-missing"),
        (["tiny.gguf"], "usage"),
        (["tiny.gguf", "--family", "a/b"], "family-name"),
        (["tiny.gguf", "--manifest", "none.json"], "manifest-missing"),
    ],
)
def test_failures_are_json_with_an_action(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_gguf(tmp_path / "tiny.gguf")
    assert main(["import-gguf", *arguments, "--out", "out"]) == 1
    error = json.loads(capsys.readouterr().out.splitlines()[-1])["error"]
    assert error["code"] == code
    assert error["message"]
    assert error["action"]
    assert not (tmp_path / "out").exists()
