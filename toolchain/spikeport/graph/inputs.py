"""What may enter a graph in Loihi arithmetic: no more than one message holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from spikeport.findings import Finding, fail
from spikeport.graph.arrays import Array
from spikeport.graph.neurons import LIF
from spikeport.graph.node import Node
from spikeport.graph.plumbing import Input
from spikeport.graph.profile import Profile
from spikeport.graph.synapses import Synapse

if TYPE_CHECKING:
    from spikeport.graph.graph import Graph  # which asks for `input_findings`
    from spikeport.graph.samples import Samples

INPUT_BITS = 8  #: input may be this wide where messages are narrower: a host forms the first layer's sums (SP404)


class Edges(Protocol):
    """What is asked of a graph, which is being built when its input is looked at."""

    @property
    def nodes(self) -> Mapping[str, Node]:
        """All by name."""

    def targets(self, name: str) -> tuple[str, ...]:
        """The nodes that the output of one enters."""


def holds(bits: int, low: float) -> tuple[int, int]:
    """Smallest and largest value of one message: two's complement where values are negative, else unsigned."""
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if low < 0 else (0, 2**bits - 1)


def input_findings(graph: Edges, name: str, profile: Profile) -> Iterator[Finding]:
    """SP117 where an input that enters a synapse has bounds beyond a message.

    Each of its values is one message, however they are added afterwards. Input that enters neurons is a current and
    sends none; bounds that are not known are left to `wide_messages`.
    """
    node = graph.nodes[name]
    assert isinstance(node, Input)
    low, high = holds(max(profile.message_bits, INPUT_BITS), node.low)
    beyond = (np.isfinite(node.low) and node.low < low) or (np.isfinite(node.high) and node.high > high)
    if beyond and _enters_a_synapse(graph, name):
        yield Finding(
            "SP117",
            f"values of {node.low:g} ... {node.high:g} may enter, a message of the profile {profile.name!r} holds "
            f"{low} ... {high}",
            where=f"node {name!r}",
            why="a chip would cut such a value off.",
            mend="choose a larger unit, so that the values are smaller (quantize does), or a profile with more "
            "message_bits",
        )


def require_within(graph: Graph, low: float, high: float, samples: Samples | None = None) -> None:
    """Raise SP504 where input from ``low`` to ``high`` units lies outside what the integers were made for.

    ``samples``: those that it is of, to say which.
    """
    node = graph.entry
    if low < node.low or high > node.high:
        unit = float(node.unit)
        ends = f"{node.low * unit:.6g} and {node.high * unit:.6g}"
        fail(
            "SP504",
            f"input spans {low:.0f} ... {high:.0f} units of {unit:g}, the graph was made for "
            f"{node.low:g} ... {node.high:g}{'' if samples is None else _which(node, samples)}",
            where=f"node {graph.input!r}",
            why="the scales, and the proof that no sum leaves its integers, rest on that range.",
            mend="scale the input as the calibration data were, quantise again with data that span it, or cut it off "
            f"at {ends}, as a chip's inputs would: --clip, clip=True, or numpy.clip",
        )


def require_samples_within(graph: Graph, samples: Samples) -> None:
    """Raise SP504 where integers made of samples' own steps lie outside what the graph was made for.

    Who runs them in parts asks before, so that their numbers are those among all of them.
    """
    own, unit = samples.own, float(graph.entry.unit)
    ends = (float(own.min()), float(own.max())) if own.size else (0.0, 0.0)
    if np.isfinite(ends).all():  # other values are told by themselves
        low, high = sorted(round(end / unit) for end in ends)  # ties to even
        require_within(graph, low, high, samples)


def cut_off(node: Input, values: Array) -> Array:
    """Values, those whose integers lie beyond what may enter at the end that they passed."""
    unit = float(node.unit)
    units = np.rint(values / unit)
    ends = np.where(units > node.high, node.high * unit, np.where(units < node.low, node.low * unit, values))
    whole = values.dtype.kind == "f" or bool((ends == np.floor(ends)).all())
    return ends.astype(values.dtype if whole else np.float32)


def _which(node: Input, samples: Samples) -> str:
    """How many samples are beyond, and the first of them."""
    frames = np.rint(samples.frames / float(node.unit))
    there = (frames < node.low) | (frames > node.high)
    beyond = np.asarray(there.any((0, *range(2, frames.ndim))))
    return f": {beyond.sum()} of {len(beyond)} samples are beyond, the first is number {beyond.argmax()} (from 0)"


def _enters_a_synapse(graph: Edges, name: str) -> bool:
    seen, waiting = {name}, [name]
    while waiting:
        for target in graph.targets(waiting.pop()):
            node = graph.nodes[target]
            if isinstance(node, Synapse):
                return True
            if target not in seen and not isinstance(node, LIF):
                seen.add(target)
                waiting.append(target)
    return False
