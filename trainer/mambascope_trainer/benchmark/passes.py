"""What a pass over static states costs by each path that runs it: milliseconds, kernels, and how far results differ."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..model.llama import Llama
from ..speculative.fused_model import FusedModel
from ..speculative.open_model import SequenceModel, open_model
from ..speculative.replayed import Replayed
from ..speculative.static_model import Kind, StaticModel
from .multistep import median_seconds
from .profile import Profile, read_trace

#: Passes that a CUDA graph holds, so that its launch and the wait for it count little.
ROUNDS = 10


@dataclass(frozen=True)
class Pass:
    """kernels: on the GPU; deviation: ||logits - PyTorch's|| / ||PyTorch's||; as_single: whether
    a verify pass gives what as many plain ones do, bit for bit."""

    path: str
    milliseconds: float
    kernels: int | None
    deviation: float
    as_single: bool | None = None

    def to_json(self) -> dict[str, Any]:
        """Without what does not apply."""
        rounded = {"milliseconds": round(self.milliseconds, 4), "deviation": round(self.deviation, 6)}
        return {key: value for key, value in {**asdict(self), **rounded}.items() if value is not None}


class Passes:
    """Passes of one model after a text of `history` random tokens: `plain`, or those of a decoder with K drafts."""

    def __init__(
        self, model: Llama, context: int, drafts: int, shortlist: Tensor | None = None, history: int = 256
    ) -> None:
        self.model, self.context, self.drafts = model, context, drafts
        self.device = model.embed_tokens.weight.device
        self.shortlist = None if shortlist is None else shortlist.to(self.device)
        self.dtype = model.embed_tokens.weight.dtype
        self.generator = torch.Generator().manual_seed(0)
        self.history = min(history, context - drafts - 2)
        ids, features = self._text(self.history)
        with torch.no_grad():
            self.states = model.read(ids, features=features)[1]

    def _text(self, tokens: int) -> tuple[Tensor, Tensor | None]:
        ids = torch.randint(0, self.model.arch.vocab_size, (1, tokens), generator=self.generator)
        if self.model.features_proj is None:
            return ids.to(self.device), None
        features = torch.randn(1, tokens, self.model.arch.hidden_size, generator=self.generator)
        return ids.to(self.device), features.to(self.device, self.dtype)

    def paths(self, tokens: int) -> dict[str, SequenceModel]:
        """Plain PyTorch first; where the fused kernels run, them too."""
        held = (self.context, tokens, self.shortlist)
        found: dict[str, SequenceModel] = {"pytorch": StaticModel(self.model, *held)}
        fused = open_model(self.model, *held)
        if isinstance(fused, FusedModel):
            found["fused"] = fused
        return found

    @torch.no_grad()
    def measure(self, kind: Kind, tokens: int, repeats: int) -> list[Pass]:
        """The pass by every path."""
        ids, features = self._text(tokens)
        first, before = self._text(2)  # what a draft reads before its first step
        position = torch.full((1,), self.history, dtype=torch.long, device=self.device)
        offset = 2 if kind == "step" else 0
        found, expected = [], None
        for path, static in self.paths(1 if kind == "plain" else self.drafts + 1).items():
            static.load(self.states)
            if kind == "step":
                static.run(first, position, "open", features=before)
            logits = static.run(ids, position, kind, shift=offset, offset=offset, features=features)
            expected = logits if expected is None else expected
            deviation = float((logits - expected).norm() / expected.norm())
            as_single = torch.equal(logits, self._singly(path, ids, features)) if kind == "verify" else None
            static.accepted.fill_(1 if kind == "plain" else tokens)
            work = _pass(static, ids, position, kind, offset, features)

            def rounds(work: Callable[[], None] = work) -> None:
                for _ in range(ROUNDS):
                    work()

            seconds = median_seconds(Replayed(rounds, static.moving()), self.device, repeats) / ROUNDS
            kernels = sum(kernel.calls for kernel in trace(work, self.device).kernels) or None
            found.append(Pass(path, 1000 * seconds, kernels, deviation, as_single))
        return found

    def _singly(self, path: str, ids: Tensor, features: Tensor | None) -> Tensor:
        """Logits (T, V) of plain passes, a token each."""
        static = self.paths(1)[path]
        static.load(self.states)
        position, one = torch.full((1,), self.history, device=self.device), torch.ones_like(static.accepted)
        rows = []
        for t in range(ids.shape[1]):
            read = None if features is None else features[:, t : t + 1]
            rows.append(static.run(ids[:, t : t + 1], position, "plain", shift=t, features=read))
            static.moved_by(one)
        return torch.cat(rows)


def _pass(
    static: SequenceModel, ids: Tensor, position: Tensor, kind: Kind, offset: int, features: Tensor | None
) -> Callable[[], None]:
    """The pass with its choice of tokens; the draft's first chooses after its last token alone."""
    out = torch.zeros(1 if kind == "open" else ids.shape[1], dtype=torch.long, device=ids.device)
    return lambda: static.choose(ids, position, kind, out, offset, offset, features)


def trace(work: Callable[[], None], device: torch.device) -> Profile:
    """The kernels of one call on CUDA, after it ran once; none elsewhere."""
    if device.type != "cuda":
        return Profile([], 0.0, 0.0)
    work()
    torch.cuda.synchronize(device)
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profiler:
        work()
        torch.cuda.synchronize(device)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        return read_trace(json.loads(path.read_text())["traceEvents"])
