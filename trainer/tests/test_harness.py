"""The model class of lm-evaluation-harness, run by the harness itself on tasks of local files."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hybrids import models, naive_log_probs, write_hybrids
from hypothesis import given
from hypothesis import strategies as st
from test_choice import PAIRS, QUESTIONS, write

pytest.importorskip("lm_eval", reason="lm-evaluation-harness is not installed")

from lm_eval.api.instance import Instance
from lm_eval.api.registry import get_model
from lm_eval.evaluator import simple_evaluate
from lm_eval.tasks import TaskManager

from mambascope_trainer.bundle import Bundle
from mambascope_trainer.cli import main
from mambascope_trainer.errors import MambascopeError
from mambascope_trainer.evaluation.chat import Chat
from mambascope_trainer.evaluation.decoding import Decoding, generate
from mambascope_trainer.evaluation.lm_eval_model import MambascopeLM, cut_at, rolling_requests

TASKS = {
    "questions": """
output_type: multiple_choice
doc_to_text: "Question: {{context}}\\nAnswer:"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list: [{metric: acc, aggregation: mean}, {metric: acc_norm, aggregation: mean}]
""",
    "pairs": """
output_type: multiple_choice
doc_to_text: ""
doc_to_choice: "{{[good, bad]}}"
doc_to_target: 0
target_delimiter: ""
metric_list: [{metric: acc, aggregation: mean}]
""",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("harness")
    write_hybrids(root / "tiny")
    for name, items in (("questions", QUESTIONS), ("pairs", PAIRS)):
        data = write(root / f"{name}.jsonl", items)
        source = (
            f"task: own_{name}\ndataset_path: json\ndataset_kwargs: {{data_files: {{test: {data}}}}}\ntest_split: test"
        )
        (root / f"own_{name}.yaml").write_text(source + TASKS[name])
    return root


@pytest.fixture(scope="module")
def model(folder: Path) -> MambascopeLM:
    return MambascopeLM(bundle=str(folder / "tiny"), variant="half", device="cpu", max_length=64)


def instances(kind: str, arguments: list[tuple[Any, ...]]) -> list[Instance]:
    return [Instance(kind, {}, each, 0) for each in arguments]  # type: ignore[arg-type]


def test_the_harness_finds_what_evaluate_finds(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert get_model("mambascope") is MambascopeLM
    found = simple_evaluate(
        model="mambascope",
        model_args=f"bundle={folder / 'tiny'},variant=half,max_length=200",
        tasks=["own_questions", "own_pairs"],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        device="cpu",
        bootstrap_iters=0,
    )
    results = found["results"]
    files = [str(folder / "questions.jsonl"), str(folder / "pairs.jsonl")]
    given = [
        "--bundle",
        str(folder / "tiny"),
        "--variants",
        "half",
        "--choice",
        *files,
        "--out",
        str(tmp_path / "o.json"),
    ]
    assert main(["evaluate", *given]) == 0
    questions, pairs = json.loads((tmp_path / "o.json").read_text())
    assert results["own_questions"]["acc,none"] == pytest.approx(questions["acc"]["value"])
    assert results["own_pairs"]["acc,none"] == pytest.approx(pairs["acc"]["value"])
    # The harness divides by characters where we divide by bytes; one choice holds others than ASCII.
    assert {"acc_norm,none"} <= results["own_questions"].keys()


def test_loglikelihood(model: MambascopeLM, folder: Path) -> None:
    ids = model.chat.tokenizer.encode("Birds weren't hungry").ids
    logs = naive_log_probs(model.model, ids)
    cut = len(model.chat.tokenizer.encode("Birds").ids)
    expected = sum(float(logs[i - 1, ids[i]]) for i in range(cut, len(ids)))
    # A space at the context's end is the continuation's.
    found = model.loglikelihood(
        instances("loglikelihood", [("Birds", " weren't hungry"), ("Birds ", "weren't hungry")])
    )
    assert found[0] == found[1]
    assert found[0][0] == pytest.approx(expected, rel=1e-4)
    greedy = generate(model.model, [ids], Decoding(3), 100)[0]
    text = model.chat.decode(greedy)
    if model.chat.tokenizer.encode("Birds weren't hungry" + text).ids == ids + greedy:
        assert model.loglikelihood(instances("loglikelihood", [("Birds weren't hungry", text)]))[0][1]


def test_long_contexts_lose_their_beginning(model: MambascopeLM) -> None:
    words = "birds and cats " * 40
    short, long = (
        model.loglikelihood(instances("loglikelihood", [(words[start:], " hungry")]))[0][0] for start in (15 * 38, 0)
    )
    # The last space of the words goes to what follows, and is scored with it.
    rest = model.chat.tokenizer.encode(words + " hungry").ids
    logs = naive_log_probs(model.model, rest[-65:])
    count = len(rest) - len(model.chat.tokenizer.encode(words.rstrip()).ids)
    assert long == pytest.approx(float(logs[torch.arange(64 - count, 64), torch.tensor(rest[-count:])].sum()), rel=1e-4)
    assert short != long


@given(st.lists(st.integers(1, 300), max_size=40), st.integers(1, 12))
def test_rolling_windows_predict_every_token_once(ids: list[int], length: int) -> None:
    found = rolling_requests((0,), ids, length)
    assert [token for request in found for token in request.tokens] == ids
    assert all(request.length <= length for request in found)
    assert all(request.length == min(length, len(ids)) for request in found)
    whole, done = [0, *ids], 1
    for request in found:
        assert list(request.context) == whole[done - len(request.context) : done]
        done += len(request.tokens)


def test_rolling(model: MambascopeLM) -> None:
    ids = list(model.encoder.ids("Once upon a time, 12 little birds weren't hungry."))
    logs = naive_log_probs(model.model, [*model.encoder.start, *ids])
    expected = sum(float(logs[i, token]) for i, token in enumerate(ids))
    text = "Once upon a time, 12 little birds weren't hungry."
    found = model.loglikelihood_rolling(instances("loglikelihood_rolling", [(text,), ("",), (text,)]))
    assert len(ids) <= 64
    assert found == pytest.approx([expected, 0, expected], rel=1e-4)


def test_generate_until(model: MambascopeLM) -> None:
    prompt = "Once upon a time"
    (plain,) = model.generate_until(instances("generate_until", [(prompt, {"until": [], "max_gen_toks": 12})]))
    ids = generate(model.model, [model.chat.ids(prompt)], Decoding(12, model.chat.special.eos), 1000)[0]
    assert plain == model.chat.decode(ids)
    stop = plain[len(plain) // 2]
    asked = [(prompt, {"until": [stop, "@@"], "max_gen_toks": 12}), (prompt, {"until": "@@", "max_gen_toks": 3})]
    first, second = model.generate_until(instances("generate_until", asked))
    assert first == plain[: plain.index(stop)]
    assert second == model.chat.decode(ids[:3])


def test_chat_template(model: MambascopeLM, folder: Path) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    chat = Chat(Bundle.open(folder / "tiny"))
    assert model.apply_chat_template(messages) == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert model.apply_chat_template(messages, add_generation_prompt=False) == "<|im_start|>user\nHi<|im_end|>\n"
    assert model.chat_template(True) == chat.template_text
    assert model.tokenizer_name == "tiny"


def test_patterns_and_wrong_arguments(folder: Path) -> None:
    tiny = str(folder / "tiny")
    by_pattern = MambascopeLM(bundle=f"{folder / 'none'}:{tiny}", pattern="a.m~s.a", device="cpu")
    half = models(folder / "tiny", "half")[0]
    assert torch.equal(naive_log_probs(by_pattern.model, [1, 2, 3]), naive_log_probs(half, [1, 2, 3]))
    for wrong in ({}, {"variant": "half", "pattern": "a3"}, {"variant": "half", "dtype": "int8"}):
        with pytest.raises(MambascopeError):
            MambascopeLM(bundle=tiny, device="cpu", **wrong)  # type: ignore[arg-type]


@given(st.text("abc", max_size=20), st.lists(st.text("abc", max_size=3), max_size=3))
def test_cut_at(text: str, stops: list[str]) -> None:
    found = cut_at(text, stops)
    assert text.startswith(found)
    assert not any(stop and stop in found for stop in stops)
    assert found == text or any(stop and text[len(found) :].startswith(stop) for stop in stops)
