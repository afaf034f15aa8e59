"""A NIR network on its way to a Graph: what is known so far, and numbers in the graph's type."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from spikeport.findings import Finding, fail
from spikeport.formats.nir.conventions import Conventions
from spikeport.formats.nir.subgraphs import Flat, Raw
from spikeport.graph import DECAY_ONE, Array, Node, Shape


def aligned(value: Array, shape: Shape) -> Array:
    """A parameter against the axes of its layer: [], or as many axes as ``shape``, each as long or of 1.

    One value a channel gets the axes behind it. Axes in front, of the batch that an exporter saw, go where all along
    them is the same. Raises SP202 for anything else.
    """
    value = np.asarray(value)
    if value.size == 1:
        return value.reshape(())
    whole = value
    while value.ndim > len(shape) and bool((value == value[:1]).all()):
        value = value[0]
    if value.shape == shape[:1]:
        value = value.reshape(shape[:1] + (1,) * (len(shape) - 1))
    if value.ndim != len(shape) or any(n not in (1, most) for n, most in zip(value.shape, shape, strict=True)):
        fail("SP202", f"a parameter of shape {whole.shape} in a layer of {shape}", mend="one value, or one a neuron")
    return value


@dataclass
class Draft:
    """One network on its way to a Graph."""

    flat: Flat
    shapes: dict[str, Shape]
    conventions: Conventions
    timesteps: int
    dtype: str
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    entries: dict[str, list[str]] = field(default_factory=dict)  #: file node -> our nodes that take what enters it
    exits: dict[str, list[str]] = field(default_factory=dict)  #: file node -> our nodes whose sum leaves it
    seen: set[str] = field(default_factory=set)  #: kinds of choices that mattered
    notes: list[Finding] = field(default_factory=list)
    rounded: float = 0.0  #: largest change of a decay by rounding

    def fresh(self, wish: str) -> str:
        """A name that no node has, here or in the file."""
        while wish in self.nodes or wish in self.flat.nodes:
            wish += "_"
        return wish

    def entering(self, name: str) -> Shape | None:
        """Shape of what enters a node of the file."""
        sources = self.flat.sources[name]
        if not sources:
            return self.shapes.get(name)
        return next((self.shapes[source] for source in sources if source in self.shapes), None)

    def put(self, name: str, node: Node) -> None:
        """One node for one node."""
        self.nodes[name] = node
        self.entries[name] = self.exits[name] = [name]

    def chain(self, chain: list[tuple[str, Node]]) -> None:
        """Nodes in a row."""
        self.nodes |= dict(chain)
        self.edges += [(a, b) for (a, _), (b, _) in pairwise(chain)]

    def parameter(self, raw: Raw, field: str, shape: Shape) -> Array:
        """A field of a layer of ``shape``: [], or with as many axes as the layer, each as long as its own or of 1."""
        return aligned(raw.parameter(field), shape)

    def weights(self, raw: Raw, field: str) -> Array:
        """Weights or biases; halves, which no arithmetic here has, in the graph's type."""
        value = raw.array(field)
        return value.astype(self.dtype) if value.dtype == np.float16 else value

    def numbers(self, value: Array, shape: Shape) -> Array:
        """A parameter in the graph's type: one value where all are equal, else one a channel or one a neuron."""
        value = aligned(value, shape)
        with np.errstate(over="ignore"):
            cast = value.astype(self.dtype)
        if value.dtype.kind == "f" and not np.isfinite(cast).all():
            fail("SP202", f"a parameter of {value.flat[0]:g}, which {self.dtype} cannot hold", mend="export it again")
        first = cast.reshape(-1)[:1]
        if value.size and bool((cast == first).all()):
            return np.asarray(first[0], self.dtype)
        if all(n == 1 for n in cast.shape[1:]) and cast.shape[:1] == shape[:1]:
            return cast.reshape(shape[:1])
        return np.broadcast_to(cast, shape)

    def decay(self, value: Array, shape: Shape) -> Array:
        """A decay, which a step longer than the time constant turns negative; rounded where the conventions say so."""
        outside = value[~((value >= 0) & (value <= 1))]
        if outside.size:
            worst = float(outside[np.argmax(np.abs(outside - 0.5))])
            fail(
                "SP213",
                f"with dt = {self.conventions.dt:g} s the decay is {worst:.9g} a step",
                why="the step is longer than a time constant of the file, or a time constant is no positive number.",
                mend="choose a smaller --dt, or --nir rule=exponential; tau may be in steps: --dt 1",
            )
        if self.conventions.decays == "exact":
            return self.numbers(value, shape)
        whole = 1.0 - np.rint((1.0 - value) * DECAY_ONE) / DECAY_ONE  # the loss is what SLAYER rounds, ties to even
        self.rounded = max(self.rounded, float(np.abs(whole - value).max(initial=0.0)))
        return self.numbers(whole, shape)

    def schedule(self, value: Array, shape: Shape) -> Array:
        """The threshold of the file at every step."""
        once = self.numbers(value, shape)
        return np.broadcast_to(once, (self.timesteps, *once.shape))
