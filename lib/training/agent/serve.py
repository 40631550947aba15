"""Reads requests from standard input, runs each in a thread, and writes the answers: one JSON object a line, both ways."""

from __future__ import annotations

import base64
import binascii
import json
import os
import signal
import sys
import threading
import time
import traceback
from typing import Any, BinaryIO, Dict

from .core import AgentError, Call, Cancelled, Params, operations
from .process import kill_children

MAX_FRAME_BYTES = 4 * 1024 * 1024
MAX_CALLS = 512
# The server pings every few seconds; without a word for this long it is gone, though the connection may not know.
SILENCE_SECONDS = 180.0


class _Server:
    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source = source
        self._sink = sink
        self._writing = threading.Lock()
        self._calls: Dict[int, Call] = {}
        self._lock = threading.Lock()
        self._heard = time.monotonic()

    def send(self, frame: Dict[str, Any]) -> None:
        line = json.dumps(frame, separators=(",", ":")).encode("ascii") + b"\n"
        if len(line) > MAX_FRAME_BYTES:
            ident = frame.get("id")
            line = json.dumps({"id": ident, "error": _described(AgentError("too-large", "The answer is too large."))}).encode("ascii") + b"\n"
        with self._writing:
            try:
                self._sink.write(line)
                self._sink.flush()
            except (OSError, ValueError):
                # Nobody listens any more: the reader's end of file follows.
                pass

    def run(self) -> None:
        threading.Thread(target=self._watch, daemon=True).start()
        while True:
            line = self._source.readline(MAX_FRAME_BYTES + 1)
            self._heard = time.monotonic()
            if not line.endswith(b"\n"):
                # The end of input, or a frame over the limit: after either nothing that follows can be understood.
                break
            try:
                frame = json.loads(line)
            except ValueError:
                break
            if not isinstance(frame, dict) or not isinstance(frame.get("id"), int):
                break
            self._take(frame)
        with self._lock:
            calls = list(self._calls.values())
        for call in calls:
            call.cancel()
        # Cancelled calls clean up after themselves, if they are quick about it.
        limit = time.monotonic() + 3.0
        while self._calls and time.monotonic() < limit:
            time.sleep(0.02)
        kill_children()

    def _watch(self) -> None:
        while time.monotonic() - self._heard < SILENCE_SECONDS:
            time.sleep(5.0)
        kill_children()
        os._exit(3)

    def _take(self, frame: Dict[str, Any]) -> None:
        ident: int = frame["id"]
        if "op" in frame:
            self._begin(ident, frame)
            return
        with self._lock:
            call = self._calls.get(ident)
        if call is None:
            # A frame may cross the call's own end on the way.
            return
        try:
            if frame.get("cancel"):
                call.cancel()
            elif isinstance(frame.get("ack"), int):
                call.acknowledge(frame["ack"])
            elif isinstance(frame.get("data"), str):
                call.feed(base64.b64decode(frame["data"], validate=True))
            elif frame.get("end"):
                call.feed(None)
        except (AgentError, binascii.Error) as error:
            self.send({"id": ident, "error": _described(error)})
            call.cancel()

    def _begin(self, ident: int, frame: Dict[str, Any]) -> None:
        name, params = frame["op"], frame.get("params", {})
        if name == "ping":
            self.send({"id": ident, "result": None})
            return
        operation = operations.get(name) if isinstance(name, str) else None
        problem = None
        if operation is None:
            problem = AgentError("bad-request", "There is no operation %r." % (name,))
        elif not isinstance(params, dict):
            problem = AgentError("bad-request", "params must be an object.")
        elif len(self._calls) >= MAX_CALLS:
            problem = AgentError("busy", "The node has too many requests under way.", "Try again in a moment.")
        if problem is not None or operation is None:
            self.send({"id": ident, "error": _described(problem or AgentError("internal", ""))})
            return
        call = Call(ident, self.send)
        with self._lock:
            self._calls[ident] = call

        def work() -> None:
            try:
                answer = {"id": ident, "result": operation(call, Params(params))}
                json.dumps(answer, separators=(",", ":"))
            except Exception as error:  # whatever an operation does, the agent goes on
                answer = {"id": ident, "error": _described(error)}
            finally:
                with self._lock:
                    self._calls.pop(ident, None)
            self.send(answer)

        threading.Thread(target=work, daemon=True).start()


def _described(error: BaseException) -> Dict[str, str]:
    if isinstance(error, AgentError):
        return {"code": error.code, "message": error.message, "action": error.action}
    if isinstance(error, Cancelled):
        return {"code": "cancelled", "message": "It was cancelled.", "action": ""}
    if isinstance(error, OSError):
        from .core import os_error

        described = os_error(error, str(error.filename) if error.filename else "The node's system reports an error")
        return {"code": described.code, "message": described.message, "action": described.action}
    traceback.print_exception(type(error), error, error.__traceback__, file=sys.stderr)
    return {"code": "internal", "message": "The node's helper failed: %s: %s." % (type(error).__name__, error), "action": "Try again."}


def _on_signals() -> None:
    def end(number: int, frame: object) -> None:
        kill_children()
        os._exit(128 + number)

    # Ctrl+C in the dashboard's terminal reaches this process too: the dashboard decides what ends. A handler, unlike an ignored
    # signal, is not passed on to the programs started here.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def serve() -> None:
    """Serves until standard input ends, then ends the process."""
    # Whatever a program prints must not get between the frames.
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    _on_signals()
    server = _Server(sys.stdin.buffer, sink)
    server.run()
    sys.stderr.flush()
    os._exit(0)
