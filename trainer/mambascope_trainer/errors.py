"""The error that every boundary raises: what went wrong, and what the user can do about it."""

from __future__ import annotations


class MambascopeError(Exception):
    """An expected failure, carried as data so that the command line and the server can show it.

    `code` is stable and machine-readable, `message` says what went wrong, `action` what to do.
    """

    def __init__(self, code: str, message: str, action: str) -> None:
        super().__init__(f"{message} {action}")
        self.code = code
        self.message = message
        self.action = action

    def to_json(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message, "action": self.action}
