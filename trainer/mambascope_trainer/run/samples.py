"""Text by the student, and by its teacher, while it learns."""

from __future__ import annotations

from pathlib import Path

import torch

from ..bundle.bundle import Bundle
from ..errors import MambascopeError
from ..evaluation.chat import Chat
from ..evaluation.decoding import Decoding, generate
from ..model.llama import Llama
from ..stages.base import Stage
from .config import ConfigError, RunConfig

#: Prompts of runs that name none: turns for a chat model, the beginning of a text for others.
CHAT_PROMPTS = ("What is the capital of France?", "Write a short poem about the sea.", "How do I make a cup of tea?")
TEXT_PROMPTS = ("Once upon a time, there was a", "One day, a little girl named Lily", "The old turtle")

#: Tokens of prompts and answers that are decoded at once.
_BUDGET = 32768


class TextSamples:
    """Continues the run's prompts with the student, and once with the teacher, which does not change.

    Raises ConfigError if the family has no bundle whose tokenizer could be used.
    """

    def __init__(self, config: RunConfig, stage: Stage) -> None:
        try:
            self.chat = Chat(Bundle.open([Path(root) / config.family for root in config.bundle]))
        except (MambascopeError, OSError) as error:
            raise ConfigError(
                f"sample_every: samples need the tokenizer of {config.family}: {error}", "Set sample_every to 0."
            ) from None
        wanted = config.samples
        self.stage = stage
        self.prompts = wanted.prompts or list(CHAT_PROMPTS if self.chat.has_template else TEXT_PROMPTS)
        self.ids = [self.chat.ids(self.chat.text([{"role": "user", "content": text}])) for text in self.prompts]
        self.decoding = Decoding(wanted.tokens, tuple(self.chat.special.eos), wanted.temperature, seed=config.seed)
        self._teacher: list[str] | None = None

    def take(self) -> list[dict[str, str]]:
        """A record a prompt: prompt, text, and teacher where the stage has one. The draws are the same each time."""
        texts = self._write(*self.stage.student())
        records = [{"prompt": prompt, "text": text} for prompt, text in zip(self.prompts, texts, strict=True)]
        teacher = self.stage.teacher()
        if teacher is not None:
            if self._teacher is None:
                self._teacher = self._write(*teacher)
            records = [{**record, "teacher": text} for record, text in zip(records, self._teacher, strict=True)]
        return records

    def _write(self, model: Llama, pattern: list[str]) -> list[str]:
        before = model.pattern
        model.use(pattern)
        try:
            # Every length of the context is another shape: compiling for each would take far longer than the text.
            with torch.compiler.set_stance("force_eager"):
                cuda = model.embed_tokens.weight.is_cuda
                answers = generate(model, self.ids, self.decoding, _BUDGET, "bfloat16" if cuda else "float32")
        finally:
            model.use(before)
        return [self.chat.decode(answer) for answer in answers]
