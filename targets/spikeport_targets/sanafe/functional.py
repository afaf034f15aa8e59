"""Functional mode: SANA-FE's own neurons compute, where they can express ours.

Its leaky neuron is ``v = trunc(64 v leak) / 64 + bias + sum``, fires where ``v > threshold`` and resets to zero or by
subtraction (SANA-FE 2.2.9, src/models.cpp). With 64 v our integer membrane this is Loihi's neuron, so spikes must be
equal. Thresholds are set anew at every step; a layer runs ``depth`` steps behind the input, silent before and after.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spikeport.findings import Finding, SpikeportError, fail
from spikeport.graph import (
    DECAY_ONE,
    LIF,
    STATE_SHIFT,
    Array,
    CubaLIF,
    Graph,
    Loihi,
    Operation,
    Range,
    Readout,
    Scale,
    Synapse,
    over_neurons,
    schedule_over_neurons,
)
from spikeport.graph.accumulators import wide_sums
from spikeport.graph.ranges import into, ranges
from spikeport.mapping import Mapping, fit
from spikeport.mapping.latency import depths
from spikeport.mapping.layers import layers
from spikeport.target import lower_bounds, plain_output, several_spikes
from spikeport_targets.sanafe.edges import edges
from spikeport_targets.sanafe.plan import Group, Plan
from spikeport_targets.sanafe.replay import chip, cores

NEVER = 1e30  #: a threshold that nothing reaches
RESETS = {"zero": "hard", "subtract": "soft", "none": "none"}


def findings(graph: Graph) -> Iterator[Finding]:
    """Everything that SANA-FE's neurons and pipeline cannot express."""
    if not isinstance(graph.arithmetic, Loihi):
        yield Finding(
            "SP740",
            "SANA-FE's neuron computes in steps of 1/64, this graph holds real numbers",
            mend="quantise the graph first; any record can be replayed",
        )
        return
    if operations := graph.nodes_of(Operation):
        yield from (_unknown(name, node) for name, node in operations.items())
        return
    if graph.recurrent:
        yield Finding("SP740", "feedback is not mapped", where=f"node {graph.output!r}")
        return
    try:
        layers(graph)
    except SpikeportError as error:
        yield from error.findings
        return
    yield from several_spikes(graph, "SANA-FE")
    yield from lower_bounds(graph, "SANA-FE")
    yield from plain_output(graph, "SANA-FE")
    for name, node in graph.nodes_of(LIF, Synapse, Scale).items():
        where = f"node {name!r}"
        if isinstance(node, CubaLIF):
            yield Finding("SP740", "SANA-FE's neuron has no synaptic current of its own", where=where)
        elif isinstance(node, LIF) and node.reset not in RESETS:
            yield Finding("SP740", f"reset {node.reset!r} to other than 0", where=where)
        elif isinstance(node, LIF) and node.decay.size > 1 and np.ptp(node.decay) > 0:
            yield Finding("SP740", "decays differ within the layer", where=where)
        elif isinstance(node, Synapse) and node.exponent < 0:
            yield Finding(
                "SP740",
                "a sum that is shifted to the right is rounded, which SANA-FE does not do",
                where=where,
                mend="quantise with exponents of at least 0",
            )
        elif isinstance(node, Scale):
            yield Finding("SP740", "a Scale has no edges", where=where, mend="fold it into the weights")
    for finding in wide_sums(graph):
        yield Finding("SP740", finding.what, where=finding.where, mend="use --target integer, which wraps such a sum")
    yield from _uneven(graph)
    yield from _saturating(graph)


def _unknown(name: str, node: Operation) -> Finding:
    what = f"SANA-FE has no {type(node).__name__}"
    return Finding("SP740", what, f"node {name!r}", mend="use --target integer, or onnxruntime")


