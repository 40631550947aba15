"""What every module of the agent builds on: operations, calls, errors, parameters and paths confined to the node's root.

A module adds an operation like this; it is then callable by its name from the server:

    @op("stat")
    def stat(call: Call, params: Params) -> object:
        path = inside(params.text("path"))
        ...

It runs in a thread of its own. It returns the result (JSON), may send `call.event(...)` (JSON) and `call.data(...)` (bytes) before,
reads bytes from `call.input()`, and raises AgentError for whatever the user should read.
"""

from __future__ import annotations

import os
import queue
import threading
from typing import Any, Callable, Dict, Iterator, List, Optional

PROTOCOL = 1
CHUNK_BYTES = 256 * 1024
# Bytes of one call that may be under way: enough to fill a link, little enough that other calls are not held up.
WINDOW_BYTES = 1024 * 1024


class AgentError(Exception):
    """What went wrong (`message`) and what the user can do about it (`action`); `code` is for programs."""

    def __init__(self, code: str, message: str, action: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.action = action


class Cancelled(Exception):
    """The server no longer wants the call's answer."""


class Params:
    """The parameters of a request, read with checks. Each reader raises AgentError `bad-request`."""

    def __init__(self, values: Dict[str, Any]) -> None:
        self._values = values

    def _get(self, name: str, kind: Any, what: str, default: Any) -> Any:
        value = self._values.get(name)
        if value is None:
            if default is not None:
                return default[0]
            raise AgentError("bad-request", "The request has no %s." % name)
        # bool is an int to Python, but not to the protocol.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise AgentError("bad-request", "%s must be %s." % (name, what))
        return value

    def text(self, name: str, *default: Optional[str]) -> str:
        """A string; without `default` it must be there."""
        value: str = self._get(name, str, "a text", default or None)
        return value

    def integer(self, name: str, *default: Optional[int]) -> int:
        """A whole number that is not negative; without `default` it must be there."""
        value: int = self._get(name, int, "a whole number", default or None)
        if value is not None and value < 0:
            raise AgentError("bad-request", "%s must not be negative." % name)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value: bool = self._get(name, bool, "true or false", (default,))
        return value

    def items(self, name: str, *default: Optional[List[Any]]) -> List[Any]:
        """A list; without `default` it must be there."""
        value: List[Any] = self._get(name, list, "a list", default or None)
        return value

    def texts(self, name: str, *default: Optional[List[str]]) -> List[str]:
        values = self.items(name, *default)
        if values is not None and not all(isinstance(value, str) for value in values):
            raise AgentError("bad-request", "%s must be a list of texts." % name)
        return values

    def table(self, name: str, *default: Optional[Dict[str, Any]]) -> Dict[str, Any]:
        """A JSON object; without `default` it must be there."""
        value: Dict[str, Any] = self._get(name, dict, "an object", default or None)
        return value


class Call:
    """One request under way: its events, its bytes in both directions, and whether it is still wanted."""

    def __init__(self, ident: int, send: Callable[[Dict[str, Any]], None]) -> None:
        self.ident = ident
        self.cancelled = threading.Event()
        self._send = send
        self._stoppers: List[Callable[[], None]] = []
        self._lock = threading.Condition()
        self._sent = 0
        self._acknowledged = 0
        self._inputs: "queue.Queue[Optional[bytes]]" = queue.Queue()
        self._waiting = 0

    def event(self, value: object) -> None:
        """Sends a JSON value before the result. Raises Cancelled."""
        self.check()
        self._send({"id": self.ident, "event": value})

    def data(self, chunk: bytes) -> None:
        """Sends bytes before the result, and waits while the receiver lags. Raises Cancelled."""
        import base64

        for start in range(0, len(chunk), CHUNK_BYTES):
            part = chunk[start : start + CHUNK_BYTES]
            with self._lock:
                self._lock.wait_for(lambda: self._sent - self._acknowledged < WINDOW_BYTES or self.cancelled.is_set())
                self._sent += len(part)
            self.check()
            self._send({"id": self.ident, "data": base64.b64encode(part).decode("ascii")})

    def input(self) -> Iterator[bytes]:
        """The bytes that the server sends with the request, as they come. Raises Cancelled."""
        while True:
            chunk = self._inputs.get()
            self.check()
            if chunk is None:
                return
            with self._lock:
                self._waiting -= len(chunk)
            yield chunk
            self._send({"id": self.ident, "got": len(chunk)})

    def check(self) -> None:
        """Raises Cancelled if the answer is no longer wanted; long work calls it now and then."""
        if self.cancelled.is_set():
            raise Cancelled()

    def on_cancel(self, stop: Callable[[], None]) -> None:
        """`stop` is called once when the call is cancelled, at once if it already is."""
        with self._lock:
            if not self.cancelled.is_set():
                self._stoppers.append(stop)
                return
        stop()

    def off_cancel(self, stop: Callable[[], None]) -> None:
        with self._lock:
            if stop in self._stoppers:
                self._stoppers.remove(stop)

    # What the server's frames do to a call.

    def cancel(self) -> None:
        with self._lock:
            self.cancelled.set()
            stoppers, self._stoppers = self._stoppers, []
            self._lock.notify_all()
        self._inputs.put(None)
        for stop in stoppers:
            stop()

    def acknowledge(self, count: int) -> None:
        with self._lock:
            self._acknowledged += count
            self._lock.notify_all()

    def feed(self, chunk: Optional[bytes]) -> None:
        """Bytes from the server; None ends them."""
        if chunk == b"":
            return
        with self._lock:
            self._waiting += len(chunk or b"")
            if self._waiting > WINDOW_BYTES + CHUNK_BYTES:
                raise AgentError("bad-request", "More bytes came than were asked for.")
        self._inputs.put(chunk)


Operation = Callable[[Call, Params], object]
operations: Dict[str, Operation] = {}


def op(name: str) -> Callable[[Operation], Operation]:
    """Registers a function as the operation `name`."""

    def register(function: Operation) -> Operation:
        if name in operations:
            raise ValueError("operation %s is defined twice" % name)
        operations[name] = function
        return function

    return register


# Tells of runs whether their process or SLURM job lives. Takes {run id: content of its launch.json}, gives
# {run id: "alive" | "gone" | "unknown"}; one call for all, so that a queue is asked once. The module that launches sets it.
Liveness = Callable[[Dict[str, Dict[str, Any]]], Dict[str, str]]
_liveness: List[Liveness] = []


def liveness_probe(function: Liveness) -> Liveness:
    """Decorator: makes a function the one that tells whether runs live."""
    _liveness[:] = [function]
    return function


def liveness_of(launches: Dict[str, Dict[str, Any]]) -> Dict[str, str]:
    """Whether runs live, by run id; "unknown" for those that nothing is known of."""
    found = _liveness[0](launches) if _liveness and launches else {}
    return {name: found.get(name, "unknown") for name in launches}


_root: List[str] = []


def set_root(path: str) -> str:
    """Makes a folder (created if absent) the node's root. Returns its real path."""
    folder = os.path.expanduser(path)
    if not os.path.isabs(folder) or "\0" in folder:
        raise AgentError("root", "The folder %r is not an absolute path." % path, "Give a path that starts with / or ~/.")
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise AgentError(
            "root",
            "The folder %s cannot be made: %s." % (folder, error.strerror or error),
            "Choose another folder for this node, or give your user the right to write there.",
        ) from error
    _root[:] = [os.path.realpath(folder)]
    return _root[0]


def root() -> str:
    """The real path of the node's root."""
    if not _root:
        raise AgentError("bad-request", "The first request must be hello.")
    return _root[0]


def inside(relative: str) -> str:
    """The absolute path of a path under the root. Raises AgentError `path` if it leaves the root, by itself or through a link."""
    parts = relative.split("/")
    # "." names the root itself; else every part is a plain name.
    if relative != "." and any(part in ("", ".", "..") or "\0" in part or "\\" in part for part in parts):
        raise AgentError("path", "%r is not a path inside the node's folder." % relative)
    path = os.path.join(root(), *parts) if relative != "." else root()
    real = os.path.realpath(path)
    if real != root() and not real.startswith(root() + os.sep):
        raise AgentError("path", "%s leads out of the node's folder through a link." % relative)
    return real


def os_error(error: OSError, what: str) -> AgentError:
    """An operating system's error as one that the user can act on. `what`: "The file runs/x/job.json cannot be written"."""
    import errno

    actions = {
        errno.ENOSPC: ("disk-full", "The disk is full: free some space on the node, then try again."),
        errno.EDQUOT: ("disk-full", "Your quota on the node is used up: free some space, then try again."),
        errno.EACCES: ("denied", "Give your user the right to it on the node, or choose another folder."),
        errno.EPERM: ("denied", "Give your user the right to it on the node, or choose another folder."),
        errno.EROFS: ("denied", "The disk is read-only: choose another folder for this node."),
        errno.ENOENT: ("not-found", "It may have been moved or deleted: reload the page."),
    }
    code, action = actions.get(error.errno or 0, ("io", "Check the node's disk, then try again."))
    return AgentError(code, "%s: %s." % (what, error.strerror or error), action)
