"""The teacher's tokenizer and chat template: text and chats to token ids.

The template is Jinja, rendered as Hugging Face's `apply_chat_template` does (sandboxed, blocks trimmed). The turns'
markers are read off rendered chats, so any template that writes a turn's content unchanged will do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from ..bundle.bundle import Bundle
from .errors import DataError

Messages = Sequence[Mapping[str, str]]

#: Stand for the contents of turns where a chat is rendered to see what lies between them.
_USER, _ASSISTANT, _SECOND = "0FIRST0", "0ANSWER0", "0SECOND0"
_END_TEXTS = ("<|endoftext|>", "<|end_of_text|>", "</s>")


@dataclass(frozen=True)
class TurnMarkers:
    """Tokens forced after an end-of-turn: to the other role, or to a fresh conversation."""

    end_of_turn: int
    to_assistant: list[int]
    to_user: list[int]
    to_new: list[int]
    new_conversation: float = 0.5


@dataclass(frozen=True)
class TokenizerFiles:
    """All that a ChatFormat is made of: small, and can be sent to another process."""

    tokenizer: str
    config: str
    bos: int | None
    eos: tuple[int, ...]

    @classmethod
    def of(cls, bundle: Bundle) -> TokenizerFiles:
        """Those of a family. Raises `file-missing`."""
        entry, special = bundle.manifest.tokenizer, bundle.manifest.special_tokens
        return cls(
            bundle.path(entry.file).read_text(encoding="utf-8"),
            bundle.path(entry.config).read_text(encoding="utf-8"),
            special.bos,
            tuple(special.eos),
        )


class ChatFormat:
    """Text and chats as the teacher reads them."""

    def __init__(self, files: TokenizerFiles) -> None:
        self.files = files
        self.tokenizer: Tokenizer = Tokenizer.from_str(files.tokenizer)
        self.bos, self.eos = files.bos, files.eos
        config = json.loads(files.config)
        self.template = _compile(config.get("chat_template"))
        self._specials = {
            name: _text(config.get(name)) for name in ("bos_token", "eos_token", "unk_token", "pad_token")
        }

    @classmethod
    def of(cls, bundle: Bundle) -> ChatFormat:
        """The format of a family. Raises `file-missing`, and DataError if its template is broken."""
        return cls(TokenizerFiles.of(bundle))

    @cached_property
    def end_of_text(self) -> int:
        """The token between documents: the one so named among `eos`, else the last of them."""
        for text in _END_TEXTS:
            found: int | None = self.tokenizer.token_to_id(text)
            if found is not None and found in self.eos:
                return found
        return self.eos[-1]

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, nothing added."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def render(self, messages: Messages, add_generation_prompt: bool = False) -> str:
        """A chat as text. Raises DataError if the teacher has no template, or its template refuses the chat."""
        if self.template is None:
            raise DataError("the teacher has no chat template", "Name a teacher that was tuned for chats.")
        try:
            return self.template.render(
                messages=list(messages), add_generation_prompt=add_generation_prompt, **self._specials
            )
        except jinja2.TemplateError as error:
            raise DataError(f"the chat template refuses the chat: {error}", "Correct the roles of its turns.") from None

    def prompt(self, messages: Messages) -> list[int]:
        """Token ids of a chat up to where the assistant's answer begins."""
        return self.encode(self.render(messages, add_generation_prompt=True))

    def pair(self, messages: Messages, answer: str) -> tuple[list[int], list[int]]:
        """The prompt's ids, and the answer's with its end of turn."""
        return self.prompt(messages), [*self.encode(answer), self.markers.end_of_turn]

    @cached_property
    def opening(self) -> list[int]:
        """Token ids of a chat up to the first user turn's content, the template's own system turn included."""
        return self.encode(self._parts[0])

    @cached_property
    def markers(self) -> TurnMarkers:
        """The end of a turn and what follows it. Raises DataError if no single token ends a turn."""
        _, to_assistant, to_user, end = (self.encode(part) for part in self._parts)
        if not (end and end[0] == to_assistant[0] == to_user[0] and end[0] in self.eos):
            raise DataError(
                "the chat template does not end its turns with one of the family's eos tokens",
                "Correct special_tokens.eos of the family, or name another teacher.",
            )
        return TurnMarkers(end[0], to_assistant[1:], to_user[1:], [*end[1:], *self.opening])

    @cached_property
    def _parts(self) -> tuple[str, str, str, str]:
        """What a chat has before the first turn's content, up to the answer, up to the next user turn, and at its end
        after an answer."""
        turns = [
            {"role": "user", "content": _USER},
            {"role": "assistant", "content": _ASSISTANT},
            {"role": "user", "content": _SECOND},
        ]
        whole, closed = self.render(turns), self.render(turns[:2])
        opening, found, rest = whole.partition(_USER)
        to_assistant, found_answer, rest = rest.partition(_ASSISTANT)
        to_user, found_second, _ = rest.partition(_SECOND)
        if not (found and found_answer and found_second):
            raise DataError("the chat template does not write the turns' contents", "Name another teacher.")
        return opening, to_assistant, to_user, closed.partition(_ASSISTANT)[2]


def _compile(template: Any) -> jinja2.Template | None:
    """The template, or the one named "default" of several."""
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    if not isinstance(template, str):
        return None
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = _raise
    environment.filters["tojson"] = lambda value, **options: json.dumps(value, ensure_ascii=False, **options)
    try:
        return environment.from_string(template)
    except jinja2.TemplateSyntaxError as error:
        raise DataError(f"the chat template is broken: {error}", "Correct the family's tokenizer config.") from None


def _raise(message: str) -> None:
    raise jinja2.TemplateError(message)


def _text(token: Any) -> str:
    """A special token's text: written as a string, or as an object with `content`."""
    return str(token.get("content", "")) if isinstance(token, dict) else str(token or "")
