"""Processes that train together, as torchrun starts them."""

from __future__ import annotations

import gc
import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from spikeport.findings import fail, require
from spikeport.training.reduce import ranks


@contextmanager
def together(device: str = "cpu") -> Iterator[None]:
    """Join the group that torchrun's environment announces, where there is one; leave it at the end.

    ``device`` is where the network lies. What is counted lies in the CPU's memory beside it, and each kind of memory
    has its own way between processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        yield
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.startswith("cuda") else "gloo")
    try:
        yield
    finally:
        gc.collect()  # a network that is trained lies in a cycle, and keeps the group
        dist.destroy_process_group()
        gc.collect()  # else a thread of the group may be there when the process ends, which aborts it (torch 2.13)


def own_device(device: str) -> str:
    """``device``, but of the GPUs behind plain "cuda" the one of this process, by torchrun's LOCAL_RANK.

    Raises SP319 for a device that torch does not know or cannot use, and where there are fewer GPUs than processes.
    """
    where = f"--device {device}"
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        fail("SP319", f"is no device ({str(error).splitlines()[0]})", where=where, mend="write cpu, cuda or cuda:1")
    if kind != "cuda":
        return device
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    require(
        count > 0,
        "SP319",
        "this torch can use no CUDA GPU",
        where=where,
        mend="train with --device cpu, or install a torch with CUDA; spikeport doctor says more",
    )
    if device != "cuda" or "LOCAL_RANK" not in os.environ:
        return device
    mine = int(os.environ["LOCAL_RANK"])
    require(
        mine < count,
        "SP319",
        f"there are {count} GPUs, process {mine} has none of its own",
        where=where,
        mend=f"start no more processes than GPUs: torchrun --nproc-per-node {count}",
    )
    torch.cuda.set_device(mine)
    return f"cuda:{mine}"


def shared(module: nn.Module) -> nn.Module:
    """``module`` with gradients that are the mean over all processes; the module itself where there is only one.

    Buffers are not sent around in training: every process computes them from statistics over all of them.
    """
    if ranks() == 1:
        return module
    names = inspect.signature(DistributedDataParallel).parameters
    keyword = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"  # the name before 2.13
    return DistributedDataParallel(module, **{keyword: False})  # type: ignore[arg-type]  # a keyword that is a flag


def wait_for_all() -> None:
    """Return when every process has come here."""
    if ranks() > 1:
        dist.all_reduce(torch.zeros(()))
