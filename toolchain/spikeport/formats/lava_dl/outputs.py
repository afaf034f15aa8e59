"""What leaves a network of a .net file: its last layer's spikes, or its membrane."""

from __future__ import annotations

import numpy as np

from spikeport.formats.lava_dl.layers import SUMMED, Draft
from spikeport.formats.lava_dl.neurons import HIGHEST
from spikeport.formats.lava_dl.numbers import Fields
from spikeport.graph import DECAY_ONE, LIF, CubaLIF, Readout, Scale


def let_out(draft: Draft, where: str) -> None:
    """Spikes of a last layer that feeds back leave by a node of their own: a graph ends where nothing reads.

    Raises SP227 where what leaves is late, channel by channel.
    """
    if draft.waits is not None:
        Fields({}, where).refused("its last layer has delays", mend="end it with a dense layer")
    if any(source == draft.last for source, _ in draft.edges):
        draft.put(f"{draft.last.removesuffix('.neuron')}.out", Scale(np.ones((), np.int64)))


def read_out(draft: Draft) -> str:
    """Read the last layer's membrane where it sums up for ever and has the highest threshold; what was done, or "".

    Below that threshold the membrane after the last step is the sum of what came, as a `Readout` has it.
    """
    name = draft.last
    node = draft.nodes[name]
    if not isinstance(node, LIF) or (node.threshold != HIGHEST).any():
        return ""
    if isinstance(node, CubaLIF) or (node.decay != DECAY_ONE).any() or draft.edges[-1][1] != name:
        return "its last layer has the highest threshold, so that its spikes, the output, are 0: look at its membranes"
    del draft.nodes[name]
    draft.last, _ = draft.edges.pop()
    ones = np.ones(draft.timesteps, np.int64)
    draft.put(f"{name.removesuffix('.neuron')}.membrane", Readout(node.shape, ones, node.bias))
    return SUMMED
