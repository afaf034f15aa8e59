"""Outputs besides the last node of a random network, and outputs that are read at their highest membrane."""

from __future__ import annotations

import numpy as np

from spikeport.graph import Peak, Readout, Scale


def leave_too(maker):
    """Now and then another kind of output, or several: layers before the last read out, counted, or into neurons."""
    n = maker.numbers
    if isinstance(maker.nodes[maker.last], Readout) and n.maybe(0.2):
        maker.nodes[maker.last] = peak(n, maker.shape)
    if n.maybe():
        return
    outputs, starts = [maker.last], {source for source, _ in maker.edges}
    layers = [(name, shape) for name, shape in maker.seen if name in starts]
    for place in maker.rng.permutation(len(layers))[: n.pick(1, 2)]:
        maker.last, maker.shape = layers[place]
        maker.beside = []
        outputs.append(KINDS[n.pick(*KINDS)](maker))
    if len(outputs) > 1:
        maker.outputs = [outputs[place] for place in maker.rng.permutation(len(outputs))]


KINDS = {
    "readout": lambda maker: maker.add("out", Readout(maker.shape, **maker.numbers.readout(maker.shape))),
    "scale": lambda maker: maker.add("out", Scale(np.asarray(1 if maker.numbers.integers else 1.0))),
    "peak": lambda maker: maker.add("peak", peak(maker.numbers, maker.shape)),
    "neurons": lambda maker: maker.neurons(4),
}


def peak(n, shape):
    """Membranes that are read at their highest, with a current that decays or without."""
    options = {name: value for name, value in n.neuron(shape, 4, "none").items() if name != "threshold"}
    top = 2**n.profile.threshold_bits - 1 if n.integers else np.float32(np.inf)
    none = np.zeros((), np.asarray(options["decay"]).dtype)
    current = n.decay(shape, of_current=True) if n.maybe() else none
    return Peak(shape, threshold=np.full(n.steps, top), current_decay=current, **options)
