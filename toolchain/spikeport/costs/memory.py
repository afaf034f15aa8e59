"""Arithmetic, addressing and memory of layer-by-layer accelerators, after Lemaire et al., ICONIP 2022.

An SNN keeps membranes and weights in memories and passes messages through queues; an ANN reads frames, weights and
writes frames. Each memory is as large as what it holds, and an access costs what `access` interpolates.
"""

from __future__ import annotations

from itertools import pairwise

from spikeport.costs.counts import Counts, NeuronCounts, SynapseCounts
from spikeport.costs.model import Model, Range, exactly
from spikeport.costs.terms import Term

NEEDS = ("add", "multiply", "sram_8k", "sram_32k", "sram_1m", "access_width", "word", "queue")
SIZES = (("sram_8k", 8 * 1024.0), ("sram_32k", 32 * 1024.0), ("sram_1m", 1024 * 1024.0))


def access(model: Model, size: float) -> Range:
    """Joule per word of a memory of ``size`` bytes: straight lines from 0 through the published sizes and beyond."""
    points = [(0.0, exactly(0.0)), *((at, model[name]) for name, at in SIZES)]
    for (x0, y0), (x1, y1) in pairwise(points):
        if size <= x1 or x1 == points[-1][0]:
            line = y0 + (y1 + y0 * -1.0) * ((size - x0) / (x1 - x0))
            break
    word, width = model["word"], model["access_width"]
    return line * Range(word.low / width.high, word.nominal / width.nominal, word.high / width.low)


def spiking(counts: Counts, model: Model) -> list[Term]:
    """The terms of the spiking network: a layer that multiplies an analog frame works as an ANN's does."""
    terms: list[Term] = []
    for name, layer in counts.synapses.items():
        terms += _framed(name, layer, model, layer.macs) if layer.analog else _by_events(name, layer, model)
    for name, neurons in counts.neurons.items():
        terms += _neurons(name, neurons, counts.timesteps, model)
    for each in counts.identities:
        moving, size = each.source in counts.neurons, each.dense * model["word"].nominal
        terms += _added(each.layer, exactly(each.operations), model, model["queue"].nominal, size, moving)
    return terms


def conventional(counts: Counts, model: Model) -> list[Term]:
    """The terms of the same-architecture ANN: every layer once, densely, its output written to memory."""
    terms: list[Term] = []
    for name, layer in counts.synapses.items():
        terms += _framed(name, layer, model, layer.dense)
        outputs = exactly(float(layer.sizes.outputs))
        written = outputs * access(model, layer.sizes.outputs * model["word"].nominal)
        terms.append(Term(name, "output writes", outputs, written, False))
    for each in counts.identities:
        size = each.dense * model["word"].nominal
        terms += _added(each.layer, exactly(each.dense), model, size, size, False)
    return terms


def _added(name: str, operations: Range, model: Model, source: float, state: float, moving: bool) -> list[Term]:
    """Values added without a weight: each is read from where it waits, and added to what is read and written back.

    ``source`` and ``state`` are the sizes of the two memories in bytes.
    """
    both = operations * 2.0
    return [
        Term(name, "arithmetic", operations, operations * model["add"], moving),
        Term(name, "input reads", operations, operations * access(model, source), moving),
        Term(name, "membrane reads and writes", both, both * access(model, state), moving),
    ]


def _framed(name: str, layer: SynapseCounts, model: Model, macs: Range) -> list[Term]:
    """A layer that multiplies a frame: an input and a weight read for each product (inputs of a matrix once)."""
    word, sizes = model["word"].nominal, layer.sizes
    reads = macs if layer.conv else exactly(float(sizes.inputs))
    mac = model["add"] + model["multiply"]
    address = exactly(float(sizes.inputs + sizes.outputs + (sizes.taps if layer.conv else 0)))
    moving = layer.analog and not layer.constant
    return [
        Term(name, "arithmetic", macs, macs * mac, moving),
        Term(name, "addressing", address, address * model["add"], False),
        Term(name, "input reads", reads, reads * access(model, sizes.inputs * word), moving),
        Term(name, "weight reads", macs, macs * access(model, sizes.weights * word), moving),
    ]


def _by_events(name: str, layer: SynapseCounts, model: Model) -> list[Term]:
    """A layer driven by events: a weight read, a membrane read and written for each operation."""
    word, sizes = model["word"].nominal, layer.sizes
    inputs = exactly(layer.inputs)
    total = layer.accumulates + layer.macs
    arithmetic = total * model["add"] + layer.macs * model["multiply"]
    address = total * model["add"] + (inputs * (model["add"] + model["multiply"])) * (2.0 if layer.conv else 0.0)
    moving = not layer.constant
    state = access(model, sizes.outputs * word)
    return [
        Term(name, "arithmetic", total, arithmetic, moving),
        Term(name, "addressing", total, address, moving),
        Term(name, "input reads", inputs, inputs * access(model, model["queue"].nominal), moving),
        Term(name, "weight reads", total, total * access(model, sizes.weights * word), moving),
        Term(name, "membrane reads and writes", total * 2.0, total * 2.0 * state, moving),
    ]


def _neurons(name: str, layer: NeuronCounts, timesteps: int, model: Model) -> list[Term]:
    """Leak: a membrane read and written, a multiply-add. A spike: an addition for the reset, a message written."""
    updates, spikes = exactly(layer.updates), exactly(layer.spikes)
    state = access(model, layer.updates / timesteps * model["word"].nominal)
    return [
        Term(name, "arithmetic", updates, updates * (model["add"] + model["multiply"]), False),
        Term(name, "resets", spikes, spikes * model["add"], True),
        Term(name, "membrane reads and writes", updates * 2.0, updates * 2.0 * state, False),
        Term(name, "output writes", spikes, spikes * access(model, model["queue"].nominal), True),
    ]
