"""The teacher's sampler against the model's own logits."""

from pathlib import Path

import pytest
import torch
from samples import ARCHITECTURE

from mambascope_trainer.bundle import Architecture, Bundle
from mambascope_trainer.data.chat import TurnMarkers
from mambascope_trainer.data.sampler import Sampler, for_sampling
from mambascope_trainer.model.config import Mamba2Config
from mambascope_trainer.model.llama import Llama
from mambascope_trainer.model.load import load_teacher
from mambascope_trainer.stages.pretrain import Pretrain

COLD = 1e-4
MIXERS: list[dict[str, object]] = [
    {},
    {"form": "discrete", "conv_activation": "identity", "norm": "none"},
    {"conv_kernel": 0, "gate": False, "norm_groups": 4},
]


@pytest.fixture(scope="module")
def teacher(models: Path) -> Llama:
    return load_teacher(Bundle.open(models / "tiny")).requires_grad_(False)


def hybrid(models: Path, pattern: list[str], options: dict[str, object]) -> Llama:
    """The tiny teacher with random Mamba-2 mixers, their states and decays far from trivial."""
    model = load_teacher(Bundle.open(models / "tiny"))
    torch.manual_seed(4)
    model.add_mamba(range(3), Mamba2Config.like_attention(model.arch, **options))
    for index in range(3):
        for name, parameter in model.mamba(index).named_parameters():
            if name not in ("in_proj.weight", "out_proj.weight"):
                parameter.data += 0.3 * torch.randn_like(parameter)
    model.use(pattern)
    return model.requires_grad_(False)


class Recording(Sampler):
    """Keeps the logits of every step."""

    def _logits(self, current: torch.Tensor, context: int) -> torch.Tensor:
        logits = super()._logits(current, context)
        self.steps = [*getattr(self, "steps", []), logits.clone()]
        return logits


def small_model(vocabulary: int) -> Llama:
    torch.manual_seed(0)
    arch = Architecture(**{**ARCHITECTURE.to_json(), "vocab_size": vocabulary, "num_hidden_layers": 1})
    model = Llama(arch).requires_grad_(False)
    Pretrain.initialise(model, 1)
    return model


def is_greedy(model: Llama, row: list[int], prompt: list[int]) -> bool:
    """Whether each token after the prompt is the likeliest one after those before it."""
    best = model(torch.tensor([row[:-1]]))[0][0].argmax(dim=-1).tolist()
    return row[: len(prompt)] == prompt and row[len(prompt) :] == best[len(prompt) - 1 :]


def test_a_cold_sample_is_greedy_decoding_for_prompts_of_any_length(teacher: Llama) -> None:
    prompts = [[5], [7, 8, 9, 10, 11], [100, 200, 300], list(range(20, 50))]
    for batch in (prompts, prompts[1:]):  # alone the longer ones are prefilled
        sampler = Sampler(teacher, len(batch), 40, None, seed=0)
        rows = sampler.sample(batch, [COLD] * len(batch)).tolist()
        assert all(is_greedy(teacher, row, prompt) for row, prompt in zip(rows, batch, strict=True))
        assert sampler.sample(batch, [COLD] * len(batch)).tolist() == rows  # nothing is left of the first call


@pytest.mark.parametrize("options", MIXERS)
@pytest.mark.parametrize("pattern", [["attention", "mamba2", "attention"], ["mamba2"] * 3])
def test_a_hybrids_sampled_logits_are_those_of_its_forward_pass(
    models: Path, pattern: list[str], options: dict[str, object]
) -> None:
    model = hybrid(models, pattern, options)
    for prompts in ([[5], [7, 8, 9, 10, 11]], [[1, 2, 3], list(range(20, 50))]):  # from nothing, and from a prefill
        sampler = Recording(model, 2, 40, None, seed=0)
        for _ in range(2):  # the second call starts from the states that the first has left
            sampler.steps = []
            rows = sampler.sample(prompts, [1.0, 1.5])
            known = min(map(len, prompts)) - 1
            expected = model(rows)[0][:, known:-1]
            torch.testing.assert_close(torch.stack(sampler.steps, dim=1), expected, rtol=1e-4, atol=1e-4)
            assert all(row[: len(p)].tolist() == p for row, p in zip(rows, prompts, strict=True))
    assert model.mamba(1).backend == "auto"


