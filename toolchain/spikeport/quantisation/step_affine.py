"""Gains and biases a timestep: gains become whole multiples of the smallest, biases whole numbers of a sum."""

from __future__ import annotations

import numpy as np

from spikeport.findings import Finding, raise_errors
from spikeport.graph import Array, Flatten, Graph, Node, Pool, Scale, Shape, StepAffine, Synapse
from spikeport.graph.arrays import in_units
from spikeport.graph.loihi_rules import FACTOR_TOP
from spikeport.passes.linear import feeders, finding, real_dtype, scaled_outputs
from spikeport.quantisation.scales import SUM_ONE, LayerScale

ROUNDED = 1e-6  #: relative, to which a multiple is whole: gains are float32 quotients


def whole_gains(graph: Graph) -> Graph:
    """Give every `StepAffine` gains that are whole.

    1. The smallest gain other than zero, of each channel where gains differ between them, goes into the synapses that
       alone feed the node. Its multiples are left, whole numbers up to 2**15: all powers of two are.
    2. Other multiples are refused (SP435), with how far off the nearest powers of two would be; so is a node whose
       gains are not whole and which no synapse alone feeds.

    Requires: Real arithmetic. Ensures: spikes as before, up to rounding (to the bit where the unit is a power of two).
    """
    dtype, errors = real_dtype(graph, "whole_gains"), []
    for name, node in graph.nodes_of(StepAffine).items():
        unit, multiples = _in_smallest(node.gain.astype(np.float64))
        through = (Pool,) if unit.ndim else (Pool, Flatten, Scale)
        sources = feeders(graph, name, through) if (unit != 1).any() else ()
        whole = np.rint(multiples)
        if (np.abs(multiples - whole) > ROUNDED * np.abs(multiples)).any() or np.abs(whole).max() > FACTOR_TOP:
            errors.append(_no_multiples(name, multiples))
        elif (unit != 1).any() and not sources:
            why = "its unit has to go into weights."
            errors.append(finding("SP435", name, "no synapse alone feeds a gain a timestep", why, "put one before it"))
        else:
            changes: dict[str, Node] = {name: node.with_(gain=whole.astype(dtype))}
            for source in sources:
                synapse = graph[source]
                assert isinstance(synapse, Synapse)
                changes[source] = scaled_outputs(synapse, unit, dtype)
            graph = graph.replace(changes)
    raise_errors(errors)
    return graph


def _in_smallest(gain: Array) -> tuple[Array, Array]:
    """The smallest size of [T, ...] gains other than zero, [C] where they are [T, C], else []; and its multiples."""
    if np.array_equal(gain, np.rint(gain)):
        return np.ones(()), gain
    sizes = np.where(gain == 0, np.inf, np.abs(gain))
    unit = sizes.min(axis=0 if gain.ndim == 2 else None)
    unit = np.where(np.isfinite(unit), unit, 1.0)
    return unit, gain / unit


def _no_multiples(name: str, multiples: Array) -> Finding:
    sizes = np.abs(multiples[multiples != 0])
    off = float(np.abs(2.0 ** (np.rint(np.log2(sizes)) - np.log2(sizes)) - 1).max())
    return finding(
        "SP435",
        name,
        f"its gains stand up to 1 : {sizes.max():.4g}, in no whole multiples; the nearest powers of two would change "
        f"what enters a neuron by up to {100 * off:.2g} %",
        "integers multiply sums by whole numbers, and powers of two are shifts.",
        "train gains that are powers of two of one another, or take one gain for all steps",
    )


def step_integers(node: StepAffine, shape: Shape, scale: LayerScale) -> StepAffine:
    """The node in integers: its gains are whole already, its biases in units of the layer's sums, to the nearest."""
    bias = np.rint(in_units(node.bias.astype(np.float64), np.asarray(scale.unit * SUM_ONE), shape, lead=1))
    return node.with_(gain=np.rint(node.gain).astype(np.int32), bias=bias.astype(np.int32))
