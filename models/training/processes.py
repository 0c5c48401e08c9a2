"""Several processes that train the same networks, each on its share of a batch and on its own device.

    torchrun --nproc-per-node 4 -m models.training.run cyclegan …

It comes to what `DistributedDataParallel` does: gradients become their mean over the processes, so that all
of them take the same step. The wrapper itself does not fit: it wants one forward pass of a whole network
before each backward pass, whereas one backward pass here goes several times through a generator, through
parts of one, and through discriminators that are held still. So a step calls `Team.average` between its last
backward pass and the optimiser's step, and that is all there is to it.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import torch
from torch import Tensor, distributed

from models.training.errors import ProcessLost

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Team:
    """Every process calls the same methods in the same order; each waits for the others.

    `rank`: this process among `size`. The first alone reports, and alone reads and writes results.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Each tensor becomes its mean over the processes, with the same bits everywhere."""
        if self.size == 1 or not tensors:
            return
        # one message for all: most of them are small
        together = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _others_expected():
            distributed.all_reduce(together)
        together /= self.size
        means = torch.split(together, [tensor.numel() for tensor in tensors])
        for tensor, mean in zip(tensors, means, strict=True):
            tensor.copy_(mean.view_as(tensor))

    def any(self, is_so: bool) -> bool:
        """Whether it is so in any of the processes."""
        if self.size == 1:
            return is_so
        # on the CPU: reading it must not wait for the GPU
        flag = torch.tensor(int(is_so))
        with _others_expected():
            distributed.all_reduce(flag, distributed.ReduceOp.MAX)
        return bool(flag)

    def gather(self, value: Any) -> list[Any]:
        """What each process gave, by rank, in the first of them; nothing in the others."""
        if self.size == 1:
            return [value]
        gathered = [None] * self.size if self.is_first else None
        with _others_expected():
            distributed.gather_object(value, gathered)
        return gathered or []

    def share(self, value: Value) -> Value:
        """What the first process gave, in all of them."""
        if self.size == 1:
            return value
        shared = [value]
        with _others_expected():
            distributed.broadcast_object_list(shared)
        return shared[0]


ALONE = Team()


@contextmanager
def joined_team(device: str | None) -> Iterator[tuple[Team, str | None]]:
    """The processes that `torchrun` started, and the device for this one; alone without it.

    Args:
        device: as asked for; None for a GPU each where there are any.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE, device
        return
    if device == "cuda" or (device is None and torch.cuda.is_available()):
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    is_on_gpu = device is not None and device.startswith("cuda")
    distributed.init_process_group("cpu:gloo,cuda:nccl" if is_on_gpu else "gloo")
    try:
        yield Team(distributed.get_rank(), size), device
    finally:
        distributed.destroy_process_group()


def leave(status: int) -> NoReturn:
    """Ends this process, as `sys.exit` does for one that is alone. Where others were still talking to it,
    gloo's threads now and then abort a process that cleans up on its way out, whatever its status was.
    """
    if "WORLD_SIZE" not in os.environ:
        sys.exit(status)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


@contextmanager
def _others_expected() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ProcessLost from error
