"""How a graph is made ready: the functions of its nodes, chosen once.

Five sets of functions compute the same:

- ``plain``: PyTorch's own operations, integers as int64. The tested definition; runs on every device.
- ``fast``, real: PyTorch's products, but of spikes with a matrix, and neurons on the compiled loops of `cpu`.
- ``fast``, integers: synapses and neurons as `cpu` prepares them, values between the layers in the smallest type that
  holds their range (`ranges`). Neurons that alone read a synapse take in what enters it, and make its sums.
- ``triton``: the same on a GPU, as `cuda` prepares them, or on a CPU in Triton's interpreter. Neurons also
  take in one synapse where other sums enter beside it.
- ``products``, integers: the plain ones, with exact products on the GPU's tensor cores: where Triton is missing.

``SPIKEPORT_KERNELS`` in the environment names one. Real numbers of float64 on a GPU are plain, and all of them where
Triton is missing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from spikeport.engine import cpu, cuda, feedback, on_card, synapse
from spikeport.engine.integers import exact_ranges, holding
from spikeport.engine.neuron import Neurons
from spikeport.engine.parts import added_in, definition, small, stateless
from spikeport.engine.program import Kernels, Program
from spikeport.engine.synapse import Step
from spikeport.graph import LIF, Delay, Flatten, Graph, Loihi, Operation, Range, Real, Synapse, ranges
from spikeport.graph.ranges import into
from spikeport.graph.shifts import shift_each


def kernels_here(device: str) -> Kernels:
    """Which functions to use unless the environment says otherwise: the loops on a CPU, the kernels on a card."""
    asked = os.environ.get("SPIKEPORT_KERNELS", "")
    if asked in ("plain", "triton", "products"):
        return asked  # type: ignore[return-value]
    return "fast" if device == "cpu" else "products" if cuda.missing() else "triton"


def build(graph: Graph, device: str, kernels: Kernels, entering: Range | None) -> Program:
    """Make a graph ready; ``entering`` is the range of its integer input, None for real numbers.

    Raises SP503 for nodes that the engine does not know, SP509 for integers that may grow too large.
    """
    if entering is not None:
        summing = shift_each(graph)
        bound = exact_ranges(summing, entering)
        return replace(_integers(summing, device, kernels, bound), graph=graph)
    dtype = torch.float64 if getattr(graph.arithmetic, "dtype", "") == "float64" else torch.float32
    if kernels == "triton" and dtype == torch.float32:
        return on_card.real(graph, device, whole(graph))
    return _fast_real(graph, device, dtype) if kernels == "fast" else _plain(graph, device, dtype)


def _integers(graph: Graph, device: str, kernels: Kernels, bounds: Mapping[str, Range]) -> Program:
    if kernels in ("triton", "products"):
        ready = on_card.triton if kernels == "triton" else on_card.products
        return ready(graph, device, bounds)
    return _fast_integers(graph, device, bounds) if kernels == "fast" else _plain(graph, device, torch.int64)


def _plain(graph: Graph, device: str, dtype: torch.dtype) -> Program:
    steps = {name: synapse.prepare(node, dtype, device) for name, node in stateless(graph).items()}
    neurons = {name: definition(node, graph) for name, node in graph.nodes_of(LIF).items()}
    return Program(graph, device, "plain", steps, neurons, dict.fromkeys(graph.nodes, dtype), whole(graph))


def _fast_real(graph: Graph, device: str, dtype: torch.dtype) -> Program:
    incoming, arithmetic = whole(graph), graph.arithmetic
    assert isinstance(arithmetic, Real)
    entering = added_in(graph, incoming, dtype)
    neurons: dict[str, Neurons] = {}
    for name, layer in graph.nodes_of(LIF).items():
        neurons[name] = cpu.prepare(layer, None, layer.shape, arithmetic) or definition(layer, graph)
    cycles, joined = feedback.cycles(graph, neurons, incoming)
    entering |= {name: entering[own] for name, own in joined.items()}
    circuits, taken = feedback.circuits(graph, neurons.get, cycles, incoming, {}, np.dtype(arithmetic.dtype))
    taken |= set(joined.values())
    others = {name: node for name, node in stateless(graph).items() if name not in taken}
    steps = {
        name: cpu.real_sums(node, incoming[name], graph.input_shape(name), dtype)
        if isinstance(node, Synapse)
        else synapse.prepare(node, dtype, device)
        for name, node in others.items()
    }
    made = Program(graph, device, "fast", steps, neurons, entering, incoming, joined, cycles=cycles)
    return replace(made, circuits=circuits)


def whole(graph: Graph) -> dict[str, Range | None]:
    """The range of what enters each node where it is nothing but sums of spikes; None where it may be anything."""
    bounds: dict[str, Range | None] = {name: Range(0, node.most_spikes) for name, node in graph.nodes_of(LIF).items()}
    for name in graph.nodes_of(Delay):
        spikes = all(isinstance(graph.nodes[source], LIF) for source in graph.sources(name))
        bounds[name] = _added(graph, name, bounds) if spikes else None
    for name in graph.order:
        if name not in bounds:
            node = graph.nodes[name]
            spikes = isinstance(node, Flatten | Operation) and not node.arrays
            bounds[name] = _added(graph, name, bounds, leaving=True) if spikes else None
    return {name: _added(graph, name, bounds) for name in graph.nodes}


def _added(graph: Graph, name: str, bounds: Mapping[str, Range | None], *, leaving: bool = False) -> Range | None:
    """The range of what enters a node, or leaves one that sums nothing else; None where a part of it is not known."""
    known = {source: x for source in graph.sources(name) if (x := bounds[source]) is not None}
    if not known or len(known) < len(graph.sources(name)):
        return None
    return ranges.leaving(graph, name, known) if leaving else into(graph, name, known)


def _fast_integers(graph: Graph, device: str, bounds: Mapping[str, Range]) -> Program:
    """For each layer the door's way, or where it has none the plain definition."""
    arithmetic = graph.arithmetic
    assert isinstance(arithmetic, Loihi)
    entering = {name: into(graph, name, bounds) for name in graph.nodes}
    types = {name: holding(x) for name, x in entering.items()}
    steps: dict[str, Step] = {}
    neurons: dict[str, Neurons] = {}
    joined: dict[str, str] = {}
    layers = graph.nodes_of(LIF)
    for name, node in layers.items():
        source, before = _own_synapse(graph, name)
        layer = cpu.Joined(before, node) if before else None
        if layer and (both := cpu.prepare(layer, entering[source], graph.input_shape(source), arithmetic)):
            neurons[name], types[name] = both, types[source]
            joined[name] = source
        elif alone := cpu.prepare(node, entering[name], node.shape, arithmetic):
            neurons[name], types[name] = alone, torch.int32
        else:
            neurons[name] = definition(node, graph)
    cycles, inward = feedback.cycles(graph, neurons, entering)
    joined, types = joined | inward, types | {name: types[own] for name, own in inward.items()}

    def by_itself(name: str) -> Neurons | None:
        return cpu.prepare(layers[name], entering[name], layers[name].shape, arithmetic)

    circuits, taken = feedback.circuits(graph, by_itself, cycles, entering, bounds, np.dtype(np.int32))
    taken |= set(joined.values())
    for name, other in stateless(graph).items():
        if isinstance(other, Synapse) and name not in taken:
            steps[name] = cpu.prepare(other, entering[name], graph.input_shape(name), arithmetic)
        elif name not in taken:
            steps[name] = small(other, graph.shapes[name], entering[name], bounds[name], device)
    made = Program(graph, device, "fast", steps, neurons, types, entering, joined, cycles=cycles)
    return replace(made, circuits=circuits)


def _own_synapse(graph: Graph, name: str) -> tuple[str, Synapse | None]:
    """The synapse that a neuron layer alone reads, and nothing else; None where there is none."""
    source, *others = graph.sources(name)
    node = graph.nodes[source]
    alone = not others and graph.targets(source) == (name,)
    return source, node if alone and isinstance(node, Synapse) else None
