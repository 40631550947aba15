"""Speculative decoding against plain decoding: the same tokens, whatever the draft; the same distribution."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hybrids import write_hybrids
from torch import Tensor, nn

from mambascope_trainer.bundle import Bundle
from mambascope_trainer.errors import MambascopeError
from mambascope_trainer.model.llama import Llama
from mambascope_trainer.model.load import load_variant
from mambascope_trainer.speculative.decide import decide, decide_greedy, distribution, draw
from mambascope_trainer.speculative.decoder import PlainDecoder, Settings, SpeculativeDecoder

PROMPTS = [[5, 9], [7, 3, 11, 2, 40, 8], [1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7]]


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hybrids(tmp_path_factory.mktemp("family") / "tiny")


def variant(family: Path, name: str, noise: float = 0.0) -> Llama:
    """A variant in float64; with noise, one that agrees with it now and then."""
    model = load_variant(Bundle.open(family), name).double()
    generator = torch.Generator().manual_seed(3)
    for parameter in model.parameters():
        parameter.data += (
            noise * torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * parameter.std()
        )
    return model


def on_features(family: Path, name: str, noise: float, scale: float) -> Llama:
    """A draft that also reads its target's hidden states, by random weights."""
    draft = variant(family, name, noise)
    width = draft.arch.hidden_size
    draft.features_proj = nn.Linear(width, width, bias=False, dtype=torch.float64)
    weight = torch.randn(width, width, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    draft.features_proj.weight.data = scale * weight
    return draft


def naive(model: Llama, prompt: list[int], count: int) -> list[int]:
    """Greedy, reading everything again for every token."""
    tokens = list(prompt)
    with torch.no_grad():
        for _ in range(count):
            tokens.append(int(model(torch.tensor([tokens]))[0][0, -1].argmax()))
    return tokens[len(prompt) :]


@pytest.mark.parametrize("target", ["teacher", "half", "none"])
def test_plain_decoding_is_the_models_own(family: Path, target: str) -> None:
    model = variant(family, target)
    decoder = PlainDecoder(model, context=64)
    for prompt in PROMPTS:
        assert decoder.generate(prompt, Settings(16)).tokens == naive(model, prompt, 16)


@pytest.mark.parametrize("target", ["teacher", "half", "none"])
@pytest.mark.parametrize(("draft", "noise"), [("half", 0.0), ("none", 0.25), ("teacher", 0.25), ("none", 3.0)])
def test_greedy_output_is_that_of_plain_decoding(family: Path, target: str, draft: str, noise: float) -> None:
    model, guesser = variant(family, target), variant(family, draft, noise)
    accepted: list[int] = []
    for tokens in (1, 2, 5):
        decoder = SpeculativeDecoder(model, guesser, tokens, context=64)
        for prompt in PROMPTS:
            found = decoder.generate(prompt, Settings(24))
            assert found.tokens == naive(model, prompt, 24)
            accepted += found.accepted
    assert 0 <= min(accepted) <= max(accepted) <= 5


def cycles_on_features(target: Llama, draft: Llama, prompt: list[int], count: int, length: int) -> list[int]:
    """How many drafts stand in each cycle, reading everything again for every token.

    The features before a cycle's two last tokens are the target's; a draft that stood keeps those it was read with.
    """
    tokens, accepted = list(prompt), []
    features = F.pad(target.read(torch.tensor([prompt]))[0], (0, 0, 1, 0))[0, :-1]
    while len(tokens) < len(prompt) + length:
        hidden = F.pad(target.read(torch.tensor([tokens]))[0], (0, 0, 1, 0))[0, :-1]
        features = torch.cat([features[: len(tokens) - 2], hidden[-2:]])
        drafted = list(tokens)
        for _ in range(count):
            row = draft.read(torch.tensor([drafted]), features=features[None])[0][0, -1:]
            drafted.append(int((row @ draft.head_weight.T).argmax()))
            features = torch.cat([features, row])
        best = target(torch.tensor([drafted]))[0][0].argmax(dim=-1)[len(tokens) - 1 :].tolist()
        guessed = drafted[len(tokens) :]
        stood = next((i for i, (one, other) in enumerate(zip(guessed, best, strict=False)) if one != other), count)
        accepted.append(stood)
        tokens += [*guessed[:stood], best[stood]]
    return accepted


@pytest.mark.parametrize("target", ["teacher", "half", "none"])
@pytest.mark.parametrize(("draft", "noise", "scale"), [("half", 0.0, 0.001), ("none", 0.1, 0.3)])
def test_a_draft_on_features_changes_no_answer(
    family: Path, target: str, draft: str, noise: float, scale: float
) -> None:
    model, guesser = variant(family, target), on_features(family, draft, noise, scale)
    for tokens in (1, 4):
        decoder = SpeculativeDecoder(model, guesser, tokens, context=64)
        for prompt in PROMPTS:
            assert decoder.generate(prompt, Settings(20)).tokens == naive(model, prompt, 20)


@torch.no_grad()
def test_a_draft_on_features_reads_those_of_the_contract(family: Path) -> None:
    """True ones before the tokens that the target has read, own ones beyond: as many drafts stand as by definition."""
    model, seen = variant(family, "half"), set()
    for noise, scale in ((0.0, 0.002), (0.0, 0.0005)):
        guesser = on_features(family, "half", noise, scale)
        decoder = SpeculativeDecoder(model, guesser, 3, context=64)
        for prompt in PROMPTS:
            found = decoder.generate(prompt, Settings(24)).accepted
            assert found == cycles_on_features(model, guesser, prompt, 3, 24)
            seen |= set(found)
    assert len(seen) > 2


def test_a_draft_on_features_cannot_decode_alone(family: Path) -> None:
    with pytest.raises(MambascopeError, match="features"):
        PlainDecoder(on_features(family, "half", 0.0, 0.1), context=32).generate(PROMPTS[0], Settings(2))


def test_a_shortlist_changes_what_is_drafted_and_not_the_answer(family: Path) -> None:
    model, guesser = variant(family, "half"), variant(family, "half")
    generator = torch.Generator().manual_seed(2)
    shortlist = torch.randperm(model.arch.vocab_size, generator=generator)[:100]
    decoder = SpeculativeDecoder(model, guesser, 3, context=96, shortlist=shortlist)
    drafted = set()
    for prompt in PROMPTS:
        found = decoder.generate(prompt, Settings(40))
        assert found.tokens == naive(model, prompt, 40)
        drafted |= set(decoder.state.result[:3].tolist())
    assert drafted <= set(shortlist.tolist())
    everything = SpeculativeDecoder(model, guesser, 3, 96, shortlist=torch.randperm(model.arch.vocab_size))
    assert set(everything.generate(PROMPTS[1], Settings(20)).accepted) == {3}


def test_a_draft_that_is_the_target_is_always_accepted(family: Path) -> None:
    decoder = SpeculativeDecoder(variant(family, "half"), variant(family, "half"), 4, context=64)
    found = decoder.generate(PROMPTS[1], Settings(20))
    assert found.accepted == [4, 4, 4, 4]


def test_acceptance_varies_and_a_stop_token_ends_the_answer(family: Path) -> None:
    model, guesser = variant(family, "half"), variant(family, "half", 0.1)
    decoder = SpeculativeDecoder(model, guesser, 3, context=96)
    whole = decoder.generate(PROMPTS[2], Settings(60))
    assert len(set(whole.accepted)) > 1  # partial rollbacks did happen
    stop = whole.tokens[7]
    expected = whole.tokens[: whole.tokens.index(stop)]
    assert decoder.generate(PROMPTS[2], Settings(60, stop=(stop,))).tokens == expected


def test_memory_is_one_checkpoint_and_the_inputs_of_a_pass(family: Path) -> None:
    decoder = SpeculativeDecoder(variant(family, "none"), variant(family, "none"), 4, context=64)
    config = decoder.target.model.mamba(0).config
    memory = decoder.target.memory()
    size = 8  # float64
    assert memory["checkpoint"] == 3 * config.num_heads * config.state_size * config.head_dim * size
    rows = 5 * (
        config.num_kv_heads * config.state_size
        + (config.num_kv_heads if config.form == "discrete" else config.num_heads) * config.head_dim
        + config.num_heads
    )
    assert memory["cached"] == 3 * (rows + (5 + config.conv_kernel - 1) * config.conv_size) * size


def test_what_does_not_fit_is_refused(family: Path) -> None:
    decoder = SpeculativeDecoder(variant(family, "none"), variant(family, "none"), 4, context=32)
    with pytest.raises(ValueError, match="two tokens"):
        decoder.generate([3], Settings(4))
    with pytest.raises(ValueError, match="context of 32"):
        decoder.generate(PROMPTS[0], Settings(30))


def test_decisions_of_greedy_and_of_one_hot_distributions_agree() -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        logits = torch.randn(4, 5, generator=generator)
        drafts = torch.randint(0, 5, (3,), generator=generator)
        q = torch.nn.functional.one_hot(drafts, 5).float()
        uniforms = torch.rand(4, generator=generator)
        assert [int(x) for x in decide(drafts, q, distribution(logits, 0.0), uniforms)] == [
            int(x) for x in decide_greedy(drafts, logits.argmax(dim=-1))
        ]


def chi_squared(counts: Tensor, expected: Tensor) -> float:
    """The p-value of counts against probabilities."""
    expected = expected.double() / expected.double().sum() * counts.sum()
    statistic = ((counts - expected).square() / expected).sum()
    return float(torch.special.gammaincc(torch.tensor((len(counts) - 1) / 2.0).double(), statistic / 2))


def test_sampled_tokens_have_the_targets_distribution() -> None:
    """The first two tokens of many cycles, jointly, of a chain whose target depends on the token before."""
    generator = torch.Generator().manual_seed(1)
    size, cycles = 4, 8_000
    target = torch.randn(size, size, generator=generator).mul(1.5).softmax(dim=-1)
    drafted = torch.randn(size, size, generator=generator).mul(1.5).softmax(dim=-1)
    counts = torch.zeros(size, size, dtype=torch.double)
    uniforms = torch.rand(cycles, 6, generator=generator)
    for row in uniforms:
        first = draw(drafted[0], row[0])
        second = draw(drafted[first], row[1])
        drafts, q = torch.stack([first, second]), torch.stack([drafted[0], drafted[first]])
        p = torch.stack([target[0], target[first], target[second]])
        accepted, following = decide(drafts, q, p, row[2:5])
        tokens = [*drafts[: int(accepted)].tolist(), int(following)]
        if len(tokens) == 1:  # the next cycle's: of the target by definition
            tokens.append(int(draw(target[tokens[0]], row[5])))
        counts[tokens[0], tokens[1]] += 1
    expected = target[0].double()[:, None] * target.double()
    assert chi_squared(counts.flatten(), expected.flatten()) > 1e-3


@pytest.mark.parametrize(("short", "features"), [(False, False), (True, False), (True, True)])
def test_the_decoder_samples_as_plain_decoding_does(family: Path, short: bool, features: bool) -> None:
    """The first sampled token over many seeds; a shortlist that lacks the likeliest token changes nothing."""
    model = variant(family, "half")
    guesser = on_features(family, "half", 0.3, 0.2) if features else variant(family, "half", 0.3)
    with torch.no_grad():
        exact = distribution(model(torch.tensor([PROMPTS[1]]))[0][0, -1], 0.35)
    shortlist = exact.argsort(descending=True)[1:60] if short else None
    speculative = SpeculativeDecoder(model, guesser, 2, context=32, temperature=0.35, shortlist=shortlist)
    found = torch.zeros(exact.shape[0], dtype=torch.double)
    for seed in range(400):
        found[speculative.generate(PROMPTS[1], Settings(1, temperature=0.35, seed=seed)).tokens[0]] += 1
    common = exact.topk(4).indices
    rest = 1 - exact[common].sum()
    counts = torch.cat([found[common], (found.sum() - found[common].sum())[None]])
    assert chi_squared(counts, torch.cat([exact[common], rest[None]])) > 1e-3


def test_the_nucleus_keeps_the_likeliest_tokens() -> None:
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0]])
    kept = distribution(logits, 1.0, top_p=0.8)
    plain = logits.softmax(dim=-1)
    assert (kept[0, 2:] == 0).all()
    torch.testing.assert_close(kept[0, :2], plain[0, :2] / plain[0, :2].sum())
