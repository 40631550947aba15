"""Choice accuracy is what each text's own log-probability says, and bad data is named by its line."""

import json
from pathlib import Path
from typing import Any

import pytest
from hybrids import models, naive_log_probs, write_hybrids
from samples import trained_tokenizer

from mambascope_trainer.bundle import SpecialTokens
from mambascope_trainer.data.tokens import DataError
from mambascope_trainer.evaluation.choice import Choices, Encoder, choose, compare_choices
from mambascope_trainer.evaluation.choice_data import read_choice_file
from mambascope_trainer.model.llama import Llama

QUESTIONS = [
    {"context": "Birds weren't hungry, so", "choices": ["they'd eaten", "3 cats", "naïve café 🙂"], "answer": 2},
    {"context": "Once upon a time", "choices": ["12 little birds weren't hungry", "a 2048 crumb"], "answer": 0},
    {"context": "They", "choices": ["eaten", "little crumbs and cats"], "answer": 1},
]
PAIRS = [
    {"paradigm": "a", "good": "Birds weren't hungry.", "bad": "Birds wasn't hungry."},
    {"paradigm": "b", "good": "They'd eaten crumbs.", "bad": "They'd ate 3 cats and birds."},
    {"paradigm": "a", "good": "Cats and birds, hungry cats.", "bad": "Cats."},
]
TOKENIZER = trained_tokenizer()


def write(path: Path, items: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(json.dumps(item) for item in items) + "\n\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Llama, Llama]:
    return models(write_hybrids(tmp_path_factory.mktemp("choice") / "tiny"), "half")


def encoder(bos: int | None = None) -> Encoder:
    return Encoder(TOKENIZER, SpecialTokens(bos=bos, eos=(2, 0), pad=0))


def text_score(model: Llama, prefix: list[int], text: str, given: str) -> float:
    """Log-probability of what follows `given` in `text`, both after `prefix`."""
    ids = prefix + TOKENIZER.encode(text).ids
    start = len(prefix + TOKENIZER.encode(given).ids)
    logs = naive_log_probs(model, ids)
    return sum(float(logs[place - 1, ids[place]]) for place in range(start, len(ids)))


@pytest.mark.parametrize(("prompt", "before", "after"), [("question", "Question: ", "\nAnswer:"), ("plain", "", "")])
@pytest.mark.parametrize("bos", [None, 1])
def test_questions(
    pair: tuple[Llama, Llama], tmp_path: Path, prompt: Any, before: str, after: str, bos: int | None
) -> None:
    data = read_choice_file(write(tmp_path / "q.jsonl", QUESTIONS), "q")
    found = choose(pair[0], data, encoder(bos), prompt, 100, "float32")
    prefix = [] if bos is None else [bos]
    for index, question in enumerate(QUESTIONS):
        context = before + str(question["context"]) + after
        choices: list[str] = question["choices"]  # type: ignore[assignment]
        scores = [text_score(pair[0], prefix, f"{context} {choice}", context) for choice in choices]
        per_byte = [score / len(choice.encode("utf-8")) for score, choice in zip(scores, choices, strict=True)]
        for name, values in (("acc", scores), ("acc_norm", per_byte)):
            best = max(range(len(values)), key=values.__getitem__)
            assert found[name].chosen[index] == best
            assert found[name].right[index] == float(best == question["answer"])


@pytest.mark.parametrize("bos", [None, 1])
def test_pairs(pair: tuple[Llama, Llama], tmp_path: Path, bos: int | None) -> None:
    data = read_choice_file(write(tmp_path / "p.jsonl", PAIRS), "p")
    found = [choose(model, data, encoder(bos), "question", 60, "float32") for model in pair]
    start = [0 if bos is None else bos]  # without a BOS: the last end token, where a text starts
    right = [
        [float(text_score(model, start, p["good"], "") > text_score(model, start, p["bad"], "")) for p in PAIRS]
        for model in pair
    ]
    assert [f["acc"].right for f in found] == right
    record = compare_choices(found[0], found[1], data)
    assert record["paradigms"] == {
        "a": {"value": (right[0][0] + right[0][2]) / 2, "teacher": (right[1][0] + right[1][2]) / 2},
        "b": {"value": right[0][1], "teacher": right[1][1]},
    }
    assert record["acc"]["value"] == pytest.approx(sum(right[0]) / 3)


def test_comparison(tmp_path: Path) -> None:
    data = read_choice_file(write(tmp_path / "q.jsonl", QUESTIONS), "q")
    student, teacher = Choices([2, 1, 0], [1.0, 0.0, 0.0]), Choices([2, 0, 1], [1.0, 1.0, 1.0])
    found = compare_choices({"acc": student}, {"acc": teacher}, data)["acc"]
    assert found == {
        "value": pytest.approx(1 / 3),
        "stderr": pytest.approx(1 / 3),
        "teacher": 1.0,
        "teacher_stderr": 0.0,
        "delta_points": pytest.approx(-200 / 3),
        "delta_stderr": pytest.approx(100 / 3),
        "same_choice": pytest.approx(1 / 3),
    }


def test_the_split_is_at_the_contexts_own_tokens() -> None:
    request = encoder().continuation("Question: They\nAnswer:", " eaten")
    joined = TOKENIZER.encode("Question: They\nAnswer: eaten").ids
    assert list(request.context + request.tokens) == joined
    assert TOKENIZER.decode(list(request.tokens)) == " eaten"
    # Nothing before it: scored whole, from where a text starts.
    assert encoder().continuation("", "They") == encoder().whole("They")


def test_a_limit_takes_items_from_all_over_the_file(tmp_path: Path) -> None:
    pairs = [{"paradigm": str(i // 10), "good": f"Good {i}.", "bad": f"Bad {i}."} for i in range(30)]
    data = read_choice_file(write(tmp_path / "p.jsonl", pairs), "p", limit=3)
    assert [p.paradigm for p in data.pairs] == ["0", "1", "2"]
    assert len(read_choice_file(tmp_path / "p.jsonl", "p", limit=40)) == 30


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", "not JSON"),
        ("[]", "not an object"),
        ('{"context": "a", "choices": ["b"], "answer": 0}', "choices"),
        ('{"context": "a", "choices": ["b", "c"], "answer": 2}', "answer 2 is not one of 2"),
        ('{"context": "a", "choices": ["b", " "], "answer": 0}', "empty"),
        ('{"paradigm": "a", "good": "b", "bad": "c"}', "context"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(QUESTIONS[0]) + "\n" + line + "\n")
    with pytest.raises(DataError, match="line 2") as caught:
        read_choice_file(path, "q")
    assert said in str(caught.value)


def test_a_file_without_items_is_said(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text("\n")
    with pytest.raises(DataError, match="no items"):
        read_choice_file(tmp_path / "q.jsonl", "q")
