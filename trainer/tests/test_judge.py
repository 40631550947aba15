"""Answers in the forms of MT-Bench and AlpacaEval, graded through a real server that speaks the judge's protocol."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hybrids import models, write_hybrids

from mambascope_trainer.bundle import Bundle
from mambascope_trainer.cli import main
from mambascope_trainer.evaluation import endpoint as endpoint_module
from mambascope_trainer.evaluation.chat import Chat
from mambascope_trainer.evaluation.decoding import Decoding, generate
from mambascope_trainer.evaluation.endpoint import Endpoint, JudgeError
from mambascope_trainer.evaluation.judge import rating

QUESTIONS = [
    {"question_id": 81, "category": "writing", "turns": ["Birds?", "Cats?"]},
    {"question_id": 111, "category": "math", "turns": ["2 + 2?", "And 3 more?"]},
    {"question_id": 121, "category": "coding", "turns": ["One turn."]},
]
INSTRUCTIONS = [{"instruction": "Name a bird.", "dataset": "own"}, {"instruction": "Name a cat."}]


class Judge:
    """A local server; `reply` makes (status, body) of a request's JSON."""

    def __init__(self, reply: Callable[[dict[str, Any]], tuple[int, Any]]) -> None:
        self.requests: list[tuple[str, str | None, dict[str, Any]]] = []
        judge = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                judge.requests.append((self.path, self.headers["Authorization"], body))
                status, answer = reply(body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def said(text: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[dict[str, Any]], tuple[int, Any]]], Judge]]:
    open_judges: list[Judge] = []

    def start(reply: Callable[[dict[str, Any]], tuple[int, Any]]) -> Judge:
        open_judges.append(Judge(reply))
        return open_judges[-1]

    yield start
    for judge in open_judges:
        judge.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("judge")
    write_hybrids(root / "tiny")
    (root / "questions.jsonl").write_text("".join(json.dumps(q) + "\n" for q in QUESTIONS))
    (root / "instructions.json").write_text(json.dumps(INSTRUCTIONS))
    return root


def arguments(folder: Path, answers: Path) -> list[str]:
    files = ["--questions", folder / "questions.jsonl", "--instructions", folder / "instructions.json"]
    model = ["--bundle", folder / "tiny", "--variants", "half", "--max-new-tokens", 4, "--answers", answers]
    return [str(word) for word in ("evaluate", *model, *files)]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_answers_are_in_the_benchmarks_forms(folder: Path, tmp_path: Path) -> None:
    assert main([*arguments(folder, tmp_path), "--tasks", "answers"]) == 0
    chat = Chat(Bundle.open(folder / "tiny"))
    eos = chat.special.eos
    for name, model in zip(("half", "teacher"), models(folder / "tiny", "half"), strict=True):
        found = lines(tmp_path / "mt_bench" / "model_answer" / f"tiny-{name}.jsonl")
        assert [answer["question_id"] for answer in found] == [81, 111, 121]
        for answer, question in zip(found, QUESTIONS, strict=True):
            assert answer.keys() == {"question_id", "answer_id", "model_id", "choices", "tstamp"}
            assert answer["model_id"] == f"tiny-{name}"
            (choice,) = answer["choices"]
            assert choice["index"] == 0
            assert len(choice["turns"]) == len(question["turns"])  # type: ignore[arg-type]
        # Mathematics is greedy: the second answer continues the conversation that the first is part of.
        talk: list[dict[str, str]] = []
        for asked, answered in zip(["2 + 2?", "And 3 more?"], found[1]["choices"][0]["turns"], strict=True):
            talk.append({"role": "user", "content": asked})
            (ids,) = generate(model, [chat.ids(chat.text(talk))], Decoding(4, eos), 1000)
            assert answered == chat.decode(ids).strip()
            talk.append({"role": "assistant", "content": answered})
        outputs = json.loads((tmp_path / "alpaca_eval" / f"tiny-{name}.json").read_text())
        assert [item["generator"] for item in outputs] == [f"tiny-{name}"] * 2
        assert outputs[0]["dataset"] == "own"
        (ids,) = generate(
            model, [chat.ids(chat.text([{"role": "user", "content": "Name a cat."}]))], Decoding(4, eos), 1000
        )
        assert outputs[1]["output"] == chat.decode(ids).strip()


