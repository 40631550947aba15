"""The processes of a run: one without torchrun, one a GPU (or CPU rank) with it, on any number of hosts."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from ..errors import MambascopeError
from .config import ConfigError

T = TypeVar("T")

#: How long a process waits for another in one exchange: a rank may compile, or read a checkpoint, for minutes.
TIMEOUT = timedelta(minutes=30)


class Ranks:
    """What the processes agree on. Exchanges go over the CPU (gloo): they never wait for a GPU.

    Each method is a collective: every rank calls it, in the same order. With one process they cost nothing.
    """

    def __init__(self, rank: int = 0, world: int = 1, local_rank: int = 0, store: Store | None = None) -> None:
        self.rank, self.world, self.local_rank, self.store = rank, world, local_rank, store

    @property
    def leads(self) -> bool:
        """Whether this process writes the run directory."""
        return self.rank == 0

    def any(self, flag: bool) -> bool:
        """True on every rank if it is true on one."""
        if self.world == 1:
            return flag
        told = torch.tensor([float(flag)])
        dist.all_reduce(told, dist.ReduceOp.MAX)
        return bool(told)

    def mean(self, measures: Mapping[str, float]) -> dict[str, float]:
        """The mean over the ranks of each measure; all ranks hold the same names."""
        if self.world == 1 or not measures:
            return dict(measures)
        values = torch.tensor(list(measures.values()), dtype=torch.float64)
        dist.all_reduce(values)
        return dict(zip(measures, (values / self.world).tolist(), strict=True))

    def mean_records(self, records: list[dict[str, Tensor]]) -> list[dict[str, Tensor]]:
        """As `mean`, for a list of records of scalars; the result is on the CPU."""
        hosted = [{name: value.detach().cpu() for name, value in record.items()} for record in records]
        if self.world == 1 or not hosted:
            return hosted
        values = torch.stack([value.double() for record in hosted for value in record.values()])
        dist.all_reduce(values)
        means = iter(values / self.world)
        return [{name: next(means).to(value.dtype) for name, value in record.items()} for record in hosted]

    def share(self, value: T) -> T:
        """Rank 0's value."""
        if self.world == 1:
            return value
        held = [value]
        dist.broadcast_object_list(held, src=0)
        return held[0]

    def meet(self) -> None:
        """Wait until every rank is here."""
        self.any(False)


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """The ranks that torchrun started, or this process alone. Picks this rank's GPU, unless `device` is "cpu".

    Raises ConfigError if there are more processes than GPUs on a host.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        yield Ranks()
        return
    rank, local_rank = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", os.environ["RANK"]))
    cuda = device != "cpu" and torch.cuda.is_available()
    if cuda:
        if local_rank >= torch.cuda.device_count():
            raise ConfigError(
                f"this host has {torch.cuda.device_count()} GPUs and at least {local_rank + 1} processes",
                "Give torchrun --nproc-per-node the number of GPUs.",
            )
        torch.cuda.set_device(local_rank)
    store, rank, world = next(iter(rendezvous("env://", rank, world)))
    store = PrefixStore(_name_of_start(store, rank, world), store)
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world, timeout=TIMEOUT)
    yield Ranks(rank, world, local_rank, store)
    # After a failure the others may never come here: leave without a farewell then.
    dist.destroy_process_group()


def _name_of_start(store: Store, rank: int, world: int) -> str:
    """A name that the processes of this start share, and no other start has.

    Where torchrun starts all processes again, the store still holds what those before them wrote, addresses too, and
    the hosts' counts of restarts may differ. So every process writes a name of its own, rank 0 the list of them, and
    the list counts once all whom it names are alive to say so.
    """
    mine, told = uuid.uuid4().hex, set()
    store.set(f"mambascope/start/{rank}", mine)
    deadline = time.monotonic() + TIMEOUT.total_seconds()
    while time.monotonic() < deadline:
        if rank == 0:
            names = [store.get(f"mambascope/start/{other}").decode() for other in range(world)]
            store.set("mambascope/start", ",".join(names))
        listed = store.get("mambascope/start").decode()
        if mine in listed:
            count = store.add(f"mambascope/start/{listed}", 0 if listed in told else 1)
            told.add(listed)
            if count == world:
                return f"mambascope/{hashlib.sha256(listed.encode()).hexdigest()}"
        time.sleep(0.05)
    raise MambascopeError("processes-missing", f"Not all {world} processes came.", "Look into the logs of every host.")
