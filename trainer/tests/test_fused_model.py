"""The fused passes against plain PyTorch, by Triton's interpreter where there is no GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from samples import ARCHITECTURE
from torch import Tensor

from mambascope_trainer.bundle import Architecture
from mambascope_trainer.mixers.attention import rotary_table, rotate
from mambascope_trainer.model.config import Mamba2Config
from mambascope_trainer.model.llama import Llama, RMSNorm
from mambascope_trainer.speculative import decoder
from mambascope_trainer.speculative.cycle import Cycle
from mambascope_trainer.speculative.decide import decide_greedy
from mambascope_trainer.speculative.decoder import PlainDecoder, Settings, SpeculativeDecoder
from mambascope_trainer.speculative.fused_model import FusedModel, unfit
from mambascope_trainer.speculative.fused_products import Best, Launch, Norm
from mambascope_trainer.speculative.open_model import checked, open_model
from mambascope_trainer.speculative.static_model import StaticModel

pytest.importorskip("triton", reason="needs Triton: pip install triton (it comes with PyTorch's CUDA builds)")
pytestmark = pytest.mark.cuda(interpreter=True)

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
#: Widths of SmolLM2-135M and of the stories family.
SMOLLM2, STORIES = (576, 1536, 9, 3), (256, 768, 4, 2)
#: As small as the kernels take it: the interpreter is slow.
SMALL = replace(ARCHITECTURE, intermediate_size=64, vocab_size=64)
SSD: dict[str, Any] = {"form": "ssd", "norm": "rms"}
DISCRETE: dict[str, Any] = {"form": "discrete", "norm": "none", "conv_activation": "identity"}


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE) * scale


def random_model(
    layers: list[str], options: dict[str, Any], arch: Architecture = SMALL, features: bool = False, seed: int = 0
) -> Llama:
    """Every parameter random, in float32."""
    model = Llama(replace(arch, num_hidden_layers=len(layers)), features)
    mamba = [index for index, name in enumerate(layers) if name == "mamba2"]
    model.add_mamba(mamba, Mamba2Config.like_attention(arch, **options))
    model.use(layers)
    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        scale, mean = (0.1, 0.0) if parameter.dim() == 2 else (0.3, 0.7)
        parameter.data = torch.randn(parameter.shape, generator=generator) * scale + mean
    return model.to(DEVICE).eval().requires_grad_(False)


def compare(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-4)


@pytest.mark.parametrize(
    ("rows", "width", "group"),
    [
        *[(rows, SMOLLM2[0], 0) for rows in range(1, 10)],
        *[(9, width, None) for width in (SMOLLM2[1], STORIES[1], 64, 200)],
        *[(1, SMOLLM2[1], None), (3, SMOLLM2[0], 64), (16, STORIES[0], 8), (4, 200, 8)],
    ],
)
def test_a_product_takes_in_its_norm_and_the_residual(rows: int, width: int, group: int | None) -> None:
    x, weight, held = normal(rows, width), normal(21, width, seed=1, scale=0.1), normal(rows, 32, seed=2)
    scale = normal(width, seed=3)
    normed = x
    if group is not None:
        parts = x.unflatten(1, (-1, group or width))
        normed = F.rms_norm(parts, parts.shape[-1:], eps=1e-5).flatten(1) * scale
    norm = None if group is None else Norm(scale, 1e-5, group or None)
    out = held.clone()
    Launch().product(x, width, norm, weight, out[:, :21], add=True)
    compare(out[:, :21], held[:, :21] + normed @ weight.T)
    assert torch.equal(out[:, 21:], held[:, 21:])
    if rows == 9:
        Launch().product(x, width, norm, weight, out[:, :21], add=False)
        compare(out[:, :21], normed @ weight.T)


@pytest.mark.parametrize(("rows", "width"), [(1, SMOLLM2[0]), (9, SMOLLM2[0]), (3, STORIES[0])])
def test_the_gated_product_is_that_of_the_mlp(rows: int, width: int) -> None:
    x, norm = normal(rows, width), RMSNorm(width, 1e-5).to(DEVICE).requires_grad_(False)
    gate, up = normal(37, width, seed=1, scale=0.1), normal(37, width, seed=2, scale=0.1)
    out = normal(rows, 48, seed=3)[:, :37]
    Launch().gated(x, Norm(norm.weight, 1e-5), gate, up, out)
    compare(out, F.silu(norm(x) @ gate.T) * (norm(x) @ up.T))


@pytest.mark.parametrize(("rows", "sizes"), [(9, SMOLLM2), (1, STORIES)])
def test_queries_are_rotated_and_keys_and_values_cached(sizes: tuple[int, int, int, int], rows: int) -> None:
    width, _, _, groups = sizes
    heads, size, length, place = groups + 1, 64, 24, 7
    x, norm = normal(rows, width), RMSNorm(width, 1e-5).to(DEVICE).requires_grad_(False)
    weights = [normal(n * size, width, seed=n, scale=0.1) for n in (heads, groups, groups)]
    arch = replace(ARCHITECTURE, head_dim=size)
    cos, sin = rotary_table(arch, length, DEVICE)
    keys, values = normal(1, groups, length, size, seed=5), normal(1, groups, length, size, seed=6)
    before = keys.clone(), values.clone()
    q, position = torch.zeros(rows, heads * size, device=DEVICE), torch.tensor([place + 2], device=DEVICE)
    Launch().rotary(x, Norm(norm.weight, 1e-5), (weights[0], weights[1], weights[2]), (cos, sin), position, -2, q, keys,
                    values)  # fmt: skip
    parts = [(norm(x) @ weight.T).view(rows, -1, size).transpose(0, 1) for weight in weights]
    at = slice(place, place + rows)
    compare(q.view(rows, heads, size).transpose(0, 1), rotate(parts[0], cos[at], sin[at]))
    compare(keys[0, :, at], rotate(parts[1], cos[at], sin[at]))
    compare(values[0, :, at], parts[2])
    for cache, was in zip((keys, values), before, strict=True):
        assert torch.equal(cache[:, :, :place], was[:, :, :place])
        assert torch.equal(cache[:, :, place + rows :], was[:, :, place + rows :])


@pytest.mark.parametrize("width", [SMOLLM2[0], STORIES[0]])
def test_the_likeliest_token_is_the_first_of_equals(width: int) -> None:
    rows = 3
    x, norm = normal(rows, width), Norm(torch.ones(width, device=DEVICE), 1e-5)
    weight = normal(70, width, seed=1)
    weight[66] = weight[5]
    x[1] = weight[5]
    hidden, best = torch.zeros(rows, width, device=DEVICE), Best(70, DEVICE)
    logits = torch.zeros(rows, 70, device=DEVICE)
    Launch().head(x, norm, weight, hidden, logits, best)
    compare(hidden, F.rms_norm(x, (width,), eps=1e-5))
    compare(logits, hidden @ weight.T)
    Launch().head(x, norm, weight, hidden, None, best)
    shortlist = torch.arange(70, device=DEVICE) * 3 + 1
    for out, expected in ((3, shortlist[logits.argmax(dim=-1)]), (1, shortlist[logits[2:].argmax(dim=-1)])):
        found = torch.zeros(out, dtype=torch.long, device=DEVICE)
        best.pick(rows, found, shortlist, Launch())
        assert torch.equal(found, expected)
    found = torch.zeros(rows, dtype=torch.long, device=DEVICE)
    best.pick(rows, found, None, Launch())
    assert found[1] == 5


PASSES = [("verify", 4), ("open", 2), ("step", 1), ("verify", 1)]


@pytest.mark.parametrize(
    ("layers", "options", "features"),
    [
        (["attention", "mamba2"], {**SSD, "norm_groups": 4}, True),
        (["mamba2"], {**SSD, "norm_groups": 1, "gate": False, "conv_kernel": 0}, False),
        (["mamba2"], DISCRETE, False),
    ],
)
@torch.no_grad()
def test_passes_of_every_kind_equal_those_in_plain_pytorch(
    layers: list[str], options: dict[str, Any], features: bool
) -> None:
    model = random_model(layers, options, features=features)
    assert unfit(model, 4) is None
    size, width = model.arch.vocab_size, model.arch.hidden_size
    plain, fused = StaticModel(model, 40, 4), FusedModel(model, 40, 4)
    generator = torch.Generator().manual_seed(1)

    def tokens(count: int) -> tuple[Tensor, Tensor | None]:
        ids = torch.randint(0, size, (1, count), generator=generator).to(DEVICE)
        read = torch.randn(1, count, width, generator=generator).to(DEVICE)
        return ids, read if features else None

    prompt, before = tokens(5)
    _, states = model.read(prompt, features=before)
    plain.load(states)
    fused.load(states)
    position, offset = torch.tensor([5], device=DEVICE), 0
    for kind, count in PASSES:
        ids, before = tokens(count)
        if kind != "step":  # a cycle's first pass: a part of what the last one read was kept
            kept = torch.randint(1, offset + 1, (1,), generator=generator).to(DEVICE) if offset else position * 0
            position += kept
            if offset:
                plain.moved_by(kept)
                fused.moved_by(kept)
            offset = 0
        how: dict[str, Any] = {"shift": offset, "offset": offset, "features": before}
        compare(fused.run(ids, position, kind, **how), plain.run(ids, position, kind, **how))
        compare(fused.hidden[:count], plain.hidden[:count])
        offset += count


@torch.no_grad()
def test_a_token_is_read_alike_however_many_are_read() -> None:
    """Bit for bit: a verify pass after a replay, and plain passes over the same tokens."""
    model = random_model(["attention", "mamba2"], {**DISCRETE, "norm": "rms"})
    prompt, ids = (torch.arange(start, start + 4, device=DEVICE)[None] * 7 % 64 for start in (2, 6))
    _, states = model.read(prompt)
    position, one = torch.tensor([4], device=DEVICE), torch.tensor([1], device=DEVICE)
    together, singly = FusedModel(model, 40, 2), FusedModel(model, 40, 1)
    for fused in (together, singly):
        fused.load(states)
    rows = []
    for t in range(3):
        rows.append(singly.run(ids[:, t : t + 1], position, "plain", shift=t))
        singly.moved_by(one)
    together.run(ids[:, :2], position, "verify")
    together.moved_by(one)  # the second is read again, after the replay of the first
    found = together.run(ids[:, 1:3], position, "verify", shift=1)
    assert torch.equal(found, torch.cat(rows[1:]))


def test_kernels_that_give_something_else_are_not_used() -> None:
    """In 16 bits; not bfloat16, whose products the interpreter does not know."""
    model = random_model(["mamba2"], DISCRETE, features=True)
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2 and "conv1d" not in name:
            parameter.data = parameter.data.half()
    fused = FusedModel(model, 40, 2)
    assert checked(fused) is fused
    fused.rates = [-rate for rate in fused.rates]  # states that grow instead of fading
    with pytest.raises(ValueError, match="away from those of plain PyTorch"):
        checked(fused)


def by_fused(model: Llama, length: int, tokens: int, shortlist: Tensor | None = None, *_: Any, **__: Any) -> FusedModel:
    """As `open_model`, whatever the device."""
    return FusedModel(model, length, tokens, shortlist)


def test_decoders_of_fused_passes_give_the_models_own_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    target = random_model(["mamba2"], DISCRETE)
    draft = random_model(["mamba2"], DISCRETE, features=True, seed=3)
    draft.embed_tokens.weight.data = target.embed_tokens.weight.data
    shortlist, prompt = torch.arange(0, 64, 2, device=DEVICE), [7, 3, 11, 2, 40, 8]
    expected = SpeculativeDecoder(target, draft, 2, 40, shortlist=shortlist, fused=False).generate(prompt, Settings(4))
    monkeypatch.setattr(decoder, "open_model", by_fused)
    assert PlainDecoder(target, 40).generate(prompt, Settings(2)).tokens == expected.tokens[:2]
    found = SpeculativeDecoder(target, draft, 2, 40, shortlist=shortlist).generate(prompt, Settings(4))
    assert (found.tokens, found.accepted) == (expected.tokens, expected.accepted)


@pytest.mark.parametrize("drafts", [[5, 6, 7], [5, 6, 1], [5, 0, 7], [0, 6, 7]])
def test_a_cycle_is_settled_by_its_kernel_as_in_plain_pytorch(drafts: list[int]) -> None:
    """Which drafts stand, what follows, and the features before the next pair."""
    target = random_model(["mamba2"], DISCRETE)
    draft = random_model(["mamba2"], DISCRETE, features=True)
    cycle = Cycle(FusedModel(target, 40, 4), FusedModel(draft, 40, 4), 3)
    assert cycle.features is not None
    start = torch.tensor([1, 2, *drafts], device=DEVICE)
    features = normal(1, 2, 64, seed=1)
    cycle.target.hidden.copy_(normal(4, 64, seed=2))
    cycle.best.copy_(torch.tensor([5, 6, 7, 8]))
    ends = []
    for end in (cycle.settle_greedy, lambda: cycle.settle(*decide_greedy(cycle.tokens[2:], cycle.best))):
        cycle.tokens.copy_(start)
        cycle.position.fill_(9)
        cycle.features.copy_(features)
        for model in (cycle.target, cycle.draft):
            assert isinstance(model, FusedModel)
            model.reset()
        end()
        moved = (cycle.tokens[:2], cycle.result, cycle.position, cycle.features, cycle.target.accepted)
        sides = [model.side for model in (cycle.target, cycle.draft) if isinstance(model, FusedModel)]
        ends.append([x.clone() for x in (*moved, *sides)])
    for found, expected in zip(*ends, strict=True):
        assert torch.equal(found, expected)


def test_what_the_kernels_do_not_serve_is_named() -> None:
    model = random_model(["attention"], {})
    assert "16 tokens" in str(unfit(model, 17))
    wide = replace(SMALL, intermediate_size=4096)
    assert "4096" in str(unfit(random_model(["attention"], {}, wide), 4))
    assert "float64" in str(unfit(model.double(), 4))
    if DEVICE.type == "cpu":
        assert isinstance(open_model(random_model(["attention"], {}), 40, 4), StaticModel)
