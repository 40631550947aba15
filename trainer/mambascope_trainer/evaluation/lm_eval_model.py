"""The models of bundles and runs in EleutherAI's lm-evaluation-harness (`pip install -r requirements-harness.txt`).

    python -m mambascope_trainer.evaluation.lm_eval_model run --model mambascope \
        --model_args bundle=public/models/stories,variant=attn50 --tasks piqa

Several folders of a family are joined by `:`. `pattern=a.m~attn50`, or `run=…,codec=…`, takes the place of `variant`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from ..bundle.bundle import Bundle
from ..model.llama import Llama
from ..model.load import load_teacher
from ..run.device import resolve_device
from .arithmetic import Dtype
from .chat import Chat
from .choice import Encoder
from .decoding import Decoding, generate
from .plan import PlanError
from .scoring import Request, score
from .subjects import Subject, subjects

DTYPES: tuple[Dtype, ...] = ("float32", "bfloat16")


@register_model("mambascope")
class MambascopeLM(LM):  # type: ignore[misc]
    """A variant, pattern or run of a bundle. `max_length` tokens are the most that the model is given."""

    def __init__(
        self,
        bundle: str,
        variant: str | None = None,
        pattern: str | None = None,
        run: str | None = None,
        codec: str = "f32",
        dtype: Dtype = "float32",
        device: str | None = None,
        batch_size: int | str = 8,
        max_length: int | None = None,
        max_gen_toks: int = 256,
        max_batch_size: int | None = None,
    ) -> None:
        super().__init__()
        if sum(name is not None for name in (variant, pattern, run)) != 1:
            raise PlanError("name exactly one of variant, pattern and run in the model's arguments")
        if dtype not in DTYPES:
            raise PlanError(f"dtype: {dtype} is not one of {', '.join(DTYPES)}")
        opened = Bundle.open([Path(folder) for folder in bundle.split(":")])
        teacher = load_teacher(opened).eval().requires_grad_(False)
        (self.subject,) = _subject(opened, teacher, variant, pattern, run, codec)
        self._device = resolve_device(device or "auto")
        self.model = self.subject.load().eval().requires_grad_(False).to(self._device)
        self.chat = Chat(opened)
        self.encoder = Encoder(self.chat.tokenizer, self.chat.special)
        self.family, self.dtype = opened.manifest.family, dtype
        self.max_length = int(max_length or self.model.arch.max_position_embeddings)
        self.max_gen_toks = int(max_gen_toks)
        # "auto" is the harness's word for: as many as fit.
        self.budget = self.max_length * (8 if str(batch_size).startswith("auto") else int(batch_size))

    @property
    def tokenizer_name(self) -> str:
        return self.family

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        return self.chat.text(chat_history, add_generation_prompt)

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        return self.chat.template_text if chat_template else None

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Log-probability of each continuation and whether it is greedy; contexts are cut on the left to fit."""
        pairs = []
        for request in requests:
            context, rest = request.args
            # A context's trailing spaces belong to the first word of what follows.
            bare = context.rstrip()
            pairs.append(self._cut(self.encoder.continuation(bare, context[len(bare) :] + rest)))
        found = score(self.model, pairs, self.budget, self.dtype)
        return [(item.log_prob, item.greedy) for item in found]

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Log-probability of whole texts; a text past `max_length` in windows, each predicting the next tokens with the
        rest of the window as context."""
        windows, counts = [], []
        for request in requests:
            own = rolling_requests(self.encoder.start, self.encoder.ids(request.args[0]), self.max_length)
            windows += own
            counts.append(len(own))
        scores = iter(score(self.model, windows, self.budget, self.dtype))
        return [sum(next(scores).log_prob for _ in range(count)) for count in counts]

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Answers up to (not including) the first of the request's `until` texts. Greedy unless `do_sample`."""
        answers: list[str] = [""] * len(requests)
        groups: dict[Decoding, list[int]] = {}
        for place, request in enumerate(requests):
            groups.setdefault(self._decoding(request.args[1]), []).append(place)
        for decoding, places in groups.items():
            room = max(1, self.max_length - decoding.max_new_tokens)
            prompts = [self.chat.ids(requests[place].args[0])[-room:] for place in places]
            found = generate(self.model, prompts, decoding, self.budget, self.dtype)
            for place, ids in zip(places, found, strict=True):
                answers[place] = cut_at(self.chat.decode(ids), _until(requests[place].args[1]))
        return answers

    def _decoding(self, options: Mapping[str, Any]) -> Decoding:
        count = int(options.get("max_gen_toks") or options.get("max_new_tokens") or self.max_gen_toks)
        temperature = float(options.get("temperature") or 0.0) if options.get("do_sample") else 0.0
        return Decoding(count, self.chat.special.eos, temperature, float(options.get("top_p") or 1.0))

    def _cut(self, request: Request) -> Request:
        extra = request.length - self.max_length
        if extra <= 0:
            return request
        # A continuation alone past the limit keeps one token of context and loses its own beginning.
        context = request.context[extra:] or request.context[-1:]
        return Request(context, request.tokens[-(self.max_length - len(context) + 1) :])


def rolling_requests(start: Sequence[int], ids: Sequence[int], length: int) -> list[Request]:
    """Every token of `ids` predicted once, in windows of at most `length` tokens; `start` precedes the first.

    All windows but the first are full: what the last one need not predict is context.
    """
    found = []
    whole = (*start, *ids)
    done = len(start)
    while done < len(whole):
        until = min(len(whole), done + length)
        found.append(Request(whole[max(0, until - 1 - length) : done], whole[done:until]))
        done = until
    return found


def cut_at(text: str, stops: Sequence[str]) -> str:
    """The text before the first of `stops`."""
    places = [text.find(stop) for stop in stops if stop]
    return text[: min((place for place in places if place >= 0), default=len(text))]


def _until(options: Mapping[str, Any]) -> list[str]:
    until = options.get("until") or []
    return [until] if isinstance(until, str) else list(until)


def _subject(
    bundle: Bundle, teacher: Llama, variant: str | None, pattern: str | None, run: str | None, codec: str
) -> list[Subject]:
    variants, patterns = [variant] if variant else [], [pattern] if pattern else []
    return subjects(bundle, teacher, variants, patterns, [Path(run)] if run else [], [codec])


def main() -> None:
    """The harness's own command line, with the model `mambascope`."""
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()


if __name__ == "__main__":
    main()
