"""Plain and speculative decoding over static states, a cycle a CUDA graph.

A cycle: the draft proposes K tokens one by one, the target reads them in one pass, and the accepted ones are kept with
one token more, the target's own. Draft and target then replay what was accepted at the start of their next pass.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..model.llama import Llama
from .cycle import Cycle
from .decide import decide, distribution, draw
from .open_model import open_model
from .replayed import ReadBack, Replayed


@dataclass(frozen=True)
class Settings:
    """temperature 0 is greedy. context: tokens of prompt and answer together."""

    max_new_tokens: int
    stop: tuple[int, ...] = ()
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclass
class Decoded:
    """tokens: the answer, without the stop token; accepted: drafts that stood, a cycle; seconds: from the read
    prompt to the last token."""

    tokens: list[int] = field(default_factory=list)
    accepted: list[int] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, tokens: Sequence[int], settings: Settings) -> bool:
        """Take tokens in; true if the answer has ended."""
        for token in tokens:
            if token in settings.stop or len(self.tokens) >= settings.max_new_tokens:
                return True
            self.tokens.append(token)
        return len(self.tokens) >= settings.max_new_tokens


class PlainDecoder:
    """Token by token, each a CUDA graph: the baseline. `fused` as of `open_model`."""

    def __init__(
        self,
        model: Llama,
        context: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        graph: bool = True,
        fused: bool = True,
    ) -> None:
        self.target = open_model(model, context, 1, fused=fused)
        self.temperature, self.top_p = temperature, top_p
        self.cycle = Cycle(self.target, None, 0)
        self.uniform = torch.zeros(1, device=self.target.device)
        self.none_accepted = torch.zeros(1, dtype=torch.long, device=self.target.device)
        self.step = Replayed(self._step, self.cycle.moving(), graph)
        self.read = ReadBack(self.cycle.result)

    def _step(self) -> None:
        cycle = self.cycle
        if self.temperature == 0:
            self.target.choose(cycle.unverified, cycle.position, "plain", cycle.best)
            cycle.settle_greedy()
        else:
            logits = self.target.run(cycle.unverified, cycle.position, "plain")
            following = draw(distribution(logits, self.temperature, self.top_p), self.uniform)
            cycle.settle(self.none_accepted, following)

    @torch.no_grad()
    def generate(self, prompt: Sequence[int], settings: Settings) -> Decoded:
        """The continuation of a prompt of two tokens or more."""
        _check(prompt, settings, self.target.length, 1)
        generator = torch.Generator(self.target.device).manual_seed(settings.seed)
        self.target.load(self.target.model.read(torch.tensor([prompt[:-1]], device=self.target.device))[1])
        self.cycle.start(prompt, None)
        found, started = Decoded(), _now(self.target.device)
        while True:
            if self.temperature > 0:
                self.uniform.uniform_(generator=generator)
            self.step()
            following, _ = self.read.take()
            if found.add([following], settings):
                found.seconds = time.perf_counter() - started
                return found


class SpeculativeDecoder:
    """`tokens` drafts a cycle by `draft`, a model with the target's vocabulary.

    A draft on features (EAGLE, arXiv 2401.15077) reads the target's hidden states before the tokens that the target has
    read, and its own in its steps beyond.

    shortlist (n,): the only tokens that it proposes; the target's output stays what it is, others are just never right.
    """

    def __init__(
        self,
        target: Llama,
        draft: Llama,
        tokens: int,
        context: int,
        temperature: float = 0.0,
        top_p: float = 1.0,
        shortlist: Tensor | None = None,
        graph: bool = True,
        fused: bool = True,
    ) -> None:
        if draft.arch.vocab_size != target.arch.vocab_size:
            raise ValueError("draft and target have different vocabularies")
        self.tokens, self.temperature, self.top_p = tokens, temperature, top_p
        self.target = open_model(target, context, tokens + 1, fused=fused)
        device = self.target.device
        self.shortlist = None if shortlist is None else shortlist.to(device)
        self.draft = open_model(draft, context, tokens + 1, self.shortlist, fused)
        self.state = Cycle(self.target, self.draft, tokens)
        self.uniforms = torch.zeros(2 * tokens + 1, device=device)
        self.cycle = Replayed(self._cycle, self.state.moving(), graph)
        self.read = ReadBack(self.state.result)

    def _read_by_draft(self, index: int) -> dict[str, Any]:
        """What the draft reads before its draft `index`: arguments of `StaticModel.run`."""
        state = self.state
        if index == 0:
            return {"ids": state.pair, "kind": "open", "shift": -1, "features": state.features}
        # Its own last row: of the two that it read first, or of the one since.
        row = 1 if index == 1 else 0
        own = None if state.features is None else self.draft.hidden[None, row : row + 1]
        ids = state.tokens[None, index + 1 : index + 2]
        return {"ids": ids, "kind": "step", "shift": index, "offset": index + 1, "features": own}

    def _cycle(self) -> None:
        state = self.state
        drafts = state.tokens[2:]
        distributions: list[Tensor] = []
        for index in range(self.tokens):
            reading = self._read_by_draft(index)
            if self.temperature == 0:
                self.draft.choose(position=state.position, out=drafts[index : index + 1], **reading)
                continue
            logits = self._spread(self.draft.run(position=state.position, **reading)[-1:])
            distributions.append(distribution(logits, self.temperature, self.top_p))
            drafts[index : index + 1] = draw(distributions[-1], self.uniforms[index : index + 1])
        if self.temperature == 0:
            self.target.choose(state.unverified, state.position, "verify", state.best)
            state.settle_greedy()
        else:
            logits = self.target.run(state.unverified, state.position, "verify")
            p = distribution(logits, self.temperature, self.top_p)
            state.settle(*decide(drafts, torch.cat(distributions), p, self.uniforms[self.tokens :]))

    def _spread(self, logits: Tensor) -> Tensor:
        """Logits over all tokens: those off the shortlist have no probability."""
        if self.shortlist is None:
            return logits
        everywhere = logits.new_full((logits.shape[0], self.target.model.arch.vocab_size), float("-inf"))
        return everywhere.index_copy_(1, self.shortlist, logits)

    def _start(self, prompt: Sequence[int]) -> None:
        """Both models up to where a cycle begins: the target before the last token, the draft before the last two."""
        ids = torch.tensor([prompt[:-1]], device=self.target.device)
        hidden, states = self.target.model.read(ids)
        self.target.load(states)
        # Of each of the prompt's tokens, what the target knew before it.
        before = F.pad(hidden, (0, 0, 1, 0)) if self.state.features is not None else None
        if len(prompt) > 2:
            read = None if before is None else before[:, :-2]
            self.draft.load(self.draft.model.read(ids[:, :-1], features=read)[1])
        else:
            self.draft.reset()
        self.state.start(prompt, None if before is None else before[:, -2:])

    @torch.no_grad()
    def generate(self, prompt: Sequence[int], settings: Settings) -> Decoded:
        """The continuation of a prompt of two tokens or more."""
        _check(prompt, settings, self.target.length, self.tokens + 1)
        device = self.target.device
        generator = torch.Generator(device).manual_seed(settings.seed)
        self._start(prompt)
        found, started = Decoded(), _now(device)
        while True:
            if self.temperature > 0:
                self.uniforms.uniform_(generator=generator)
            self.cycle()
            *drafts, following, accepted = self.read.take()
            found.accepted.append(accepted)
            if found.add([*drafts[:accepted], following], settings):
                found.seconds = time.perf_counter() - started
                return found


def _now(device: torch.device) -> float:
    """The time once the device has nothing left to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _check(prompt: Sequence[int], settings: Settings, context: int, beyond: int) -> None:
    if len(prompt) < 2:
        raise ValueError("a prompt has two tokens or more")
    if len(prompt) + settings.max_new_tokens + beyond > context:
        raise ValueError(f"prompt and answer do not fit a context of {context} tokens")
