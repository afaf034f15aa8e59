"""Graphs made ready for a GPU."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from spikeport.engine import cuda, synapse
from spikeport.engine.devices import products_asked
from spikeport.engine.integers import holding
from spikeport.engine.neuron import Neurons
from spikeport.engine.parts import added_in, definition, small, stateless, widened
from spikeport.engine.program import Program
from spikeport.engine.stretches import stretches
from spikeport.engine.synapse import Step
from spikeport.graph import LIF, Conv, CubaLIF, Graph, Linear, Loihi, Pool, Range, Synapse
from spikeport.graph.ranges import into
from spikeport.graph.work import multiply_adds


def triton(graph: Graph, device: str, bounds: Mapping[str, Range]) -> Program:
    """Each node as the door of `cuda` has it; sums beyond 32 bits are products in float64 (`synapse`)."""
    arithmetic = graph.arithmetic
    assert isinstance(arithmetic, Loihi)
    entering = {name: into(graph, name, bounds) for name in graph.nodes}
    types = {name: holding(x) for name, x in entering.items()}
    steps: dict[str, Step] = {}
    neurons: dict[str, Neurons] = {}
    joined: dict[str, str] = {}
    loihi = arithmetic.profile.neuron == "loihi"
    for name, node in graph.nodes_of(LIF).items():
        if not _has_kernel(node) or not loihi:
            neurons[name] = definition(node, graph)
            continue
        if (own := own_synapse(graph, name)) is not None:
            before = graph.nodes[own]
            assert isinstance(before, Synapse)
            both = cuda.Joined(before, entering[own], graph.input_shape(own))
            if layer := cuda.neurons(node, entering[name], both, arithmetic, device):
                neurons[name], joined[name] = layer, own
        if name not in neurons:
            alone = cuda.neurons(node, entering[name], None, arithmetic, device)
            assert alone is not None
            neurons[name] = alone
    for name, other in stateless(graph).items():
        if name in joined.values():
            continue
        if isinstance(other, Synapse):
            whole = cuda.synapse(other, entering[name], graph.input_shape(name), arithmetic, device)
            steps[name] = whole or synapse.prepare(other, torch.int64, device)
        elif isinstance(other, Pool) and len(other.kernel) < 3:
            steps[name] = cuda.pool(other, holding(bounds[name]))
        else:
            steps[name] = small(other, graph.shapes[name], entering[name], bounds[name], device)
    sums = adding(graph, types) if loihi else {}
    return Program(graph, device, "triton", steps, neurons, types, entering, joined, sums)


def real(graph: Graph, device: str, bounds: Mapping[str, Range | None]) -> Program:
    """Real numbers in float32; ``bounds``: of what enters each node, where that is known to be sums of spikes."""
    multiply = products_asked()
    entering = added_in(graph, bounds, torch.float32)
    steps: dict[str, Step] = {}
    neurons: dict[str, Neurons] = {}
    joined: dict[str, str] = {}
    for name, node in graph.nodes_of(LIF).items():
        if not _has_kernel(node):
            neurons[name] = definition(node, graph)
            continue
        before = graph.nodes.get(own_synapse(graph, name) or "")
        if isinstance(before, Linear | Conv) and len(before.weight.shape) < 5:
            joined[name] = own_synapse(graph, name) or ""
            neurons[name] = cuda.real_neurons(node, (before, graph.input_shape(joined[name])), device, multiply)
        else:
            neurons[name] = cuda.real_neurons(node, None, device, multiply)
    for name, other in stateless(graph).items():
        if name in joined.values():
            continue
        if isinstance(other, Linear | Conv) and len(other.weight.shape) < 5:
            steps[name] = cuda.real_synapse(other, graph.input_shape(name), device, multiply)
        else:
            steps[name] = widened(other, torch.float32, device)
    return Program(graph, device, "triton", steps, neurons, entering, bounds, joined, adding(graph, entering))


def products(graph: Graph, device: str, bounds: Mapping[str, Range]) -> Program:
    """The plain definition, but for its synapses, which multiply on tensor cores where a bound proves them exact."""
    steps = {
        name: cuda.product(node, into(graph, name, bounds), device)
        if isinstance(node, Synapse)
        else synapse.prepare(node, torch.int64, device)
        for name, node in stateless(graph).items()
    }
    neurons = {name: definition(node, graph) for name, node in graph.nodes_of(LIF).items()}
    ranges: dict[str, Range | None] = {name: into(graph, name, bounds) for name in graph.nodes}
    return Program(graph, device, "products", steps, neurons, dict.fromkeys(graph.nodes, torch.int64), ranges)


def adding(graph: Graph, entering: Mapping[str, torch.dtype]) -> dict[str, str]:
    """Neuron layers, each with one before it whose spikes are added to its own somewhere, in bytes.

    The later one of the two adds as it writes its spikes: no kernel for the sum, and one read of the other's. To add
    while a window is gathered would read the other nine times, and take the tensor cores' factors through registers,
    which costs them half their rate (measured with conversions, reference of docs/gpu.md).
    """
    place = {s.names[0]: number for number, s in enumerate(stretches(graph)) if not s.feeds_back}
    kernels = {name for name, node in graph.nodes_of(LIF).items() if name in place and _has_kernel(node)}
    others: dict[str, str] = {}
    for name in graph.order:
        sources = graph.sources(name)
        if len(sources) == 2 and kernels.issuperset(sources) and len(graph.operands(name)) == 1:
            first, second = sorted(sources, key=place.__getitem__)
            if entering[name] == torch.uint8 and graph.shapes[first] == graph.shapes[second]:
                others.setdefault(second, first)
    return others


def _has_kernel(node: LIF) -> bool:
    """Whether a kernel computes these neurons, which write zeros and ones."""
    return type(node) in (LIF, CubaLIF) and node.most_spikes == 1


def own_synapse(graph: Graph, name: str) -> str | None:
    """Of the synapses that a neuron layer alone reads the one that multiplies most: the layer makes its sums itself."""
    works = multiply_adds(graph).items()
    alone = {source: work for source, work in works if graph.targets(source) == (name,)}
    return max(alone, key=alone.__getitem__) if alone else None
