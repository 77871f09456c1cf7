"""Several processes as one: start-up by torchrun, and gathering with gradients."""

import os
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from modashift.errors import ModashiftError

__all__ = ["World", "gather", "gather_tensor", "start"]

T = TypeVar("T")


@dataclass(frozen=True)
class World:
    """The processes of a run and this one's place among them."""

    rank: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009

    @property
    def main(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def barrier(self) -> None:
        """Wait for all processes."""
        if self.size > 1:
            dist.barrier()

    def close(self) -> None:
        """Leave the process group."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()


def start(device: str = "auto") -> World:
    """Find the device, and join the process group where torchrun started this process.

    Raises:
        ModashiftError: for a GPU that is not there.
    """
    local, size = int(os.environ.get("LOCAL_RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    cuda = torch.cuda.is_available()
    if device.startswith("cuda") and not cuda:
        raise ModashiftError(f"device {device!r} was asked for, but torch sees no GPU; use --device cpu")
    if device == "auto":
        device = "cuda" if cuda else "cpu"
    if device == "cuda" and size > 1:
        device = f"cuda:{local}"
    chosen = torch.device(device)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if size > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    return World(int(os.environ.get("RANK", 0)), size, chosen)


class _Gather(torch.autograd.Function):
    """All processes' rows, in rank order; the gradient of each row returns to the process it came from.

    Every process computes the same loss from the gathered rows, so the gradients that arrive are summed over the
    processes; data-parallel training then averages parameter gradients, which leaves exactly those of one process.
    """

    @staticmethod
    def forward(ctx: Any, local: Tensor, counts: list[int], rank: int) -> Tensor:
        ctx.counts, ctx.rank = counts, rank
        most = max(counts)
        padded = local.new_zeros(most, *local.shape[1:])
        padded[: len(local)] = local
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        first = sum(ctx.counts[: ctx.rank])
        return gradient[first : first + ctx.counts[ctx.rank]], None, None


def gather_tensor(local: Tensor, world: World) -> Tensor:
    """Concatenate the rows (n_r, …) of all processes, which may differ in number, keeping gradients."""
    if world.size == 1:
        return local
    count = torch.tensor([len(local)], device=local.device)
    counts = [torch.empty_like(count) for _ in range(world.size)]
    dist.all_gather(counts, count)
    rows = [int(c) for c in counts]
    if local.dtype == torch.bool:
        return gather_tensor(local.to(torch.uint8), world).bool()
    gathered: Tensor = _Gather.apply(local.contiguous(), rows, world.rank)  # type: ignore[no-untyped-call]
    return gathered


def gather(value: T, world: World) -> T:
    """Gather every tensor of a dataclass, mapping or list of tensors with a leading batch dimension."""
    if world.size == 1 or value is None:
        return value
    if isinstance(value, Tensor):
        return gather_tensor(value, world)  # type: ignore[return-value]
    if isinstance(value, dict):
        return {k: gather(v, world) for k, v in value.items()}  # type: ignore[return-value]
    if isinstance(value, list):
        return [gather(v, world) for v in value]  # type: ignore[return-value]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: gather(getattr(value, f.name), world) for f in fields(value)})
    return value
