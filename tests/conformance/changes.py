"""What makes a drawn network one of its kind."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from exact_sums import SIGNIFICAND, significand
from spikeport.findings import fail
from spikeport.graph import LIF, SPECK, XYLO, Conv, CubaLIF, Delay, Graph, Input, Loihi, Peak, StepAffine, Synapse
from spikeport.graph.profile import STATE_SHIFT
from spikeport.graph.xylo import SHIFTS
from spikeport.passes.move_bias import move_bias

sys.path.append(str(Path(__file__).resolve().parents[2] / "docs" / "examples"))
from shift_arithmetic import Shifts


def for_lavas_own(graph: Graph, rng: np.random.Generator) -> Graph:
    """Every other network with constants that Lava's own LIF and Conv can hold."""
    if rng.random() > 1 / 2:
        return graph
    profile, changes = graph.arithmetic.profile, {}
    most, exponents = 2 ** (profile.bias_bits - 1) - 1, profile.bias_exponent[1] + 1
    for name, node in graph.nodes.items():
        if isinstance(node, Conv):
            changes[name] = node.with_(exponent=abs(node.exponent) % (1 + min(3, profile.weight_exponent[1])))
        elif isinstance(node, LIF):
            top = 2**profile.threshold_bits
            theta = top - 1 if rng.random() < 0.3 else rng.integers(0, min(2000, top))
            ends = np.full(node.shape, -most << exponents - 1)
            usual = rng.integers(-most, most + 1, node.shape) << rng.integers(0, exponents, node.shape)
            constants = {
                "threshold": np.full(graph.timesteps, theta),
                "decay": np.asarray(4096 if rng.random() < 0.3 else rng.integers(1, 4097)),
                "bias": ends if rng.random() < 0.2 else usual,
                "reset": "zero",
            }
            if isinstance(node, CubaLIF):
                constants["current_decay"] = np.asarray(rng.integers(0, 4096))
            changes[name] = node.with_(**constants)
    return graph.replace(changes)


def with_numbers_of_a_layer(graph: Graph, rng: np.random.Generator) -> Graph:
    """One decay a layer, and spikes only as input: SANA-FE's."""
    entry = graph.nodes[graph.input]
    assert isinstance(entry, Input)
    changes = {graph.input: replace(entry, unit=np.asarray(1.0), low=0.0, high=1.0)}
    layers = {name: node.with_(decay=np.asarray(node.decay.flat[0])) for name, node in graph.nodes_of(LIF).items()}
    return graph.replace(changes | layers)


def as_speck(graph: Graph, rng: np.random.Generator) -> Graph:
    """One constant threshold a layer, no leak, biases of whole sums a channel: Speck's neurons."""
    layers = {}
    for name, node in graph.nodes_of(LIF).items():
        bias = rng.integers(-128, 128, node.shape[:1]) * (64 if rng.random() < 0.5 else 0)
        theta = int(rng.choice([0, 1, 30, 100, 300, 32766]) if rng.random() < 0.5 else rng.integers(0, 500))
        numbers = {"threshold": np.full(graph.timesteps, theta), "bias": bias, "decay": np.asarray(4096)}
        layers[name] = node.with_(**numbers, reset_value=np.asarray(0))
    return graph.with_(nodes={**graph.nodes, **layers}, arithmetic=Loihi(SPECK))