def test_a_hybrid_in_bfloat16_keeps_its_state_in_float32(models: Path) -> None:
    model = for_sampling(hybrid(models, ["attention", "mamba2", "mamba2"], MIXERS[1]), torch.device("cpu"), half=True)
    sampler = Recording(model, 2, 40, None, seed=0)
    rows = sampler.sample([[5], [7, 8]], [1.0, 1.0])
    assert model.layer(1).mlp.up_proj.weight.dtype == torch.bfloat16
    assert model.mamba(1).dt_bias.dtype == sampler.states[1][1].dtype == torch.float32
    expected = hybrid(models, model.pattern, MIXERS[1])(rows)[0][:, :-1]
    difference = torch.stack(sampler.steps, dim=1) - expected
    assert difference.square().mean().sqrt() < 0.03 * expected.std()


def test_a_changed_pattern_needs_another_sampler(models: Path) -> None:
    model = hybrid(models, ["mamba2"] * 3, {})
    sampler = Sampler(model, 1, 8, None, seed=0)
    model.use(["attention"] * 3)
    with pytest.raises(ValueError, match="another sampler"):
        sampler.sample([[1]], [1.0])


def test_the_context_may_outgrow_a_bucket(teacher: Llama) -> None:
    row = Sampler(teacher, 1, 140, None, seed=0).sample([[3, 4]], [COLD])[0].tolist()
    assert is_greedy(teacher, row, [3, 4])


def test_the_stop_token_is_repeated_to_the_end(teacher: Llama) -> None:
    prompt = [7, 8, 9]
    plain = Sampler(teacher, 1, 40, None, seed=0).sample([prompt], [COLD])[0].tolist()
    stop = plain[20]
    place = plain.index(stop, len(prompt))
    row = Sampler(teacher, 2, 40, None, seed=0).sample([prompt, [stop, 5]], [COLD] * 2, stop=stop)
    assert row[0].tolist() == plain[:place] + [stop] * (40 - place)
    assert row[1, :2].tolist() == [stop, 5]  # in a prompt it stops nothing
    assert (row[1, 2:5] != stop).any()


@pytest.mark.parametrize("temperature", [4.0, 2.0])
def test_tokens_are_drawn_from_the_softmax(temperature: float) -> None:
    model = small_model(12)
    model.embed_tokens.weight.mul_(4)
    count = 4000
    rows = Sampler(model, count, 3, None, seed=3).sample([[1, 2]] * count, [temperature] * count)
    probability = (model(torch.tensor([[1, 2]]))[0][0, -1] / temperature).softmax(dim=-1)
    assert 1.5 / 12 < probability.max() < 0.6
    expected = probability * count
    found = torch.bincount(rows[:, 2], minlength=12)
    chi_squared = ((found - expected) ** 2 / expected).sum()
    assert chi_squared < 31.26  # 11 degrees of freedom, p = 0.001; the seed is fixed


def test_min_p_drops_the_tail() -> None:
    model = small_model(12)
    probability = model(torch.tensor([[1]]))[0][0, -1].softmax(dim=-1)
    least = float(probability.sort(descending=True).values[3] / probability.max()) * 0.999
    rows = Sampler(model, 1000, 2, None, seed=0, min_p=least).sample([[1]] * 1000, [1.0] * 1000)
    assert set(rows[:, 1].tolist()) == set(probability.topk(4).indices.tolist())


