"""A family's chat template, applied as the browser applies it; plain text for families without one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from ..bundle.bundle import Bundle
from ..errors import MambascopeError

Messages = Sequence[Mapping[str, str]]


class Chat:
    """Renders conversations to token ids, and token ids back to text."""

    def __init__(self, bundle: Bundle) -> None:
        manifest = bundle.manifest
        self.tokenizer = Tokenizer.from_file(str(bundle.path(manifest.tokenizer.file)))
        self.special = manifest.special_tokens
        config: dict[str, Any] = json.loads(bundle.path(manifest.tokenizer.config).read_text(encoding="utf-8"))
        template = config.get("chat_template")
        self._tokens = {key: value for key, value in config.items() if key.endswith("_token")}
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        self.template_text = template if isinstance(template, str) else None
        try:
            self._template = None if self.template_text is None else environment.from_string(self.template_text)
        except TemplateError as error:
            raise _unusable(manifest.family, error) from None
        self.family = manifest.family

    @property
    def has_template(self) -> bool:
        return self._template is not None

    def text(self, messages: Messages, generation_prompt: bool = True) -> str:
        """A conversation that ends where the assistant's answer begins, or after the last turn.

        Without a template the turns follow one another with no space put between. Raises `chat-template`.
        """
        if self._template is None:
            return "".join(message["content"] for message in messages)
        try:
            return self._template.render(
                messages=list(messages), add_generation_prompt=generation_prompt, **self._tokens
            )
        except TemplateError as error:
            raise _unusable(self.family, error) from None

    def ids(self, text: str) -> list[int]:
        """Tokens of rendered text, after the BOS of families that have one; at least one."""
        ids = list(self.tokenizer.encode(text, add_special_tokens=False).ids)
        bos = self.special.bos
        if bos is not None and ids[:1] != [bos]:
            ids = [bos, *ids]
        return ids or [self.special.eos[-1]]

    def decode(self, ids: Sequence[int]) -> str:
        text: str = self.tokenizer.decode(list(ids), skip_special_tokens=True)
        return text


def _unusable(family: str, error: TemplateError) -> MambascopeError:
    return MambascopeError(
        "chat-template", f"The chat template of {family} cannot be applied: {error}.", "Correct its tokenizer config."
    )
