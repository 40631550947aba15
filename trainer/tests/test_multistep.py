"""The multi-step state update against plain steps, for any number of accepted tokens."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mambascope_trainer.mixers.scan import scan_loop
from mambascope_trainer.speculative.multistep import Inputs, advance_state, multistep, multistep_reference

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def random_pass(
    seed: int, length: int, heads: int, groups: int, v_groups: int, n: int, p: int, batch: int = 2
) -> tuple[Tensor, Inputs]:
    """C and inputs of `length` tokens, float64."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(DEVICE)

    inputs = Inputs(
        normal(batch, length, groups, n), normal(batch, length, v_groups, p), -normal(batch, length, heads).exp()
    )
    return normal(batch, length, heads, n), inputs


def test_tokens_past_the_count_are_an_exact_identity() -> None:
    _, inputs = random_pass(0, 5, 4, 2, 2, 8, 4)
    state = torch.randn(2, 4, 8, 4, dtype=torch.float64, device=DEVICE)
    after = advance_state(state, inputs, torch.tensor([0, 3], device=DEVICE))
    assert torch.equal(after[0], state[0])
    shorter = Inputs(*(x[1:, :3] for x in inputs.tensors()))
    assert torch.equal(after[1:], advance_state(state[1:], shorter))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_replay_of_any_accepted_tokens_equals_plain_steps(data: st.DataObject) -> None:
    """Several cycles with random acceptance: each pass's outputs and checkpoint are those of the kept tokens alone."""
    heads = 4
    groups, v_groups = data.draw(st.sampled_from([1, 2, 4])), data.draw(st.sampled_from([2, 4]))
    tokens = data.draw(st.integers(1, 6))
    state = torch.zeros(1, heads, 8, 4, dtype=torch.float64, device=DEVICE)
    kept: list[tuple[Tensor, Inputs]] = []
    cached = Inputs.zeros((1, tokens, heads, groups, v_groups, 8, 4), torch.device(DEVICE), torch.float64)
    accepted = torch.zeros(1, dtype=torch.long, device=DEVICE)
    for cycle in range(4):
        C, new = random_pass(data.draw(st.integers(0, 2**16)) + cycle, tokens, heads, groups, v_groups, 8, 4, batch=1)
        y = multistep(state, C, new, cached, accepted)
        history = [*kept, (C, new)]
        joined = [torch.cat([step[1].tensors()[i] for step in history], dim=1) for i in range(3)]
        expected, _ = scan_loop(torch.cat([step[0] for step in history], dim=1), *joined)
        torch.testing.assert_close(y, expected[:, -tokens:])
        if kept:
            before, _ = scan_loop(torch.cat([step[0] for step in kept], dim=1), *(x[:, :-tokens] for x in joined))
            assert before.shape[1] + tokens == expected.shape[1]
            _, last = scan_loop(torch.cat([step[0] for step in kept], dim=1), *(x[:, :-tokens] for x in joined))
            torch.testing.assert_close(state, last)
        count = data.draw(st.integers(1, tokens))
        cached.write(new, 0)
        accepted.fill_(count)
        kept.append((C[:, :count], Inputs(*(x[:, :count] for x in new.tensors()))))


@pytest.mark.cuda(interpreter=True)
@pytest.mark.parametrize(
    ("heads", "groups", "v_groups", "n", "p", "steps", "held"),
    [(2, 1, 1, 64, 64, 5, 5), (4, 2, 4, 128, 64, 1, 3), (3, 3, 3, 16, 32, 9, 2), (2, 2, 1, 32, 128, 2, 0)],
)
def test_the_kernel_equals_the_definition(
    heads: int, groups: int, v_groups: int, n: int, p: int, steps: int, held: int
) -> None:
    pytest.importorskip("triton", reason="needs Triton: pip install triton (it comes with PyTorch's CUDA builds)")
    from mambascope_trainer.speculative.multistep_triton import multistep_triton

    C, new = random_pass(1, steps, heads, groups, v_groups, n, p)
    _, old = random_pass(2, max(held, 1), heads, groups, v_groups, n, p)
    C = C.float()
    new, old = (Inputs(*(x.float() for x in inputs.tensors())) for inputs in (new, old))
    cached = old if held else None
    for counts in ([0, held], [held, min(1, held)]):
        accepted = torch.tensor(counts, device=DEVICE) if held else None
        state = torch.randn(2, heads, n, p, device=DEVICE)
        y, checkpoint, end = multistep_reference(state, cached, accepted, C, new)
        mine, last = state.clone(), torch.empty_like(state)
        found = multistep_triton(mine, C, new, cached, accepted, last)
        for value, expected in ((found, y), (mine, checkpoint), (last, end)):
            torch.testing.assert_close(value, expected, rtol=2e-5, atol=2e-4)
        # The state may be its own last: a step that keeps no checkpoint.
        multistep_triton(mine, C, new, None, None, mine)
        torch.testing.assert_close(mine, end, rtol=2e-5, atol=2e-4)