def _saturating(graph: Graph) -> Iterator[Finding]:
    """SP747 for each layer whose membranes could reach the end of the profile's format, where SANA-FE's go on."""
    assert isinstance(graph.arithmetic, Loihi)
    profile, bounds = graph.arithmetic.profile, ranges(graph, Range(0, 1))  # `plans` takes no other input
    for name, node in graph.nodes_of(LIF).items():
        kept = float(node.decay.max()) / DECAY_ONE
        most = into(graph, name, bounds).shifted(STATE_SHIFT).size + float(np.abs(node.bias).max())
        reach = most * sum(kept**step for step in range(graph.timesteps))
        if reach > profile.state_top:
            yield Finding(
                "SP747",
                f"its membranes may reach {reach:.3g}, the profile {profile.name!r} holds {profile.state_top}",
                where=f"node {name!r}",
                why="there they saturate; SANA-FE's membranes do not, and would fire otherwise from then on.",
                mend="compare with the integer engine: where it counts no overflow, none happened",
                severity="note",
            )


def _uneven(graph: Graph) -> Iterator[Finding]:
    """Paths that meet must be equally long: SANA-FE delays every layer by a step."""
    long: dict[str, set[int]] = {graph.input: {0}}
    for name, layer in layers(graph).items():
        senders = {sender for projection in layer.projections for sender in projection.senders}
        long[name] = {1 + length for sender in senders for length in long.get(sender, {0})}
        if len(long[name]) > 1:
            yield Finding(
                "SP740",
                f"paths of {sorted(long[name])} layers meet",
                where=f"node {name!r}",
                mend="replay a record of the integer engine instead: nothing is delayed there",
            )


def plans(graph: Graph, samples: Array) -> tuple[list[Plan], dict[str, int]]:
    """One plan a sample, and the step at which each layer starts."""
    mapping = Mapping(graph, fit(graph, "loihi1"))
    start = depths(mapping.fit)
    frames = graph.arithmetic.entering(graph.entry, samples)
    if not np.isin(frames, (0, 1)).all():
        fail(
            "SP740",
            "the input holds other values than 0 and 1, and SANA-FE's messages are single spikes",
            where=f"node {graph.input!r}",
            mend="replay a record of the integer engine instead",
        )
    frames = np.broadcast_to(frames, (graph.timesteps, *frames.shape[1:]))
    steps = graph.timesteps + max(start.values())
    every = tuple(edges(graph))
    fixed = [_layer(graph, mapping, name, start[name], steps) for name in graph.nodes_of(LIF, Readout)]
    each = []
    for sample in range(frames.shape[1]):
        train = np.zeros((steps, frames[0, 0].size), dtype=np.uint8)
        train[: graph.timesteps] = frames[:, sample].reshape(graph.timesteps, -1)
        groups = [Group(graph.input, "inputs", cores(mapping, graph.input), train), *fixed]
        each.append(Plan(chip(mapping, groups), tuple(groups), every, steps))
    return each, start


def _layer(graph: Graph, mapping: Mapping, name: str, start: int, steps: int) -> Group:
    """The neurons of a layer with their thresholds and biases at each step; a readout adds up and never fires."""
    node = graph.nodes[name]
    shape = graph.shapes[name]
    threshold = np.full((steps, int(np.prod(shape))), NEVER)
    bias = np.zeros_like(threshold)
    attributes: dict[str, object] = {"leak_decay": 1.0, "reset_mode": "none", "force_update": True}
    if isinstance(node, LIF):
        run = slice(start, start + graph.timesteps)
        spread = np.broadcast_to(schedule_over_neurons(node.threshold, shape), (graph.timesteps, *shape))
        threshold[run] = spread.reshape(graph.timesteps, -1)
        bias[run] = np.broadcast_to(over_neurons(node.bias, shape), shape).reshape(-1) / 2**STATE_SHIFT
        attributes |= {"leak_decay": float(node.decay.flat[0]) / DECAY_ONE, "reset_mode": RESETS[node.reset]}
    return Group(name, "lif", cores(mapping, name), None, attributes, threshold, bias)
