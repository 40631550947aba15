"""The features that a draft meets as it decodes: its target's, and in between its own.

Within a cycle of speculation the target has not read the newest tokens yet, so a draft on features goes on from its own
hidden states, and drafts that stand keep what was computed so. A draft that trained on true features alone has never
seen its own errors (HASS, arXiv 2408.15766, section 3.2; EAGLE-3, arXiv 2503.01840, section 3.2: training-time test).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..model.draft import features_before
from ..model.llama import Llama


def own_positions(length: int, longest: int, generator: torch.Generator) -> Tensor:
    """Which of `length` tokens read the draft's own hidden states (length,), on the CPU.

    Cycles one after another: one or two tokens with true features, then a run of up to `longest` with own ones. The
    first cycle is cut at random, and the very first token, before which there is no state, always reads a true one.
    """
    cycles = length // 2 + longest + 2
    true = torch.randint(1, 3, (cycles,), generator=generator)
    own = torch.randint(1, longest + 1, (cycles,), generator=generator)
    kinds = torch.tensor([False, True]).repeat(cycles).repeat_interleave(torch.stack([true, own], dim=1).flatten())
    start = int(torch.randint(0, longest + 2, (), generator=generator))
    places = kinds[start : start + length].clone()
    places[0] = False
    return places


def trained_features(draft: Llama, ids: Tensor, target: Tensor, own: Tensor, passes: int) -> Tensor:
    """Features (b, T, D) for a draft's last of `passes` passes over ids (b, T); target (b, T, D): true hidden states.

    The first pass reads true features. Each later one reads, at the positions `own` (T,), the draft's hidden states of
    the pass before, which for the k-th of a run have themselves come from k - 1 own features from the k-th pass on.
    No gradient goes through the earlier passes.
    """
    true = features_before(target)
    features = true
    with torch.no_grad():
        for _ in range(passes - 1):
            hidden = draft.hidden(ids, features=features)
            features = torch.where(own[:, None], features_before(hidden).to(true.dtype), true)
    # Casts of weights that were made without gradients would serve the pass that needs them.
    torch.clear_autocast_cache()
    return features
