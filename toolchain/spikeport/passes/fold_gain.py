"""The gains of neurons disappear into weights or thresholds."""

from __future__ import annotations

import numpy as np

from spikeport.findings import Finding, SpikeportError
from spikeport.graph import LIF, Array, Flatten, Graph, Node, Peak, Pool, Scale, Synapse
from spikeport.passes.linear import feeders, finding, real_dtype, scaled_outputs


def fold_gain(graph: Graph) -> Graph:
    """Give every neuron the gain 1, as integer hardware has it.

    1. The synapses that alone feed it take the gain: W' = gain * W and b' = gain * b. A gain a channel passes pools;
       one gain for the layer passes flattens and scales too.
    2. Otherwise, where the gain is positive, the neuron is measured in units of it: threshold, bias and reset value are
       divided by the gain. Decay and comparison are linear, so this changes no spike.
    3. Neurons that are read at their highest (`Peak`) are not measured otherwise: a scale before them takes the gain.
    4. Otherwise it is a finding.

    Requires: Real arithmetic. Ensures: gain is 1 everywhere; spikes as before, up to rounding (to the bit for powers of
    two). Raises SP353 with every neuron of rule 4, SP354 for integers.
    """
    dtype = real_dtype(graph, "fold_gain")
    findings: list[Finding] = []
    for name, node in graph.nodes_of(LIF).items():
        if bool((node.gain == 1).all()):
            continue
        if changes := into_synapses(graph, name, node.gain):
            graph = graph.replace({**changes, name: node.with_(gain=np.ones((), dtype))})
        elif isinstance(node, Peak):
            for source in graph.sources(name):
                graph = graph.insert(f"{name}.gain.{source}", Scale(node.gain.astype(dtype)), (source, name))
            graph = graph.replace({name: node.with_(gain=np.ones((), dtype))})
        elif bool((node.gain > 0).all()):
            graph = graph.replace({name: node.measured_in(node.gain, dtype).with_(gain=np.ones((), dtype))})
        else:
            findings.append(
                finding(
                    "SP353",
                    name,
                    f"its gain ({node.gain.min():g} ... {node.gain.max():g}) fits neither weights nor thresholds",
                    "it is not positive, and what feeds the layer feeds others too.",
                    "give the layer a positive gain, or a synapse of its own",
                )
            )
    if findings:
        raise SpikeportError(findings)
    return graph


def into_synapses(graph: Graph, name: str, gain: Array) -> dict[str, Node]:
    """The synapses that alone feed a neuron layer, scaled by ``gain`` ([], [C] or its shape); {} if none can."""
    dtype = real_dtype(graph, "fold_gain")
    one = bool((gain == gain.flat[0]).all())
    if one:
        gain = np.asarray(gain.flat[0])
    elif gain.ndim > 1:
        return {}
    changes: dict[str, Node] = {}
    for source in feeders(graph, name, (Pool, Flatten, Scale) if one else (Pool,)):
        synapse = graph[source]
        assert isinstance(synapse, Synapse)
        changes[source] = scaled_outputs(synapse, gain, dtype)
    return changes
