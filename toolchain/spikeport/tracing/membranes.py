"""Neurons that are written by hand: a comparison with a threshold in a loop over time.

What is compared at step k is named a membrane; from then on every use of that tensor is a use of the membrane. A
comparison whose membrane follows from the membrane of step k - 1 is the same layer's next step. When the number of
timesteps is known, `recurrence.solve` says which neuron all of it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from spikeport.graph import LIF, Array, Shape
from spikeport.graph.neurons import Compare
from spikeport.tracing.charges import Asked, Layer
from spikeport.tracing.draft import Draft
from spikeport.tracing.ends import bound_of
from spikeport.tracing.fading import compared
from spikeport.tracing.forms import drawn, lengthened
from spikeport.tracing.registry import Cells
from spikeport.tracing.roots import rooted, share_of
from spikeport.tracing.sides import STRICT, Side
from spikeport.tracing.symbols import Membrane, Out, Product, Symbol, Unsupported, over, plus, times
from spikeport.tracing.waiting import Drawn, Waiting

TWICE = "compares one membrane at other thresholds at some steps than at others"
ALWAYS = "compare it with all of its thresholds at every step, in one order"
ONE, NOTHING = np.ones(()), np.zeros(())


@dataclass
class Membranes:
    """All hand-written layers of a run."""

    draft: Draft
    layers: dict[str, Layer] = field(default_factory=dict)
    low: bool = False  #: whether comparisons below a threshold below 0 are layers that fire there
    asks: bool = False  #: whether that made a difference
    normed: frozenset[str] = frozenset()  #: lines of normalisations that are numbers of the membranes that they get
    inner: set[str] = field(default_factory=set)  #: lines where a normalisation got a membrane
    over_all: bool = False  #: whether the module made something of all timesteps: it was not called for one
    _names: dict[int, tuple[Symbol, Membrane]] = field(default_factory=dict)  #: tensors that are membranes
    _fired: dict[tuple[int, bytes, Compare], Out] = field(default_factory=dict)
    _shares: dict[int, list[Array]] = field(default_factory=dict)  #: of tensors, what was compared of each
    _held: set[int] = field(default_factory=set)  #: tensors that are held from below as membranes are (`ends`)
    _taken: set[int] = field(default_factory=set)  #: steps that were taken out of blocks over time
    sides: dict[Out, Side] = field(default_factory=dict)  #: what spikes say of where a membrane lies

    def resolved(self, x: Symbol) -> Symbol:
        """``x`` in terms of membranes, where it is one or follows from one by a factor and a constant."""
        slope, offset, at = ONE, np.zeros(()), x
        while True:
            if entry := self._names.get(id(at)):
                named = replace(x, terms={frozenset([entry[1]]): slope}, constant=offset, before=None)
                return replace(named, causes=at.sound, strange={}) if id(at) in self._held else named
            if at.before is None:
                beside = self._beside(at)
                if beside is None:
                    return x
                whole = {p: times(c, slope, x.shape) for p, c in beside.terms.items()}
                constant = plus(times(beside.constant, slope, x.shape), offset, x.shape)
                return replace(x, terms=whole, constant=constant, before=None)
            at, a, b = at.before
            slope, offset = times(slope, a, x.shape), plus(times(slope, b, x.shape), offset, x.shape)

    def _beside(self, x: Symbol) -> Symbol | None:
        """``x`` as the membrane that its layer compared last, where it lacks only what the layer's own spikes add.

        So a membrane is known again of which a threshold was taken away that follows the spikes.
        """
        steps = {(f.node, f.step + 1) for f in x.factors() if isinstance(f, Membrane)}
        if len(steps) != 1:
            return None
        ((node, step),) = steps
        charges = self.layers[node].charges
        if step != len(charges) - 1 or charges[step].end:
            return None
        terms: dict[Product, Array] = {}
        for product in {**x.terms, **charges[step].terms}:
            here, there = (terms_of.get(product, NOTHING) for terms_of in (x.terms, charges[step].terms))
            share = plus(here, -there, x.shape)
            if np.allclose(share, 0, rtol=0, atol=1e-12 * float(np.abs(here).max() + np.abs(there).max())):
                continue
            if not all(isinstance(factor, Out) and factor.node == node for factor in product):
                return None
            terms[product] = share
        terms[frozenset([Membrane(node, step)])] = ONE
        return replace(x, terms=terms, constant=plus(x.constant, -charges[step].constant, x.shape), before=None)

    def expanded(self, x: Symbol) -> Symbol:
        """``x`` with each membrane replaced by what it was made of, as far as the loop tells."""
        for _ in range(sum(len(layer.charges) for layer in self.layers.values()) + 1):
            if not any(isinstance(f, Membrane) for f in x.factors()):
                return x
            terms: dict[Product, Array] = {}
            constant = x.constant
            for product, factor in x.terms.items():
                membrane = next((f for f in product if isinstance(f, Membrane)), None)
                if membrane is None:
                    _add(terms, product, factor, x.shape)
                    continue
                charge = self.layers[membrane.node].charges[membrane.step]
                if charge.end:
                    raise Unsupported("takes in a membrane that is held from below")
                rest = product - {membrane}
                for inner, share in charge.terms.items():
                    _add(terms, inner | rest, times(factor, share, x.shape), x.shape)
                whole = times(factor, charge.constant, x.shape)
                if rest:
                    _add(terms, rest, whole, x.shape)
                else:
                    constant = plus(constant, whole, x.shape)
            x = replace(x, terms=terms, constant=constant, before=None)
        return x

    def took(self, steps: Iterable[int], timesteps: int | None) -> None:
        """Steps of a block were taken out of it, one by one; where all of them were, the module runs them all."""
        self._taken |= set(steps)
        self.over_all |= timesteps is not None and self._taken >= set(range(timesteps))

    def unrun(self, timesteps: int) -> dict[str, int]:
        """How many steps the module runs of the layers that it does not run to the end."""
        counts = {name: len(layer.charges) for name, layer in self.layers.items()}
        return {name: count for name, count in counts.items() if count < timesteps}

    def fire(
        self, x: Symbol, threshold: Array, compare: Compare, below: bool, name: Callable[[Symbol], str], place: str
    ) -> tuple[Out, bool]:
        """The spikes of one step, and whether they stand for *not* firing; ``below`` asks where x does not reach it."""
        root, threshold, turned, hops = rooted(x, threshold)
        compare = STRICT[compare] if turned else compare
        key = (id(root), np.ascontiguousarray(threshold).tobytes(), compare)
        if key not in self._fired:
            asked = Asked(x, hops, threshold, compare, low=below != turned)
            self._fired[key] = out = self._next(root, asked, name, place)
            self.sides[out] = Side(id(root), self.layers[out.node].mirrored, threshold, compare)
        out = self._fired[key]
        return out, (below != turned) != self.layers[out.node].mirrored

    def is_low(self, root: int, below: bool, thresholds: list[Array]) -> bool:
        """Whether spikes that say that a membrane lies below thresholds are those of a layer that fires there.

        They are where another layer compares the same one; else where that was asked for (`Plan.low`) and they are
        below 0, so that such a layer fires less than the other way round. ``asks`` notes that it would make a
        difference.
        """
        if below and any(side.root == root for side in self.sides.values()):
            return True
        mirrored = below and all((threshold < 0).all() for threshold in thresholds)
        self.asks |= mirrored
        return mirrored and self.low

    def count(self, x: Symbol, most: int, first: float, name: Callable[[Symbol], str], place: str) -> Out:
        """How often the neurons fire in one step, at ``first`` and at each whole number behind it."""
        root, threshold, turned, hops = rooted(x, np.asarray(first))
        spacing = plus(rooted(x, np.asarray(first + 1))[1], -threshold, x.shape)
        if turned:
            raise Unsupported("counts thresholds below a membrane")
        return self._next(root, Asked(x, hops, threshold, ">=", most, spacing), name, place)

    def root_of(self, x: Symbol) -> tuple[Symbol, Array, bool]:
        """The tensor that is compared where ``x`` is, where that is 0, and whether the comparison turns round."""
        root, zero, turned, _ = rooted(x, NOTHING)
        return root, zero, turned

    def _next(self, root: Symbol, asked: Asked, name: Callable[[Symbol], str], place: str) -> Out:
        """The spikes of a layer's next step: of the layer whose membrane it is, or of one beside it."""
        share, known = share_of(asked.symbol, root), self._shares.setdefault(id(root), [])
        later = bool((share >= 0).all() and (share < 1).all()) and not any(
            np.array_equal(share, each) for each in known
        )
        known.append(share)
        if id(root) in self._names and not later:
            return self._second(root, asked, name, place)
        plain = self._own(self.resolved(root), place)
        end = bound_of(root, plain)
        if end is not None:
            self._held.add(id(root))
        node = self._layer(plain, place)
        if node is None:
            silent = self.is_low(id(root), asked.low, [asked.threshold])
            node = self.draft.name(name(root), False, "shared") if silent else name(root)
            self._add_layer(node, root, Layer(place, silent=silent), several=asked.most > 1)
        layer = self.layers[node]
        step = len(layer.charges)
        layer.charges.append(asked.charge(plain.terms, plain.constant, end))
        self.draft.causes[node] |= self.causes(root)
        self._names.setdefault(id(root), (root, Membrane(node, step)))
        return self._second(root, asked, name, place) if layer.silent else Out(node, step)

    def _second(self, root: Symbol, asked: Asked, name: Callable[[Symbol], str], place: str) -> Out:
        """The spikes of the layer that compares a membrane of another one, on a side of its own."""
        _, membrane = self._names[id(root)]
        if asked.most > 1 or any(c.end or c.most > 1 for c in self.layers[membrane.node].charges):
            raise Unsupported("compares a membrane twice that is held from below, or counted", whole=True)
        beside = Layer(place, base=membrane.node, mirrored=asked.low)
        node = next((name for name, layer in self.layers.items() if beside.next_to(layer, membrane.step)), None)
        if node is None:
            if membrane.step:
                raise Unsupported(TWICE, mend=ALWAYS, whole=True)
            node = name(root)
            self._add_layer(node, root, beside)
        self.layers[node].charges.append(asked.charge({frozenset([membrane]): ONE}, NOTHING))
        self.draft.causes[node] |= self.causes(root)
        return Out(node, membrane.step)

    def _add_layer(self, node: str, root: Symbol, layer: Layer, *, several: bool = False) -> None:
        self.layers[node] = layer
        waiting = Waiting(layer.place, root.shape, self._build(node, root.shape), several=several)
        self.draft.add(node, waiting, [], root.shape, self.causes(root))

    def causes(self, x: Symbol) -> frozenset[int]:
        """The findings about what was compared, without those of a hold that became a bound."""
        root = rooted(x, NOTHING)[0]
        return root.sound if id(root) in self._held else x.causes

    def _own(self, x: Symbol, place: str) -> Symbol:
        """``x``, where the membranes in it are those of layers of another module, as what they were made of."""
        nodes = {f.node for f in x.factors() if isinstance(f, Membrane)}
        module = place.partition(", ")[0]
        others = nodes and all(self.layers[node].place.partition(", ")[0] != module for node in nodes)
        return self.expanded(x) if others else x

    def _layer(self, x: Symbol, place: str) -> str | None:
        """The layer whose next step this is; None for a new one."""
        before = {f for f in x.factors() if isinstance(f, Membrane)}
        layers = {f.node for f in before}
        if len(layers) == 1:
            (node,) = layers
            count = len(self.layers[node].charges)
            if max(f.step for f in before) != count - 1:
                raise Unsupported(TWICE, mend=ALWAYS, whole=True)
            return node
        if layers:
            raise Unsupported(f"compares a sum of the membranes of several layers ({', '.join(sorted(layers))})")
        return self._forgetful(x, place)

    def _forgetful(self, x: Symbol, place: str) -> str | None:
        """A layer without memory is known again by its line, its input and the number of its step."""
        outs = [f for f in x.factors() if isinstance(f, Out)]
        steps = [f.step for f in outs if f.step is not None]
        nodes = {f.node for f in outs} - set(self.layers)
        for name, layer in self.layers.items():
            inputs = {f.node for p in layer.charges[-1].terms for f in p if isinstance(f, Out)} - set(self.layers)
            count = len(layer.charges)
            if steps and layer.forgets and layer.place == place and max(steps) == count and inputs == nodes:
                return name
        if steps and max(steps) > 0:
            raise Unsupported(f"compares what belongs to step {max(steps)} without having compared the steps before")
        return None

    def _build(self, node: str, shape: Shape) -> Callable[[int], Drawn]:
        def build(timesteps: int) -> Drawn:
            charges = self.layers[node].charges
            if len(charges) > timesteps or (len(charges) < timesteps and not self.over_all):
                raise Unsupported(
                    f"fires at {len(charges)} of {timesteps} timesteps: it skips some, or gets only constants at first",
                    mend="call every layer at each timestep, in the order of the network",
                )
            return lengthened(drawn(node, shape, self.layers, self.draft), timesteps)

        return build

    def fire_all(self, x: Symbol, thresholds: list[Array], compare: Compare, name: str, place: str, path: str) -> None:
        """Neurons without memory over a whole block, with the threshold of each step (or one for all)."""
        names, _ = self.draft.entering(replace(x, constant=np.zeros(())), path)
        fading = compared(self.draft, names)
        names = names if fading is None else list(fading.names)

        def build(timesteps: int) -> Drawn:
            steps = thresholds * timesteps if len(thresholds) == 1 else thresholds
            form = np.broadcast_shapes(*(over(t, x.shape).shape for t in steps))
            whole = np.stack([np.broadcast_to(over(t, x.shape), form) for t in steps])
            whole = whole.reshape(len(steps), -1) if form and set(form[1:]) <= {1} else whole
            forgetful = LIF(x.shape, np.zeros(()), whole, compare=compare)
            return Drawn(Cells(forgetful if fading is None else fading.neurons(x.shape, whole, compare)))

        self.draft.add(name, Waiting(place, x.shape, build), names, x.shape, x.causes)


def _add(terms: dict[Product, Array], product: Product, factor: Array, shape: Shape) -> None:
    terms[product] = plus(terms[product], factor, shape) if product in terms else factor