def test_a_judge_grades_every_turn(
    folder: Path, tmp_path: Path, serve: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def reply(body: dict[str, Any]) -> tuple[int, Any]:
        prompt = body["messages"][-1]["content"]
        grade = 3 if "And 3 more?" in prompt else 8
        return 200, said("I cannot." if "One turn." in prompt else f"Good, not [[2]].\nRating: [[{grade}]]")

    judge = serve(reply)
    monkeypatch.setenv("TEST_JUDGE_KEY", "secret")
    settings = ["--judge-url", judge.url + "/", "--judge-model", "grader/1", "--judge-key-env", "TEST_JUDGE_KEY"]
    assert main([*arguments(folder, tmp_path), "--tasks", "answers", "judge", *settings]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    graded = {(r["data"], r["model"]): r for r in records if r.get("task") == "judge"}
    assert set(graded) == {(b, f"tiny-{m}") for b in ("mt_bench", "alpaca_eval") for m in ("half", "teacher")}
    mt = graded["mt_bench", "tiny-half"]
    assert (mt["answers"], mt["unrated"], mt["turns"]) == (5, 1, {"1": 8, "2": 5.5})
    assert mt["score"] == pytest.approx((8 + 8 + 8 + 3) / 4)
    assert graded["alpaca_eval", "tiny-teacher"]["score"] == 8
    assert {(path, key) for path, key, _ in judge.requests} == {("/v1/chat/completions", "Bearer secret")}
    assert {body["model"] for _, _, body in judge.requests} == {"grader/1"}
    judgements = lines(tmp_path / "mt_bench" / "model_judgment" / "grader_1.jsonl")
    assert len(judgements) == 10
    assert {line["score"] for line in judgements} == {8, 3, -1}
    # Grading the second turn shows the first one with its answer, as it was.
    second = next(line for line in judgements if (line["question_id"], line["turn"]) == (111, 2))
    answer = lines(tmp_path / "mt_bench" / "model_answer" / f"{second['model']}.jsonl")[1]["choices"][0]["turns"]
    assert f"[Question]\n2 + 2?\n\n[Answer]\n{answer[0]}\n\n[Question]\nAnd 3 more?" in second["user_prompt"]
    # Alone, on the answers that are there, and with no model.
    files = ["--questions", str(folder / "questions.jsonl"), "--answers", str(tmp_path)]
    assert main(["evaluate", "--tasks", "judge", *files, *settings]) == 0


@pytest.mark.parametrize(
    ("text", "grade"),
    [("Rating: [[7]]", 7), ("[[2]] then Rating: [[9.5]]", 9.5), ("Rating: 7", None), ("[[11]]", None), ("", None)],
)
def test_ratings(text: str, grade: float | None) -> None:
    assert rating(text) == grade


def test_a_busy_server_is_asked_again(serve: Any) -> None:
    answers = iter([(503, {}), (429, {}), (200, said("fine"))])
    judge = serve(lambda body: next(answers))
    assert Endpoint(judge.url, "m", "", pause=0.01).complete([]) == "fine"
    assert [key for _, key, _ in judge.requests] == [None] * 3


@pytest.mark.parametrize(
    ("reply", "code", "attempts"),
    [((401, {"error": "no such key"}), "judge-refused", 1), ((503, {}), "judge-refused", endpoint_module.ATTEMPTS)]
    + [((200, answer), "judge-protocol", 1) for answer in ({}, [], said(None), {"choices": []})],
)
def test_what_the_judge_does_wrong_is_said(serve: Any, reply: tuple[int, Any], code: str, attempts: int) -> None:
    judge = serve(lambda body: reply)
    with pytest.raises(JudgeError) as caught:
        Endpoint(judge.url, "m", "k", pause=0.01).complete([])
    assert caught.value.code == code
    assert len(judge.requests) == attempts


def test_no_server_and_no_settings_are_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Judge(lambda body: (200, {}))
    judge.close()
    with pytest.raises(JudgeError) as caught:
        Endpoint(judge.url, "m", "", pause=0.01).complete([])
    assert caught.value.code == "judge-unreachable"
    monkeypatch.delenv("MAMBASCOPE_JUDGE_URL", raising=False)
    # Said before any answer is made.
    assert main([*arguments(folder, tmp_path), "--tasks", "answers", "judge"]) == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "judge-unconfigured"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("mt_bench/model_answer/x.jsonl", '{"question_id": 5}'),
        ("mt_bench/model_answer/x.jsonl", '{"question_id": 81, "model_id": "x", "choices": [{"turns": ["one"]}]}'),
        ("alpaca_eval/x.json", "[{}]"),
        ("none/x.json", "[]"),
    ],
)
def test_bad_answers_are_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, content: str
) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(content)
    kind = ("instructions", "json") if "alpaca" in file else ("questions", "jsonl")
    given = [f"--{kind[0]}", str(folder / ".".join(kind)), "--judge-url", "http://127.0.0.1:9/v1", "--judge-model", "m"]
    assert main(["evaluate", "--tasks", "judge", "--answers", str(tmp_path), *given]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["error"]["code"] == "data-unusable"
