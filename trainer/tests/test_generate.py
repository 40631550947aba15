"""What is sampled: rows, answers, preference pairs, on a tiny teacher of random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from chats import SYSTEM, write_chat_bundle
from runs import run_config, stage_after, write_data
from samples import MIXER, TEXT, mixer_tensors

from mambascope_trainer.bundle import Bundle, BundleWriter, Storage
from mambascope_trainer.cli import main
from mambascope_trainer.data.chat import ChatFormat
from mambascope_trainer.data.errors import DataError
from mambascope_trainer.data.preferences import PreferencePairs
from mambascope_trainer.data.tokens import TokenRows
from mambascope_trainer.model.load import load_variant

END = 2


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_chat_bundle(tmp_path_factory.mktemp("models") / "tiny-chat")
    writer = BundleWriter.open(folder)
    writer.add_mixer_set("two", MIXER, [0, 2], mixer_tensors([0, 2]), Storage(matrix="f32", embedding="f32"))
    writer.add_variant("hybrid", "Hybrid", ["mamba2:two", "attention", "mamba2:two"])
    return folder


def generate(family: Path, out: Path, *arguments: str) -> int:
    return main(["generate", "--bundle", str(family), "--out", str(out), *arguments])


def result(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return document.get("result", document)


def prompts_file(path: Path) -> tuple[Path, list[str]]:
    questions = [f"What is {number}?" for number in range(12)]
    lines: list[dict[str, Any]] = [{"prompt": question} for question in questions[:6]]
    for question in questions[6:]:
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": "an older answer"}]
        lines.append({"messages": turns})
    path.write_text("".join(json.dumps(line) + "\n" for line in [*lines, lines[0]]))
    return path, questions


def test_the_markers_are_read_off_the_template(family: Path) -> None:
    chat = ChatFormat.of(Bundle.open(family))
    opening = f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n"
    assert chat.opening == chat.encode(opening)
    assert chat.end_of_text == 0
    markers = chat.markers
    assert markers.end_of_turn == END
    assert markers.to_assistant == chat.encode("\n<|im_start|>assistant\n")
    assert markers.to_user == chat.encode("\n<|im_start|>user\n")
    assert markers.to_new == chat.encode("\n" + opening)
    prompt, answer = chat.pair([{"role": "user", "content": "Hi"}], "Yes.")
    assert prompt == chat.encode(opening + "Hi<|im_end|>\n<|im_start|>assistant\n")
    assert answer == [*chat.encode("Yes."), END]


def test_templates_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    def chat(name: str, template: str | None) -> ChatFormat:
        return ChatFormat.of(Bundle.open(write_chat_bundle(tmp_path / name, template)))

    turns = [{"role": "user", "content": "Hi"}]
    with pytest.raises(DataError, match="no chat template"):
        chat("none", None).render(turns)
    with pytest.raises(DataError, match="broken"):
        chat("broken", "{% for %}")
    with pytest.raises(DataError, match="refuses the chat: no system"):
        chat("strict", "{{ raise_exception('no system') }}").render(turns)
    with pytest.raises(DataError, match="contents"):
        _ = chat("empty", "{{ messages[0].content }}").markers
    with pytest.raises(DataError, match="eos"):
        _ = chat("endless", "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}").markers


def test_rows_are_chats_and_opened_texts_and_are_made_once(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    openings = tmp_path / "openings.txt"
    known = [f"{' '.join(str(number**k) for k in range(2, 12))} {TEXT[0]}" for number in range(3, 33)]
    openings.write_text("\n\n".join(known))
    arguments = ["--kind", "rows", "--rows", "8", "--length", "97", "--batch", "4", "--text-share", "0.5"]
    arguments += ["--text-openings", str(openings), "--text-temperature", "0.7", "1.2", "--seed", "3"]
    assert generate(family, tmp_path / "rows", *arguments) == 0
    assert result(capsys) == {"rows": 8, "tokens": 8 * 97, "dropped": 0}
    rows = np.concatenate([np.load(p) for p in sorted((tmp_path / "rows").glob("rows-*.npy"))]).tolist()
    chat = ChatFormat.of(Bundle.open(family))
    texts = [row for row in rows if row[0] == chat.end_of_text]
    assert len(texts) == 4
    assert all(any(row[1:9] == chat.encode(text)[:8] for text in known) for row in texts)
    assert sum(row[: len(chat.opening)] == chat.opening for row in rows) == 4
    assert len(TokenRows(tmp_path / "rows", 96, 0)) == 8

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "rows").iterdir()}
    assert generate(family, tmp_path / "rows", *arguments) == 0
    assert result(capsys)["cached"] is True
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "rows").iterdir()}
    assert generate(family, tmp_path / "rows", *arguments[:-1], "4") == 0  # another seed adds to the folder
    assert "cached" not in result(capsys)
    recipe = json.loads((tmp_path / "rows" / "recipe.json").read_text())
    assert [entry["settings"]["seed"] for entry in recipe["runs"]] == [3, 4]


def test_a_hybrid_writes_rows_with_greedy_answers(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--kind", "rows", "--rows", "6", "--length", "80", "--batch", "6", "--text-share", "0"]
    arguments += ["--chat-temperature", "0", "0.3", "0.6", "--question-temperature", "0.9", "--student", "hybrid"]
    assert generate(family, tmp_path / "rows", *arguments) == 0
    assert result(capsys)["rows"] + 0 > 0
    recipe = json.loads((tmp_path / "rows" / "recipe.json").read_text())
    settings = recipe["runs"][0]["settings"]
    assert (settings["chat_temperature"], settings["student"]) == ([0, 0.3, 0.6], "hybrid")
    assert settings["question_temperature"] == [0.9]
    assert settings["sets"].keys() == {"two"}


def test_a_teacher_without_a_template_writes_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    family = write_chat_bundle(tmp_path / "plain", None)
    arguments = ["--kind", "rows", "--rows", "3", "--length", "40", "--batch", "3"]
    assert generate(family, tmp_path / "rows", *arguments, "--text-share", "1") == 0
    assert result(capsys)["rows"] == 3
    assert generate(family, tmp_path / "chats", *arguments) == 1
    assert "no chat template" in result(capsys)["error"]["message"]


def test_the_teacher_answers_prompts_of_a_file(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts, questions = prompts_file(tmp_path / "prompts.jsonl")
    arguments = ["--kind", "answers", "--prompts", str(prompts), "--rows", "50", "--length", "160", "--batch", "5"]
    assert generate(family, tmp_path / "answers.jsonl", *arguments) == 0
    made = result(capsys)
    chats = [json.loads(line)["messages"] for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert made["made"] == len(chats) >= 2
    assert made["made"] + made["dropped"] == 12  # the one that came twice is asked once
    assert {chat[0]["content"] for chat in chats} <= set(questions)
    for chat in chats:
        assert [turn["role"] for turn in chat] == ["user", "assistant"]
        assert chat[1]["content"] != "an older answer"
    assert generate(family, tmp_path / "answers.jsonl", *arguments) == 0
    assert result(capsys)["cached"] is True
    assert generate(family, tmp_path / "answers.jsonl", *arguments, "--seed", "9") == 1
    assert "another recipe" in result(capsys)["error"]["message"]


def test_preferences_are_the_teachers_answer_and_the_students(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prompts, questions = prompts_file(tmp_path / "prompts.jsonl")
    arguments = ["--kind", "preferences", "--student", "hybrid", "--prompts", str(prompts), "--rows", "50"]
    arguments += ["--length", "160", "--batch", "4", "--student-temperature", "0.0001"]
    assert generate(family, tmp_path / "pairs.jsonl", *arguments) == 0
    made = result(capsys)
    data = PreferencePairs(tmp_path / "pairs.jsonl", 160, 0)
    assert made["made"] == len(data) >= 2
    bundle = Bundle.open(family)
    chat, student = ChatFormat.of(bundle), load_variant(bundle, "hybrid")
    asked = [chat.prompt([{"role": "user", "content": question}]) for question in questions]
    for pair in data.pairs:
        assert pair.prompt in asked
        assert pair.chosen[-1] == END
        assert END not in pair.chosen[:-1]
        # The student is as good as greedy: its answer is the likeliest continuation under the hybrid.
        ids = [*pair.prompt, *pair.rejected]
        best = student(torch.tensor([ids[:-1]]))[0][0].argmax(dim=-1).tolist()
        assert pair.rejected == best[len(pair.prompt) - 1 :]
    assert len({tuple(pair.prompt) for pair in data.pairs}) == len(data)


def test_the_student_may_be_a_run(family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = run_config(family.parent, write_data(tmp_path / "data"), family="tiny-chat")
    stage_after({**config, "optimiser": {**config["optimiser"], "steps": 2}}, tmp_path / "run")
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    prompts, _ = prompts_file(tmp_path / "prompts.jsonl")
    arguments = ["--kind", "preferences", "--student-run", str(tmp_path / "run"), "--prompts", str(prompts)]
    assert (
        generate(family, tmp_path / "pairs.jsonl", *arguments, "--rows", "2", "--length", "120", "--batch", "12") == 0
    )
    assert result(capsys)["made"] == 2
    recipe = json.loads((tmp_path / "pairs.recipe.json").read_text())
    assert recipe["settings"]["student_run"][1].startswith("step-")


def test_prompts_can_be_sampled(family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--kind", "preferences", "--student", "hybrid", "--rows", "2", "--length", "130", "--batch", "8"]
    arguments += ["--longest-prompt", "50"]
    assert generate(family, tmp_path / "pairs.jsonl", *arguments) == 0
    assert result(capsys)["made"] == 2
    opening = ChatFormat.of(Bundle.open(family)).opening
    pairs = PreferencePairs(tmp_path / "pairs.jsonl", 130, 0).pairs
    assert all(pair.prompt[: len(opening)] == opening for pair in pairs)
    assert len({tuple(pair.prompt) for pair in pairs}) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kind", "preferences", "--rows", "1"], "need a student"),
        (["--kind", "preferences", "--rows", "1", "--student", "other"], "no variant"),
        (["--kind", "rows", "--rows", "1", "--text-temperature", "2", "1"], "no range"),
        (["--kind", "answers", "--rows", "1", "--prompts", "{bad}"], "line 1"),
    ],
)
def test_what_cannot_be_made_is_said(
    family: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    (tmp_path / "bad.jsonl").write_text('{"question": "?"}\n')
    arguments = [a.replace("{bad}", str(tmp_path / "bad.jsonl")) for a in arguments]
    assert generate(family, tmp_path / "out.jsonl", *arguments, "--batch", "2", "--length", "64") == 1
    assert message in result(capsys)["error"]["message"]
