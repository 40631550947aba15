"""The error of data that cannot be used. Apart, so that processes that only tokenise need not import torch."""

from __future__ import annotations

from ..errors import MambascopeError


class DataError(MambascopeError):
    """Data that cannot be used; the message says why and what to do."""

    def __init__(self, message: str, action: str = "Make the data again, or name another folder.") -> None:
        super().__init__("data-unusable", message, action)
