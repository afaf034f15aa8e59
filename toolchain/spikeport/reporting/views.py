"""What a picture shows of one run or two: one sample's membranes, thresholds and spikes in real units, and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeport.comparison import Divergence, threshold_at, unit_of
from spikeport.graph import LIF, Array, Graph
from spikeport.record import Record
from spikeport.reporting.numbers import whole
from spikeport.reporting.rasters import sample_of

BLUE, AMBER = "#1f6feb", "#c2410c"  #: of the first run and the second, as on the page


@dataclass(frozen=True)
class Run:
    """One of the runs that are drawn."""

    record: Record
    graph: Graph | None
    name: str
    colour: str

    @property
    def line(self) -> Any:
        """Matplotlib's style of its lines, so that one under the other shows."""
        return "-" if self.colour == BLUE else (0, (3, 2))

    def node(self, layer: str) -> LIF | None:
        """The neurons of a layer, where the network is known and takes as many steps."""
        node = None if self.graph is None else self.graph.nodes.get(layer)
        train = self.record.trains.get(layer)
        return node if isinstance(node, LIF) and (train is None or train.shape[0] == node.timesteps) else None

    def membrane(self, layer: str, sample: int, neuron: tuple[int, ...]) -> Array | None:
        """[T] after the reset, in real units where the network is known."""
        if layer not in self.record.membranes:
            return None
        node = self.node(layer)
        unit = 1.0 if node is None or self.graph is None else float(unit_of(self.graph, node)[neuron])
        return np.asarray(self.record.membranes[layer][:, sample].transpose()[neuron[::-1]] * unit)

    def thresholds(self, layer: str, neuron: tuple[int, ...]) -> Array | None:
        """[T] in real units."""
        node = self.node(layer)
        if node is None or self.graph is None:
            return None
        unit = float(unit_of(self.graph, node)[neuron])
        return np.asarray([float(threshold_at(self.graph, node, t)[neuron]) * unit for t in range(node.timesteps)])

    def fires(self, layer: str, sample: int, neuron: tuple[int, ...]) -> Array:
        """The steps at which a neuron fires."""
        if layer not in self.record.trains:
            return np.zeros(0, dtype=np.int64)
        spikes = sample_of(self.record.trains[layer], sample).unpack()
        return np.flatnonzero(spikes[:, 0].transpose()[neuron[::-1]])


@dataclass(frozen=True)
class View:
    """What is drawn of one or two runs."""

    runs: tuple[Run, ...]
    sample: int
    first_of_all: Divergence | None

    @property
    def record(self) -> Record:
        """Of the first run."""
        return self.runs[0].record

    @property
    def other(self) -> Record | None:
        """Of the second."""
        return self.runs[1].record if len(self.runs) > 1 else None

    def first(self, layer: str) -> Divergence | None:
        """The first difference, where it lies in this layer of this sample."""
        first = self.first_of_all
        return first if first is not None and (first.sample, first.layer) == (self.sample, layer) else None

    def caption(self) -> str:
        """In words: what is drawn, then what is not and why."""
        names = [run.name for run in self.runs]
        parts = [f"sample {self.sample} of {whole(self.record.samples)}, {' against '.join(names)}"]
        if len(names) == 2:
            told = None if self.first_of_all is None else self.first_of_all.told(*names)
            parts.append("every spike agrees" if told is None else f"first difference: {told}")
        if not any(run.record.membranes for run in self.runs):
            parts.append("no membranes in the record: spikeport simulate --membranes keeps them")
        if all(run.graph is None for run in self.runs):
            parts.append("no thresholds: the network of the record is not known (--model names it)")
        return "; ".join(parts)
