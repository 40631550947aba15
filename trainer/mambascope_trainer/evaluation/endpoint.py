"""A client of the OpenAI chat-completions protocol, as far as judging needs it."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from ..errors import MambascopeError

RETRIED = (429, 500, 502, 503, 504)
ATTEMPTS = 4
TIMEOUT_SECONDS = 120
_RETRY_HINT = "Check the judge's URL, model and key, and that its server runs."


class JudgeError(MambascopeError):
    """The judge cannot be asked, or does not answer in the protocol."""

    def __init__(self, code: str, message: str, action: str = _RETRY_HINT) -> None:
        super().__init__(code, message, action)


@dataclass(frozen=True)
class Endpoint:
    """`url` is the base (`http://host/v1`); `key` may be empty for servers that want none."""

    url: str
    model: str
    key: str
    #: Seconds before the second attempt; doubled for each further one.
    pause: float = 1.0

    def complete(self, messages: list[dict[str, str]], max_tokens: int = 512) -> str:
        """The text of one greedy completion.

        A full or failing server (429, 5xx) is asked again, up to `ATTEMPTS` times. Raises JudgeError
        `judge-unreachable`, `judge-refused` or `judge-protocol`.
        """
        body = {"model": self.model, "messages": messages, "temperature": 0, "max_tokens": max_tokens}
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(
            self.url.rstrip("/") + "/chat/completions", json.dumps(body).encode(), headers, method="POST"
        )
        for attempt in range(ATTEMPTS):
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                    return _content(response.read())
            except urllib.error.HTTPError as error:
                said = error.read().decode(errors="replace")[:300]
                if error.code not in RETRIED or attempt == ATTEMPTS - 1:
                    raise JudgeError(
                        "judge-refused", f"The judge at {self.url} answered {error.code}: {said}"
                    ) from None
            except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
                reason = getattr(error, "reason", error)
                if attempt == ATTEMPTS - 1:
                    raise JudgeError(
                        "judge-unreachable", f"The judge at {self.url} cannot be reached ({reason})."
                    ) from None
            time.sleep(self.pause * 2**attempt)
        raise AssertionError("every attempt returns, raises or is followed by another")


def _content(answer: bytes) -> str:
    try:
        text: Any = json.loads(answer)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError):
        text = None
    if not isinstance(text, str):
        raise JudgeError("judge-protocol", f"The judge's answer has no message: {answer[:300]!r}")
    return text


def configured_endpoint(url: str | None, model: str | None, key_env: str) -> Endpoint:
    """The endpoint of a plan, from MAMBASCOPE_JUDGE_URL and MAMBASCOPE_JUDGE_MODEL where it names none.

    Raises `judge-unconfigured`.
    """
    url, model = url or os.environ.get("MAMBASCOPE_JUDGE_URL"), model or os.environ.get("MAMBASCOPE_JUDGE_MODEL")
    if not url or not model:
        raise JudgeError(
            "judge-unconfigured",
            "No judge is configured.",
            "Name an OpenAI-compatible endpoint by --judge-url and --judge-model (or MAMBASCOPE_JUDGE_URL and "
            f"MAMBASCOPE_JUDGE_MODEL) and put its key, if it wants one, into {key_env}.",
        )
    if not url.startswith(("http://", "https://")):
        raise JudgeError("judge-unconfigured", f"{url!r} is not an http(s) URL.")
    return Endpoint(url, model, os.environ.get(key_env, ""))
