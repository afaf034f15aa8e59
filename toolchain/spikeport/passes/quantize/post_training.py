"""Post-training quantisation: a trained graph to integers, one step after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spikeport.findings import Finding, fail, raise_errors
from spikeport.graph import LOIHI2, Array, Graph, Input, Profile, Real, Synapse
from spikeport.passes.fold_gain import fold_gain
from spikeport.passes.fold_norm import fold_norm
from spikeport.passes.fold_pool import fold_pool
from spikeport.passes.move_bias import move_bias
from spikeport.passes.quantize.inputs import input_grid
from spikeport.passes.quantize.integers import integers
from spikeport.passes.quantize.layers import find_layers, separate
from spikeport.passes.quantize.scales import largest_weights, layer_scale
from spikeport.record import Record
from spikeport.targets import Request

Run = Callable[[Graph, Array, Request], Record]


@dataclass(frozen=True)
class Quantised:
    """What quantisation made, and how."""

    graph: Graph  #: Loihi arithmetic
    findings: tuple[Finding, ...]
    report: Mapping[str, Any]  #: what each step did, JSON values


def quantize(
    graph: Graph,
    calibration: Array,
    profile: Profile = LOIHI2,
    weight_bits: int = 8,
    *,
    run: Run,
) -> Quantised:
    """Turn a graph of real numbers into one of the profile's integers.

    ``calibration``: training samples as the graph takes them, [B, *input], or [T, B, *input] for events.
    ``run`` executes a graph (`spikeport.engine.simulate`). Deterministic.

    Raises SP400 for options that cannot be, SP401 for calibration data without content, SP410 for layers without
    weights, SP414 for thresholds and SP418 for biases beyond the format, and what the folding passes raise (SP35x).
    """
    if not 1 <= weight_bits <= profile.weight_bits:
        fail("SP400", f"{weight_bits} weight bits; the profile {profile.name!r} holds 1 to {profile.weight_bits}")
    real = prepare(graph)
    node = real[real.input]
    assert isinstance(node, Input)
    grid, found = input_grid(node, calibration, profile, real.input)
    findings = list(found)
    layers = find_layers(real, grid)
    scales = {}
    for layer in layers:
        bits = {term.name: weight_bits for term in layer.terms if isinstance(real[term.name], Synapse)}
        scales[layer.name], found = layer_scale(real, layer, largest_weights(real, layer), bits, profile)
        findings += found
    made, found = integers(real, grid, layers, scales, profile)
    raise_errors(findings := [*findings, *found])
    run(made, calibration, Request())
    return Quantised(made, tuple(findings), {})


def prepare(graph: Graph) -> Graph:
    """The graph in the form that integers can take: no norm, no average, no gain, biases in the neurons.

    Raises SP400 for a graph that holds integers already.
    """
    if not isinstance(graph.arithmetic, Real):
        fail("SP400", "the graph holds integers already", mend="quantise the graph of real numbers")
    return separate(move_bias(fold_gain(fold_pool(fold_norm(graph)))))
