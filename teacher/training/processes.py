"""Data-parallel training: the processes started by torchrun and the shard of a batch that each computes."""

import os
from dataclasses import dataclass

import torch
from torch import Tensor, distributed


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train together; a single one unless torchrun started several.

    Attributes:
        rank: index of this process.
        world: number of processes.
        device: where this process computes.
    """

    rank: int
    world: int
    device: torch.device

    @staticmethod
    def from_environment() -> "ProcessGroup":
        """Join the process group that torchrun's environment variables describe; NCCL on GPUs, gloo on CPUs."""
        world, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
        cuda = torch.cuda.is_available()
        local_rank = int(os.environ.get("LOCAL_RANK", "0"))
        device = torch.device("cuda", local_rank) if cuda else torch.device("cpu")
        if cuda:
            torch.cuda.set_device(device)
        if world > 1 and not distributed.is_initialized():
            distributed.init_process_group("nccl" if cuda else "gloo")
        return ProcessGroup(rank, world, device)

    def shard(self, tensor: Tensor) -> Tensor:
        """This process's rows of a batch; random numbers are drawn for the whole batch before it is sharded."""
        return tensor[self.rank :: self.world]

    def shard_all(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        """`shard` of every tensor of a dict."""
        return {name: self.shard(tensor) for name, tensor in tensors.items()}