def test_the_penalty_counts_sampled_tokens_not_the_prompts(teacher: Llama) -> None:
    penalised = torch.ones(ARCHITECTURE.vocab_size, dtype=torch.bool)

    prompts = [[5], [7, 8, 9, 10, 11, 12, 13, 14]]
    sampler = Sampler(teacher, 2, 40, None, seed=0, penalised=penalised)
    rows = sampler.sample(prompts, [COLD] * 2).tolist()
    assert sampler.seen is not None
    for row, prompt, seen in zip(rows, prompts, sampler.seen, strict=True):
        assert set(seen.nonzero().flatten().tolist()) == set(row[len(prompt) : -1])
        logits = teacher(torch.tensor([row]))[0][0]
        for t in range(len(prompt) - 1, len(row) - 1):
            sampled = row[len(prompt) : t + 1]
            logits[t, sampled] = torch.where(
                logits[t, sampled] > 0, logits[t, sampled] / 1.15, logits[t, sampled] * 1.15
            )
            assert row[t + 1] == logits[t].argmax()
        assert row[: len(prompt)] == prompt


END, TO_USER, TO_ASSISTANT, TO_NEW = 23, [14, 15], [16, 17, 18], [19, 20, 21, 22]


def test_turns_are_marked() -> None:
    markers = TurnMarkers(END, TO_ASSISTANT, TO_USER, TO_NEW)
    # The system turn's end in the prompt is followed by the prompt; an end that closes it opens the assistant's turn.
    prompts = [[1, END, 2, 3], [4], [5, 6, END]] * 10
    rows = Sampler(small_model(24), 30, 96, markers, seed=1).sample(prompts, [50.0] * 30).tolist()
    seen = {"assistant": 0, "user": 0, "new": 0}
    for row, prompt in zip(rows, prompts, strict=True):
        assert row[: len(prompt)] == prompt
        position, role = len(prompt) - 1, "user"
        while position < len(row):
            if row[position] != END:
                position += 1
                continue
            rest = row[position + 1 :]
            options = {"assistant": TO_ASSISTANT} if role == "user" else {"user": TO_USER, "new": TO_NEW}
            matching = [name for name, marker in options.items() if rest[: len(marker)] == marker[: len(rest)]]
            assert matching
            if len(rest) >= 4:
                (name,) = matching
                seen[name] += 1
            role = "assistant" if role == "user" else "user"
            position += 1
    assert min(seen.values()) > 3


@pytest.mark.parametrize(
    ("prompts", "temperatures"),
    [([[1]], [1.0, 1.0]), ([[1], []], [1.0, 1.0]), ([[1], [1] * 8], [1.0, 1.0]), ([[1], [2]], [1.0, -0.5])],
)
def test_calls_that_cannot_be_sampled_are_refused(
    teacher: Llama, prompts: list[list[int]], temperatures: list[float]
) -> None:
    with pytest.raises(ValueError, match=r"prompt|temperature"):
        Sampler(teacher, 2, 8, None, seed=0).sample(prompts, temperatures)


def test_a_temperature_of_zero_is_greedy(teacher: Llama) -> None:
    prompts = [[5, 6], [7, 8, 9]]
    rows = Sampler(teacher, 2, 30, None, seed=0, min_p=0.2).sample(prompts, [0.0, 0.0]).tolist()
    assert all(is_greedy(teacher, row, prompt) for row, prompt in zip(rows, prompts, strict=True))
    mixed = Sampler(teacher, 2, 30, None, seed=0).sample([prompts[0]] * 2, [0.0, 3.0]).tolist()
    assert mixed[0] == rows[0]
    assert mixed[1] != rows[0]


def test_turns_have_temperatures_of_their_own() -> None:
    """Users' turns at random, the assistant's greedy."""
    model, markers = small_model(24), TurnMarkers(END, TO_ASSISTANT, TO_USER, TO_NEW)
    count = 24
    rows = Sampler(model, count, 64, markers, seed=1).sample([[4]] * count, [0.0] * count, users=[50.0] * count)
    firsts, greedy, checked = set(), model(rows[:, :-1])[0].argmax(dim=-1), 0
    for row, best in zip(rows.tolist(), greedy.tolist(), strict=True):
        firsts.add(row[1])
        if END in row[:30]:
            begin = row.index(END) + len(TO_ASSISTANT)
            for place in range(begin, 63):
                assert row[place + 1] == best[place]
                checked += 1
                if row[place + 1] == END:
                    break
    assert len(firsts) > 10
    assert checked > 20
