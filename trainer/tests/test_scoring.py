"""Batched scores are those of one text at a time: padding changes nothing, for attention and for Mamba-2."""

import pytest
import torch
from hybrids import models, naive_log_probs, write_hybrids
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import ARCHITECTURE

from mambascope_trainer.evaluation.agreement import token_sums
from mambascope_trainer.evaluation.scoring import Request, length_batches, score, target_log_probs
from mambascope_trainer.evaluation.statistics import difference, mean
from mambascope_trainer.model.llama import Llama

tokens = st.lists(st.integers(0, ARCHITECTURE.vocab_size - 1), min_size=1, max_size=20).map(tuple)
requests = st.lists(st.builds(Request, tokens, tokens), min_size=1, max_size=6)


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> Llama:
    return models(write_hybrids(tmp_path_factory.mktemp("scoring") / "tiny"), "half")[0]


@given(requests=requests, budget=st.integers(1, 200))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_scores_do_not_depend_on_the_batch(hybrid: Llama, requests: list[Request], budget: int) -> None:
    found = score(hybrid, requests, budget)
    assert len(found) == len(requests)
    for request, item in zip(requests, found, strict=True):
        logs = naive_log_probs(hybrid, list(request.context + request.tokens))[len(request.context) - 1 : -1]
        targets = torch.tensor(request.tokens)
        assert item.log_prob == pytest.approx(float(logs[torch.arange(len(targets)), targets].sum()), rel=1e-4)
        assert item.tokens == len(targets)
        assert item.hits == int((logs.argmax(dim=-1) == targets).sum())


def test_a_greedy_continuation_is_known_as_one(hybrid: Llama) -> None:
    ids = [5, 6, 7]
    for _ in range(4):
        ids.append(int(naive_log_probs(hybrid, ids)[-1].argmax()))
    wrong = (ids[3], (ids[4] + 1) % ARCHITECTURE.vocab_size)
    right, other = score(hybrid, [Request((5, 6, 7), tuple(ids[3:])), Request((5, 6, 7), wrong)], 64)
    assert right.greedy
    assert (other.greedy, other.hits) == (False, 1)


@given(lengths=st.lists(st.integers(1, 50), max_size=30), budget=st.integers(1, 120))
def test_batches_hold_every_index_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = length_batches(lengths, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= budget


def test_the_head_in_chunks_is_the_head_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 11, 8, generator=generator)
    heads = tuple(torch.randn(2, 30, 8, generator=generator))
    labels = torch.randint(30, (11,), generator=generator)
    s, t = (
        (x.double() @ head.double().T).log_softmax(dim=-1) for x, head in zip((student, teacher), heads, strict=True)
    )
    expected = [
        (t.exp() * (t - s)).sum(),
        (s.argmax(dim=-1) == t.argmax(dim=-1)).sum(),
        -s[torch.arange(11), labels].sum(),
        -t[torch.arange(11), labels].sum(),
        torch.minimum(s.exp(), t.exp()).sum(),
    ]
    for module in ("agreement", "scoring"):
        monkeypatch.setattr(f"mambascope_trainer.evaluation.{module}.HEAD_TOKENS", 4)
    assert token_sums(student, teacher, (heads[0], heads[1]), labels).tolist() == pytest.approx(
        [float(x) for x in expected], rel=1e-5
    )
    found, hits = target_log_probs(student, heads[0], labels)
    assert found.tolist() == pytest.approx(s[torch.arange(11), labels].tolist(), rel=1e-5)
    assert hits.tolist() == (s.argmax(dim=-1) == labels).tolist()


def test_errors_are_those_of_independent_and_of_paired_items() -> None:
    ours, theirs = [1.0, 1.0, 0.0, 1.0], [1.0, 0.0, 0.0, 1.0]
    assert mean(ours).value == 0.75
    assert mean(ours).error == pytest.approx((0.75 * 0.25 / 3) ** 0.5)
    assert difference(ours, theirs).value == 0.25
    assert difference(ours, theirs).error == pytest.approx(0.25)
    assert difference(ours, ours).error == 0


def test_a_request_without_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one token"):
        Request((), (1,))


def test_bfloat16_is_near_float32(hybrid: Llama) -> None:
    request = [Request((1, 2, 3), tuple(range(40, 60)))]
    wide, narrow = (score(hybrid, request, 64, dtype)[0].log_prob for dtype in ("float32", "bfloat16"))
    assert wide != narrow
    assert narrow == pytest.approx(wide, rel=0.05)
