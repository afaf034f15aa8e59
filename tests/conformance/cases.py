"""Random networks for the targets, each with samples and with what its definition says: the same for a seed, always.

A kind says what is drawn: `integers`, `float32` and `float64` are everything that a graph can be; the others hold what
a target takes, so that it does not refuse most of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from exact_sums import SIGNIFICAND, significand
from graph_maker import Wish
from random_graphs import draw, samples
from random_numbers import random_profile
from spikeport.findings import SpikeportError, fail
from spikeport.graph import (
    ALIF,
    LIF,
    LOIHI2,
    SPECK,
    XYLO,
    Array,
    Conv,
    CubaLIF,
    Delay,
    Graph,
    Input,
    Loihi,
    StepAffine,
    Synapse,
    definition,
)
from spikeport.graph.xylo import SHIFTS
from spikeport.passes.move_bias import move_bias

sys.path.append(str(Path(__file__).resolve().parents[2] / "docs" / "examples"))
from shift_arithmetic import Shifts


@dataclass(frozen=True, eq=False)
class Case:
    """One network, its samples, and what it is to do with them."""

    kind: str
    seed: int
    graph: Graph
    samples: Array
    batch: int | None  #: samples at once; None lets the target choose
    truth: definition.Run | SpikeportError  #: or why there is no result, by the definition itself

    @property
    def name(self) -> str:
        """By which it is found again."""
        return f"{self.kind} {self.seed}"


@dataclass(frozen=True)
class Kind:
    """How networks of one kind are drawn."""

    wish: Callable[[np.random.Generator], Wish]
    change: Callable[[Graph, np.random.Generator], Graph] = lambda graph, rng: graph
    samples: int = 9  #: at most


@lru_cache(maxsize=1000)
def case(kind: str, seed: int) -> Case:
    """The case of a seed."""
    rng = np.random.default_rng([list(KINDS).index(kind), seed])
    rule = KINDS[kind]
    graph = drawn(rule, rng)
    x = samples(graph, int(rng.integers(2**32)), int(rng.integers(1, rule.samples + 1)))
    at_once = None if rng.random() < 0.7 else int(rng.integers(1, 4))
    try:
        truth = definition.run(graph, x)
    except SpikeportError as error:
        truth = error
    return Case(kind, seed, graph, x, at_once, truth)


def drawn(rule: Kind, rng: np.random.Generator) -> Graph:
    """A graph that its kind can be made of."""
    while True:
        try:
            return rule.change(draw(rng, rule.wish(rng)), rng)
        except SpikeportError as error:
            if not error.code.startswith("SP35"):  # a bias that has no place to go
                raise


def steps(rng: np.random.Generator) -> int:
    """At most how many; mostly few."""
    return int(rng.choice([6, 12, 50, 300], p=[0.6, 0.31, 0.06, 0.03]))


def any_(arithmetic: str) -> Callable[[np.random.Generator], Wish]:
    return lambda rng: Wish(arithmetic, profile=None, timesteps=steps(rng), odd_names=bool(rng.random() < 0.3))


def operating(arithmetic: str) -> Callable[[np.random.Generator], Wish]:
    """With nodes that multiply, join and move values, and several outputs."""
    return lambda rng: Wish(arithmetic, profile=None, timesteps=6, blocks=4, operations=True, outputs=True)


VOLUMES = ((2, 3, 4, 3), (1, 2, 3, 5), (4, 2, 2, 2))


def volumes(arithmetic: str) -> Callable[[np.random.Generator], Wish]:
    """Over maps with three axes."""
    return lambda rng: Wish(arithmetic, profile=None, timesteps=6, blocks=3, shapes=VOLUMES)


def lavas(rng: np.random.Generator) -> Wish:
    """24 bits of state, and mostly no accumulator: the rest it refuses."""
    profile = replace(random_profile(rng), state_bits=24, message_bits=8 if rng.random() < 0.9 else 1)
    profile = replace(profile, accumulator_bits=None) if rng.random() < 0.9 else profile
    return Wish(profile=profile, timesteps=40 if rng.random() < 0.2 else 8, blocks=4)


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
    if moved.nodes_of(StepAffine):  # before a current that decays, which Lava's real numbers lack
        fail("SP351", "a bias that no neuron can hold")
    return moved


PLAIN = {"norms": False, "delays": False, "scales": False, "recurrent": False, "kinds": (LIF,)}
#: their order is part of the seeds: new ones go to the end
KINDS = {
    "integers": Kind(any_("loihi")),
    "float32": Kind(any_("float32")),
    "float64": Kind(any_("float64")),
    "linear": Kind(lambda rng: Wish("float64", timesteps=steps(rng), shapes=((5,),), resets=("zero",), **PLAIN)),
    "shifts": Kind(lambda rng: Wish(profile=None, timesteps=steps(rng), kinds=(LIF,)), in_shifts),
    "lava": Kind(lavas, for_lavas_own, samples=3),
    "lava, real": Kind(
        lambda rng: Wish("float64", timesteps=8, blocks=3, norms=False), without_synaptic_bias, samples=3
    ),
    "sanafe": Kind(
        lambda rng: Wish(
            profile=replace(random_profile(rng), weight_exponent=(0, 3), accumulator_bits=None),
            timesteps=6,
            blocks=2,
            shapes=((5,), (3, 6), (2, 4, 4)),
            coding="events",
            pools=False,
            resets=("zero", "subtract", "none"),
            **PLAIN,
        ),
        with_numbers_of_a_layer,
        samples=2,
    ),
    "nengo-loihi": Kind(
        lambda rng: Wish(
            profile=replace(LOIHI2, name="loihi1 with schedules", accumulator_bits=22, weight_shift="each"),
            timesteps=20 if rng.random() < 0.2 else 8,
            blocks=3,
            norms=False,
            resets=("zero",),
        ),
        samples=2,
    ),
    "speck": Kind(
        lambda rng: Wish(
            profile=replace(LOIHI2, weight_exponent=(0, 0), message_bits=1),
            timesteps=40 if rng.random() < 0.2 else 8,
            blocks=3,
            resets=("zero", "zero", "zero", "subtract"),
            **PLAIN,
        ),
        as_speck,
        samples=3,
    ),
    "integers, operations": Kind(operating("loihi")),
    "float32, operations": Kind(operating("float32")),
    "lava, operations": Kind(lambda rng: replace(lavas(rng), operations=True), samples=1),
    "integers, volumes": Kind(volumes("loihi")),
    "float32, volumes": Kind(volumes("float32")),
    "float32, adaptive": Kind(lambda rng: Wish("float32", timesteps=6, blocks=3, kinds=(ALIF, ALIF, LIF))),
    "lava, volumes": Kind(lambda rng: replace(lavas(rng), shapes=VOLUMES), samples=1),
    "integers, several spikes": Kind(lambda rng: Wish(profile=None, timesteps=8, blocks=4), firing_often),
    "float32, several spikes": Kind(lambda rng: Wish("float32", timesteps=4, blocks=3), firing_often),
    "lava, several spikes": Kind(lavas, firing_often, samples=1),
    "xylo": Kind(
        lambda rng: Wish(
            profile=replace(LOIHI2, weight_exponent=(0, 0), message_bits=4),
            timesteps=40 if rng.random() < 0.2 else 8,
            blocks=3,
            norms=False,
            delays=False,
            readout=bool(rng.random() < 0.4),
            resets=("subtract",),
            kinds=(CubaLIF,),
        ),
        as_xylo,
        samples=3,
    ),
}
