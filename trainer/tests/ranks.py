"""Runs on several processes of this machine, as torchrun starts them, and faults in one of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import final_state, metrics, parse

from mambascope_trainer.cli import main
from mambascope_trainer.run import watch
from mambascope_trainer.run.config import Plan
from mambascope_trainer.run.loop import TrainingLoop
from mambascope_trainer.run.train import train

# Forked from a process that has imported everything and run nothing: threads do not survive a fork. It looks for the
# modules that it imports ahead on this path.
os.environ["PYTHONPATH"] = os.pathsep.join(map(str, [Path(__file__).parent, Path(__file__).parents[1]]))
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["ranks", "torch._dynamo"])  # which optimisers import when they are made


def fail() -> None:
    raise ValueError("the sky fell")


def stop() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


#: (rank, step, what happens there)
Event = tuple[int, int, Callable[[], None]]


def _rank(
    rank: int, world: int, port: int, config: dict[str, Any] | Plan, folder: Path, resume: bool, event: Event | None
) -> None:
    os.environ |= {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip
    _train(config, folder, resume, event)


def _with_event(event: Event | None) -> None:
    """What happens in a step of this process."""
    torch.set_num_threads(1)
    watch.SUSPECT = 2.0
    rank, plain = int(os.environ.get("RANK", "0")), TrainingLoop._step

    def step(self: TrainingLoop, batch: Any) -> torch.Tensor:
        if event is not None and (rank, self.step) == event[:2]:
            event[2]()
        return plain(self, batch)

    TrainingLoop._step = step  # type: ignore[method-assign]


def _train(config: dict[str, Any] | Plan, folder: Path, resume: bool, event: Event | None) -> None:
    _with_event(event)
    try:
        train(parse(config) if isinstance(config, dict) else config, folder, resume)
    except Exception:
        traceback.print_exc()
        os._exit(1)


def run_ranks(
    config: dict[str, Any] | Plan, folder: Path, resume: bool = False, event: Event | None = None, world: int = 2
) -> list[int]:
    """Train on `world` processes; their exit codes, a signal's number negative."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = [
        _context.Process(target=_rank, args=(rank, world, port, config, folder, resume, event)) for rank in range(world)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    assert None not in codes, "a rank hangs"
    return [code for code in codes if code is not None]


def start_run(config: dict[str, Any] | Plan, folder: Path, resume: bool = False) -> ForkServerProcess:
    """Train in a process of its own, not one of several."""
    process = _context.Process(target=_train, args=(config, folder, resume, None))
    process.start()
    return process


def assert_same_curve(found: Path, expected: Path, kinds: tuple[str, ...] = ("train", "eval")) -> None:
    """The same lines but for the rounding of sums in another order, and the same trained values at the end."""
    lines = [[record for record in metrics(folder) if record["kind"] in kinds] for folder in (found, expected)]
    assert len(lines[0]) == len(lines[1]) > 2
    for one, other in zip(*lines, strict=True):
        assert one.pop("kind") == other.pop("kind")
        assert one == pytest.approx(other, rel=2e-4, abs=2e-5)
    states = [final_state(folder) for folder in (found, expected)]
    assert states[0].keys() == states[1].keys()
    for name, value in states[1].items():
        torch.testing.assert_close(
            states[0][name], value, rtol=1e-3, atol=2e-4, msg=lambda m, name=name: f"{name}: {m}"
        )


if __name__ == "__main__":  # under torchrun: rank 1 is killed in the fourth step, the first time
    first = os.environ["TORCHELASTIC_RESTART_COUNT"] == "0"
    _with_event((1, 3, die) if first else None)
    sys.exit(main(sys.argv[1:]))
