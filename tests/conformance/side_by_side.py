"""The engine with a block of samples for each of three threads, however small they are."""

from __future__ import annotations

from unittest import mock

import torch

from spikeport.graph import Array, Graph
from spikeport.record import Record
from spikeport.target import Request, target


class SideBySide:
    """As the target of that name."""

    def __init__(self, inner: str) -> None:
        self.name, self._inner = f"{inner}, three threads", target(inner)
        self.shows, self.availability, self.check = self._inner.shows, self._inner.availability, self._inner.check

    def run(self, graph: Graph, samples: Array, request: Request) -> Record:
        before = torch.get_num_threads()
        torch.set_num_threads(3)
        try:
            threads = mock.patch("spikeport.threads.processors", return_value=3)
            with threads, mock.patch.multiple("spikeport.engine.blocks", NODE=0.0, WAKE=0.0):
                return self._inner.run(graph, samples, request)
        finally:
            torch.set_num_threads(before)
