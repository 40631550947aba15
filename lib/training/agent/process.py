"""Runs other programs: argument lists only, never a shell, in process groups that end with the call that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

from .core import AgentError, Call

_children: Dict[int, "subprocess.Popen[bytes]"] = {}
_lock = threading.Lock()


class Finished(NamedTuple):
    """How a program ended: exit code (negative: the signal), and the last part of what it wrote."""

    code: int
    out: str
    err: str


def kill_group(child: "subprocess.Popen[bytes]", grace: float = 5.0) -> None:
    """Asks a program and all that it started to end, and kills what is left after `grace` seconds."""

    def send(number: int) -> None:
        try:
            os.killpg(child.pid, number)
        except (ProcessLookupError, PermissionError):
            pass

    send(signal.SIGTERM)
    timer = threading.Timer(grace, send, [signal.SIGKILL])
    timer.daemon = True
    timer.start()


def kill_children() -> None:
    """Kills every program that a call still waits for; used when the agent ends."""
    with _lock:
        children = list(_children.values())
    for child in children:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def execute(
    argv: Sequence[str],
    *,
    call: Optional[Call] = None,
    cwd: Optional[str] = None,
    env: Optional[Dict[str, str]] = None,
    timeout: float = 30.0,
    on_line: Optional[Callable[[str], None]] = None,
    stdin: Optional[bytes] = None,
    keep: int = 64 * 1024,
    pass_fds: Sequence[int] = (),
) -> Finished:
    """Runs a program to its end. The last `keep` bytes of each output are kept; `on_line` gets each line of standard output.

    `env` is added to the agent's own environment. Raises AgentError `missing` (no such program), `timeout`; Cancelled if `call` is.
    """
    try:
        child = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )
    except OSError as error:
        raise AgentError("missing", "%s cannot be started: %s." % (argv[0], error.strerror or error)) from error
    with _lock:
        _children[child.pid] = child
    expired = threading.Event()

    def expire() -> None:
        expired.set()
        kill_group(child)

    def stop() -> None:
        kill_group(child)

    timer = threading.Timer(timeout, expire)
    timer.daemon = True
    timer.start()
    if call:
        call.on_cancel(stop)
    errors: List[bytes] = [b""]

    def drain() -> None:
        # The descriptor itself: a buffered read would wait for a full block.
        assert child.stderr
        number = child.stderr.fileno()
        for block in iter(lambda: os.read(number, 65536), b""):
            errors[0] = (errors[0] + block)[-keep:]

    def provide() -> None:
        try:
            assert child.stdin
            child.stdin.write(stdin or b"")
            child.stdin.close()
        except OSError:
            pass

    helpers = [threading.Thread(target=drain, daemon=True)]
    if stdin is not None:
        helpers.append(threading.Thread(target=provide, daemon=True))
    for helper in helpers:
        helper.start()
    out = b""
    try:
        assert child.stdout
        # A line without an end must not fill the memory.
        for line in iter(lambda: child.stdout.readline(65536), b""):  # type: ignore[union-attr]
            out = (out + line)[-keep:]
            if on_line:
                on_line(line.decode("utf-8", "replace").rstrip("\r\n"))
        code = child.wait()
        for helper in helpers:
            helper.join(timeout=5)
    except BaseException:
        kill_group(child, grace=2.0)
        child.wait()
        raise
    finally:
        timer.cancel()
        with _lock:
            _children.pop(child.pid, None)
        if call:
            call.off_cancel(stop)
        for stream in (child.stdout, child.stderr):
            if stream:
                stream.close()
    if call:
        call.check()
    if expired.is_set():
        raise AgentError("timeout", "%s did not end within %d seconds." % (os.path.basename(argv[0]), timeout), "Try again; if it happens again, look at the node.")
    return Finished(code, out.decode("utf-8", "replace"), errors[0].decode("utf-8", "replace"))