def as_xylo(graph: Graph, rng: np.random.Generator) -> Graph:
    """Constant thresholds, decays that are shifts, biases of whole sums, up to 31 spikes a step, loops of one step."""
    changes = {name: node.with_(steps=1) for name, node in graph.nodes_of(Delay).items()}
    changes[graph.input] = graph.entry.with_(low=0, high=int(rng.choice([1, 15])))
    shift = int(rng.choice([0, 0, 2, 7]))
    for name, node in graph.nodes_of(Synapse).items():
        few = node.weight if rng.random() < 0.5 else node.weight // int(rng.integers(1, 9))
        changes[name] = node.with_(weight=few, exponent=shift if rng.random() < 0.9 else 1)
    for name, node in graph.nodes_of(LIF).items():
        places = [(), node.shape[:1], node.shape][rng.integers(3)]
        scale = min(int(rng.choice([20, 100, 1000, 32767])) << shift // 2, 32767)
        once = name == graph.output and rng.random() < 0.8
        changes[name] = node.with_(
            threshold=np.repeat(rng.integers(1, scale + 1, (1, *places)), graph.timesteps, axis=0),
            decay=rng.choice(SHIFTS, places),
            current_decay=rng.choice(SHIFTS[:6], places),
            bias=rng.integers(-scale, scale + 1, places) * (64 if rng.random() < 0.4 else 0),
            compare=">=",
            most_spikes=1 if once else 31,
            reset_value=np.asarray(0),
        )
    return graph.with_(nodes={**graph.nodes, **changes}, arithmetic=Loihi(XYLO))


def in_shifts(graph: Graph, rng: np.random.Generator) -> Graph:
    """The worked example's arithmetic: decays are shifts."""
    bits = int(rng.integers(8, 25))
    layers = {name: node.with_(decay=node.decay % bits) for name, node in graph.nodes_of(LIF).items()}
    return graph.with_(nodes={**graph.nodes, **layers}, arithmetic=Shifts(bits))


def firing_often(graph: Graph, rng: np.random.Generator) -> Graph:
    """Most layers may fire several times in a step, the format lets them; real numbers stay such as do not round."""
    layers = {}
    for name, node in graph.nodes_of(LIF).items():
        least = 1 if graph.arithmetic.whole else 1 / 16
        theta = np.maximum(np.abs(node.threshold), node.threshold.dtype.type(least))
        most = int(rng.choice([2, 3, 15, 255, 1000]))
        layers[name] = node.with_(threshold=theta, most_spikes=most) if rng.random() < 0.7 else node
    if not isinstance(graph.arithmetic, Loihi):
        often = graph.replace(layers)
        return often if significand(often) <= SIGNIFICAND[graph.arithmetic.dtype] else graph
    profile = replace(graph.arithmetic.profile, most_spikes=1000)
    return graph.with_(nodes={**graph.nodes, **layers}, arithmetic=Loihi(profile))


def without_synaptic_bias(graph: Graph, rng: np.random.Generator) -> Graph:
    moved = move_bias(graph) if any(node.bias is not None for node in graph.nodes_of(Synapse).values()) else graph
    if moved.nodes_of(StepAffine):  # before a current that decays, or late, which Lava's real numbers lack
        fail("SP351", "a bias that no neuron can hold")
    return moved


def bounded(graph: Graph, rng: np.random.Generator) -> Graph:
    """Most layers have a lower bound of their membranes, often a near one; real numbers stay such as do not round."""
    layers = {}
    for name, node in graph.nodes_of(LIF).items():
        if isinstance(node, Peak) or rng.random() < 0.2:
            continue
        speck = isinstance(graph.arithmetic, Loihi) and graph.arithmetic.profile.name == SPECK.name
        places = () if speck else [(), node.shape[:1], node.shape][rng.integers(3)]
        if not isinstance(graph.arithmetic, Loihi):
            layers[name] = node.with_(lower_bound=-rng.integers(0, 17, places).astype(node.threshold.dtype) / 16)
            continue
        profile = graph.arithmetic.profile
        grain = 1 << (STATE_SHIFT - profile.fraction_bits)
        scale = int(rng.choice([1, 1000, 1000, 100_000, profile.state_top]))
        low = rng.integers(0, min(scale, profile.state_top) // grain + 1, places) * grain
        layers[name] = node.with_(lower_bound=np.asarray(-low))
    ended = graph.replace(layers)
    if isinstance(graph.arithmetic, Loihi):
        return ended
    return ended if significand(ended) <= SIGNIFICAND[graph.arithmetic.dtype] else graph
