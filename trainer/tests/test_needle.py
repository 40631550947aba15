"""Needle prompts are what they say, and their scores are those of each prompt alone."""

from dataclasses import replace
from pathlib import Path

import pytest
from hybrids import models, naive_log_probs, write_hybrids
from hypothesis import given, settings
from hypothesis import strategies as st

from mambascope_trainer.bundle import Bundle
from mambascope_trainer.evaluation.chat import Chat
from mambascope_trainer.evaluation.haystack import NeedleKind, make_haystack
from mambascope_trainer.evaluation.needle import ANSWER_TOKENS, NeedleGrid, compare_needles, find_needles
from mambascope_trainer.model.llama import Llama

#: The tiny vocabulary spells words in letters: the question alone takes about 300 tokens.
LENGTHS = (400, 520)
KINDS: list[NeedleKind] = ["number", "word"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hybrids(tmp_path_factory.mktemp("needle") / "tiny")


@pytest.fixture(scope="module")
def chat(folder: Path) -> Chat:
    return Chat(Bundle.open(folder))


@given(st.integers(400, 900), st.floats(0, 1), st.integers(0, 50), st.sampled_from(KINDS))
@settings(max_examples=40, deadline=None)
def test_a_haystack_has_its_length_and_one_needle(
    chat: Chat, length: int, depth: float, seed: int, kind: NeedleKind
) -> None:
    hay = make_haystack(chat, length, depth, kind, seed)
    text = chat.tokenizer.decode(list(hay.prompt), skip_special_tokens=False)
    assert text.count(hay.answer) == 1
    assert text.count(f"is {hay.answer}.") == 1
    # Short of the length by less than the longest sentence, which the tiny vocabulary spells out.
    assert length - 140 < len(hay.prompt) <= length
    assert chat.tokenizer.decode(list(hay.needle)) == f" {hay.answer}"
    assert text.startswith("<|im_start|>user\n")
    assert text.endswith("is")
    assert make_haystack(chat, length, depth, kind, seed) == hay


def test_depth_says_where_the_needle_lies(chat: Chat) -> None:
    places = []
    for depth in (0, 0.25, 0.5, 0.75, 1):
        hay = make_haystack(chat, 3000, depth, "number", 7)
        text = chat.tokenizer.decode(list(hay.prompt), skip_special_tokens=False)
        body = text.split("\n\n")[1]
        places.append(body.index(hay.answer) / len(body))
    assert places == pytest.approx([0, 0.25, 0.5, 0.75, 1], abs=0.08)


def test_families_without_a_template_get_plain_text(tmp_path: Path) -> None:
    chat = Chat(Bundle.open(write_hybrids(tmp_path / "plain", template=None, bos=1)))
    hay = make_haystack(chat, 400, 0.5, "number", 0)
    assert hay.prompt[0] == 1
    assert "im_start" not in chat.tokenizer.decode(list(hay.prompt[1:]), skip_special_tokens=False)


def test_a_prompt_too_short_for_the_question_is_refused(chat: Chat) -> None:
    with pytest.raises(ValueError, match="needs at least"):
        make_haystack(chat, 30, 0.5, "number", 0)


def naive_scores(model: Llama, chat: Chat, prompt: list[int], needle: list[int], answer: str) -> list[float]:
    """answered, top1 and log_prob of one trial, by recomputing everything."""
    logs = naive_log_probs(model, prompt + needle)[len(prompt) - 1 : -1]
    chosen = [float(row[token]) for row, token in zip(logs, needle, strict=True)]
    hits = [float(int(row.argmax()) == token) for row, token in zip(logs, needle, strict=True)]
    ids = list(prompt)
    while len(ids) < len(prompt) + ANSWER_TOKENS:
        token = int(naive_log_probs(model, ids)[-1].argmax())
        if token in chat.special.eos:
            break
        ids.append(token)
    answered = float(answer in chat.decode(ids[len(prompt) :]))
    return [answered, sum(hits) / len(hits), sum(chosen) / len(chosen)]


def test_scores_are_those_of_each_prompt_alone(folder: Path, chat: Chat) -> None:
    student, teacher = models(folder, "half")
    grid = NeedleGrid(LENGTHS, (0.0, 1.0), 1, "word", seed=2)
    haystacks = grid.haystacks(chat)
    assert [(h.length, h.depth) for h in haystacks] == [(400, 0), (400, 1), (520, 0), (520, 1)]
    own = find_needles(student, chat, grid, haystacks, 2000, "float32")
    for place, hay in enumerate(haystacks):
        expected = naive_scores(student, chat, list(hay.prompt), list(hay.needle), hay.answer)
        cell = (place // 2, place % 2, 0)
        assert [float(own[name][cell]) for name in ("answered", "top1", "log_prob")] == pytest.approx(
            expected, rel=1e-4
        )
    theirs = find_needles(teacher, chat, grid, haystacks, 2000, "float32")
    record = compare_needles(own, theirs, grid)
    for prefix, values in (("", own), ("teacher_", theirs)):
        found = record["log_prob"]
        assert found[f"{prefix}value"] == pytest.approx(values["log_prob"].mean())
        assert found[f"{prefix}by_length"][1] == pytest.approx(values["log_prob"][1].mean(), abs=1e-5)
        assert found[f"{prefix}cells"][1][0] == pytest.approx(values["log_prob"][1, 0, 0], abs=1e-5)


def test_a_model_that_says_the_needle_is_seen_to_answer(folder: Path, chat: Chat) -> None:
    """A needle made of the model's own greedy answer is found; one more token than that is not."""
    model = models(folder, "half")[0]
    grid = NeedleGrid((400,), (0.5,), 2, "number", seed=0)
    first, second = grid.haystacks(chat)
    said: list[int] = []
    while len(chat.decode(said).strip()) < 2:
        said.append(int(naive_log_probs(model, [*first.prompt, *said])[-1].argmax()))
    known = replace(first, needle=tuple(said), answer=chat.decode(said))
    other = replace(second, answer="no such text")
    found = find_needles(model, chat, grid, [known, other], 2000, "float32")
    assert found["answered"].flatten().tolist() == [1, 0]
    assert found["top1"][0, 0, 0] == 1
