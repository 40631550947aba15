"""Every command that the documents give is one that the command line takes."""

import re
import shlex
from pathlib import Path

import pytest

from mambascope_trainer.cli import COMMANDS, parse
from mambascope_trainer.run.config import read_plan

REPOSITORY = Path(__file__).parents[2]
DOCUMENTS = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
MODULE = "-m mambascope_trainer"


def commands(text: str) -> list[str]:
    """Commands of the trainer in a document's code blocks, one a line, from the subcommand on."""
    found = []
    for block in re.findall(r"^```[^\n]*\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            _, starts, arguments = line.replace("$T ", f"{MODULE} ").partition(f"{MODULE} ")
            if starts and not line.startswith("T="):
                found.append(arguments.strip())
    return found


def words(command: str) -> list[str]:
    """As a shell splits them; a variable is a word."""
    return shlex.split(command.replace("$S", "public/models/f data/models/f"), comments=True)


DOCUMENTED = [
    pytest.param(command, id=f"{path.name}: {command[:60]}")
    for path in DOCUMENTS
    for command in commands(path.read_text())
]


@pytest.mark.parametrize("command", DOCUMENTED)
def test_a_documented_command_is_taken(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    options = parse(words(command))
    monkeypatch.chdir(REPOSITORY)
    config = getattr(options, "config", None)
    if config is not None and config.parts[0] == "trainer":
        read_plan(config)


def test_the_documents_show_every_command() -> None:
    shown = {words(parameter.values[0])[0] for parameter in DOCUMENTED}
    assert shown == set(COMMANDS)


@pytest.mark.parametrize("command", ["train --confg C.json --run R", "distil --config C.json", "bench --batch many"])
def test_a_wrong_command_would_be_found(command: str) -> None:
    block = f"```\n$T {command}\n```\n"
    (found,) = commands(block)
    with pytest.raises(SystemExit, match="2"):
        parse(words(found))
