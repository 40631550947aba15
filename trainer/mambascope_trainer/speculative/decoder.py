"""Plain and speculative decoding over static states, a cycle a CUDA graph.

A cycle: the draft proposes K tokens one by one, the target reads them in one pass, and the accepted ones are kept with
one token more, the target's own. Draft and target then replay what was accepted at the start of their next pass.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..model.llama import LayerState, Llama
from .decide import decide, decide_greedy, distribution, draw
from .replayed import ReadBack, Replayed
from .static_model import StaticModel


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


def _prefill(model: Llama, tokens: Sequence[int], device: torch.device) -> list[LayerState]:
    states: list[LayerState] = model(torch.tensor([tokens], device=device))[1]
    return states


class PlainDecoder:
    """Token by token, each a CUDA graph: the baseline."""

    def __init__(
        self, model: Llama, context: int, temperature: float = 0.0, top_p: float = 1.0, graph: bool = True
    ) -> None:
        self.target = StaticModel(model, context, 1)
        self.temperature, self.top_p = temperature, top_p
        self.token = torch.zeros(1, 1, dtype=torch.long, device=self.target.device)
        self.position = torch.zeros(1, dtype=torch.long, device=self.target.device)
        self.uniform = torch.zeros(1, device=self.target.device)
        self.step = Replayed(self._step, [self.token, self.position, *_moving(self.target)], graph)
        self.read = ReadBack(self.token)

    def _step(self) -> None:
        logits = self.target.run(self.token, self.position, "plain")
        if self.temperature == 0:
            self.token.copy_(logits.argmax(dim=-1, keepdim=True))
        else:
            self.token.copy_(draw(distribution(logits, self.temperature, self.top_p), self.uniform)[None])
        self.position += 1

    @torch.no_grad()
    def generate(self, prompt: Sequence[int], settings: Settings) -> Decoded:
        """The continuation of a prompt of two tokens or more."""
        _check(prompt, settings, self.target.length, 1)
        generator = torch.Generator(self.target.device).manual_seed(settings.seed)
        self.target.load(_prefill(self.target.model, prompt[:-1], self.target.device))
        self.token.fill_(prompt[-1])
        self.position.fill_(len(prompt) - 1)
        found, started = Decoded(), _now(self.target.device)
        while True:
            if self.temperature > 0:
                self.uniform.uniform_(generator=generator)
            self.step()
            if found.add(self.read.take(), settings):
                found.seconds = time.perf_counter() - started
                return found


class SpeculativeDecoder:
    """`tokens` drafts a cycle by `draft`, a model with the target's vocabulary.

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
    ) -> None:
        if draft.arch.vocab_size != target.arch.vocab_size:
            raise ValueError("draft and target have different vocabularies")
        self.tokens, self.temperature, self.top_p = tokens, temperature, top_p
        self.target = StaticModel(target, context, tokens + 1)
        device = self.target.device
        self.shortlist = None if shortlist is None else shortlist.to(device)
        self.draft = StaticModel(draft, context, tokens + 1, self.shortlist)
        #: The last two tokens: the draft reads both, as it has not yet read the last draft that stood.
        self.pair = torch.zeros(1, 2, dtype=torch.long, device=device)
        self.position = torch.zeros(1, dtype=torch.long, device=device)
        self.uniforms = torch.zeros(2 * tokens + 1, device=device)
        #: The cycle's tokens and how many of them count: what is read back.
        self.result = torch.zeros(tokens + 2, dtype=torch.long, device=device)
        moving = [self.pair, self.position, *_moving(self.target), *_moving(self.draft)]
        self.cycle = Replayed(self._cycle, moving, graph)
        self.read = ReadBack(self.result)

    def _propose(self) -> tuple[Tensor, Tensor | None]:
        """Drafts (K,) and the distributions (K, V) that they were drawn from; none for a greedy decoder."""
        logits = self.draft.run(self.pair, self.position - 1, "open")[-1:]
        drafts: list[Tensor] = []
        distributions: list[Tensor] = []
        for index in range(self.tokens):
            if index > 0:
                logits = self.draft.run(drafts[-1][None], self.position + index, "step", offset=index + 1)
            if self.temperature == 0:
                best = logits.argmax(dim=-1)
                drafts.append(best if self.shortlist is None else self.shortlist.index_select(0, best))
            else:
                distributions.append(distribution(self._spread(logits), self.temperature, self.top_p))
                drafts.append(draw(distributions[-1], self.uniforms[index : index + 1]))
        return torch.cat(drafts), torch.cat(distributions) if distributions else None

    def _spread(self, logits: Tensor) -> Tensor:
        """Logits over all tokens: those off the shortlist have no probability."""
        if self.shortlist is None:
            return logits
        everywhere = logits.new_full((logits.shape[0], self.target.model.arch.vocab_size), float("-inf"))
        return everywhere.index_copy_(1, self.shortlist, logits)

    def _cycle(self) -> None:
        drafts, q = self._propose()
        last = self.pair[:, 1]
        logits = self.target.run(torch.cat([last, drafts])[None], self.position, "verify")
        if q is None:
            accepted, following = decide_greedy(drafts, logits)
        else:
            p = distribution(logits, self.temperature, self.top_p)
            accepted, following = decide(drafts, q, p, self.uniforms[self.tokens :])
        self.result[:-2] = drafts
        self.result[-2:-1] = following
        self.result[-1:] = accepted
        self.pair[:, 0] = torch.cat([last, drafts]).index_select(0, accepted)
        self.pair[:, 1] = following
        self.position += accepted + 1
        self.target.moved_by(accepted + 1)
        self.draft.moved_by(accepted + 1)

    @torch.no_grad()
    def generate(self, prompt: Sequence[int], settings: Settings) -> Decoded:
        """The continuation of a prompt of two tokens or more."""
        _check(prompt, settings, self.target.length, self.tokens + 1)
        device = self.target.device
        generator = torch.Generator(device).manual_seed(settings.seed)
        self.target.load(_prefill(self.target.model, prompt[:-1], device))
        states = _prefill(self.draft.model, prompt[:-2], device) if len(prompt) > 2 else None
        self.draft.load(states) if states is not None else self.draft.reset()
        self.pair.copy_(torch.tensor([prompt[-2:]]))
        self.position.fill_(len(prompt) - 1)
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


def _moving(model: StaticModel) -> list[Tensor]:
    """The tensors of a model's states that a pass changes for good."""
    found = [model.accepted]
    for state in model.states:
        for value in vars(state).values():
            found += value.tensors() if not isinstance(value, Tensor) else [value]
    return found


def _check(prompt: Sequence[int], settings: Settings, context: int, beyond: int) -> None:
    if len(prompt) < 2:
        raise ValueError("a prompt has two tokens or more")
    if len(prompt) + settings.max_new_tokens + beyond > context:
        raise ValueError(f"prompt and answer do not fit a context of {context} tokens")
