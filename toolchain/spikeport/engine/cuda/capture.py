"""What is launched again and again, taken down once and then repeated by one call: a CUDA graph.

While it is taken down nothing runs, so nothing in it may wait for the card, copy from memory that is not pinned, or
make a tensor whose size follows from values. It reads and writes the memory that it was taken down with. Kernels have
to be built, and tiles chosen, before: whoever takes something down has launched the same once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import torch

from spikeport.engine.cuda.stream import queue

Launch = Callable[[], None]


class Recorder(Protocol):
    """Takes down what a call launches."""

    def __call__(self, launch: Launch, /) -> Launch:
        """What launches the same again. Raises RuntimeError where it cannot be taken down."""


@contextmanager
def apart(device: torch.device | str) -> Iterator[None]:
    """Within, a GPU's queue for what is to be taken down: autograd goes back on the queue that it came by."""
    if torch.device(device).type != "cuda":
        yield
        return
    side, now = queue(str(device), "graphs"), torch.cuda.current_stream(device)
    side.wait_stream(now)
    with torch.cuda.stream(side):
        yield
    now.wait_stream(side)


def on_card(launch: Launch, device: str) -> Launch:
    """A CUDA graph of what ``launch`` queues on a GPU."""
    graph = torch.cuda.CUDAGraph()
    with (
        torch.cuda.device(device),
        torch.cuda.graph(graph, stream=queue(device, "graphs"), capture_error_mode="thread_local"),
    ):
        launch()
    return graph.replay


def recorder_for(device: torch.device | str) -> Recorder | None:
    """What takes down launches on a device; None where nothing does, and where ``SPIKEPORT_GRAPHS=off`` forbids it."""
    there = torch.device(device).type == "cuda" and os.environ.get("SPIKEPORT_GRAPHS", "") != "off"
    return partial(on_card, device=str(device)) if there else None
