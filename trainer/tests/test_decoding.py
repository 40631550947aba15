"""Cached decoding of a batch is decoding each prompt alone by recomputing everything."""

import pytest
import torch
from hybrids import models, naive_log_probs, write_hybrids
from hypothesis import given, settings
from hypothesis import strategies as st

from mambascope_trainer.evaluation.decoding import SPREAD, Decoding, generate, prompt_batches, sample
from mambascope_trainer.model.llama import Llama

PROMPTS = [[5], [7, 8, 9, 10, 11, 12, 13], [300, 301, 40], list(range(60, 85)), [5, 6]]


@pytest.fixture(scope="module", params=["half", "none", "teacher"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Llama:
    return models(write_hybrids(tmp_path_factory.mktemp("decoding") / "tiny"), request.param)[0]


def recomputed(model: Llama, prompt: list[int], count: int) -> list[int]:
    ids = list(prompt)
    for _ in range(count):
        ids.append(int(naive_log_probs(model, ids)[-1].argmax()))
    return ids[len(prompt) :]


@pytest.mark.parametrize("budget", [1, 80, 10_000])
def test_greedy_answers_are_those_of_each_prompt_alone(model: Llama, budget: int) -> None:
    found = generate(model, PROMPTS, Decoding(max_new_tokens=11), budget)
    assert found == [recomputed(model, prompt, 11) for prompt in PROMPTS]


def test_a_stop_token_ends_its_own_row_alone(model: Llama) -> None:
    plain = [recomputed(model, prompt, 20) for prompt in PROMPTS]
    stop = plain[1][4]
    found = generate(model, PROMPTS, Decoding(max_new_tokens=20, stop=(stop,)), 10_000)
    assert found == [row[: row.index(stop)] if stop in row else row for row in plain]


def test_draws_belong_to_the_prompt_not_to_the_batch(model: Llama) -> None:
    decoding = Decoding(max_new_tokens=9, temperature=1.0, seed=4)
    together = generate(model, PROMPTS, decoding, 10_000)
    assert together == generate(model, PROMPTS, decoding, 1)
    assert together != generate(model, PROMPTS, Decoding(max_new_tokens=9, temperature=1.0, seed=5), 10_000)
    assert together != generate(model, PROMPTS, Decoding(max_new_tokens=9), 10_000)


def test_sampling_follows_the_nucleus() -> None:
    probabilities = torch.tensor([0.1, 0.5, 0.15, 0.25])
    draws = (torch.arange(10_000) + 0.5) / 10_000
    logits = probabilities.log().expand(10_000, 4)
    for top_p, kept in ((1.0, [0, 1, 2, 3]), (0.7, [1, 3]), (0.5, [1])):
        counts = sample(logits, draws, Decoding(1, temperature=1.0, top_p=top_p)).bincount(minlength=4) / 10_000
        expected = torch.zeros(4)
        expected[kept] = probabilities[kept] / probabilities[kept].sum()
        assert counts.tolist() == pytest.approx(expected.tolist(), abs=1e-3)
    sharp = sample(logits, draws, Decoding(1, temperature=0.5)).bincount(minlength=4) / 10_000
    squares = probabilities**2 / (probabilities**2).sum()
    assert sharp.tolist() == pytest.approx(squares.tolist(), abs=1e-3)


@given(lengths=st.lists(st.integers(1, 400), max_size=30), budget=st.integers(1, 2000))
@settings(deadline=None)
def test_batches_are_of_like_length_and_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = prompt_batches(lengths, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(lengths)))
    for batch in batches:
        own = [lengths[i] for i in batch]
        assert max(own) - min(own) <= SPREAD
        assert len(own) == 1 or max(own) * len(own) <= budget


def test_an_empty_prompt_is_refused(model: Llama) -> None:
    with pytest.raises(ValueError, match="empty"):
        generate(model, [[1], []], Decoding(1), 100)


def test_bfloat16_decodes_as_it_scores(model: Llama) -> None:
    """Each greedy token, given those before it, is the likeliest or nearly so by float32."""
    for prompt, answer in zip(PROMPTS, generate(model, PROMPTS, Decoding(6), 10_000, "bfloat16"), strict=True):
        logs = naive_log_probs(model, prompt + answer)[len(prompt) - 1 : -1]
        chosen = logs[torch.arange(6), torch.tensor(answer)]
        assert (logs.amax(dim=-1) - chosen).max() < 0.3
