"""Random networks for the targets, each with samples and with what its definition says: the same for a seed, always.

A kind says what is drawn: `integers`, `float32` and `float64` are everything that a graph can be; the others hold what
a target takes, so that it does not refuse most of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from conformance.changes import (
    as_speck,
    as_xylo,
    bounded,
    firing_often,
    for_lavas_own,
    in_shifts,
    with_numbers_of_a_layer,
    without_synaptic_bias,
)
from graph_maker import Wish
from random_graphs import draw, samples
from random_numbers import random_profile
from spikeport.findings import SpikeportError
from spikeport.graph import ALIF, LIF, LOIHI2, Array, CubaLIF, Graph, definition


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


PLAIN = {"norms": False, "delays": False, "scales": False, "recurrent": False, "kinds": (LIF,)}


def specks(rng: np.random.Generator) -> Wish:
    """Maps and vectors without what Speck lacks, mostly with resets to zero."""
    return Wish(
        profile=replace(LOIHI2, weight_exponent=(0, 0), message_bits=1),
        timesteps=40 if rng.random() < 0.2 else 8,
        blocks=3,
        resets=("zero", "zero", "zero", "subtract"),
        **PLAIN,
    )


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
    "speck": Kind(specks, as_speck, samples=3),
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
    "integers, bounded": Kind(any_("loihi"), bounded),
    "float32, bounded": Kind(lambda rng: Wish("float32", timesteps=6, blocks=3, kinds=(ALIF, LIF, CubaLIF)), bounded),
    "lava, bounded": Kind(lavas, bounded, samples=3),
    "speck, bounded": Kind(specks, lambda graph, rng: bounded(as_speck(graph, rng), rng), samples=3),
}
