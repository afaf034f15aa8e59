"""Which form a hand-written layer takes: one node, or several, alone or with those that compare the same membrane."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from spikeport.graph import LIF, Shape, StepAffine
from spikeport.tracing.adaptation import adapted, follows_itself
from spikeport.tracing.charges import Charge, Layer, entering_again
from spikeport.tracing.counts import counting
from spikeport.tracing.draft import Draft
from spikeport.tracing.ends import bounded
from spikeport.tracing.recurrence import solve
from spikeport.tracing.registry import Cells
from spikeport.tracing.second_state import second_state
from spikeport.tracing.sides import comparing, of_base
from spikeport.tracing.symbols import Unsupported
from spikeport.tracing.unfolded import unfold
from spikeport.tracing.waiting import Drawn

Layers = Mapping[str, Layer]


def drawn(name: str, shape: Shape, layers: Layers, draft: Draft) -> Drawn:
    """The first of the forms that a layer can take. Raises `Unsupported`, of the first one, where it takes none."""
    layer, charges = layers[name], _charges(name, shape, layers)
    if layer.base and _shared(layer.base, shape, layers):
        return comparing(shape, layer, charges)
    given = [charge.without_nothing(name) for charge in charges]
    charges = entering_again(name, shape, given)
    if any(charge.end for charge in charges):
        if charges[0].most > 1:
            raise Unsupported("fires several times a step, of a membrane that is held from below")
        return _one_node(name, shape, charges)
    if charges[0].most > 1:
        return counting(name, shape, charges)
    shared = _shared(name, shape, layers)
    forms: list[Callable[[], Drawn]] = [
        lambda: unfold(name, shape, charges, draft, shared=shared),
        lambda: second_state(name, shape, given, draft),
    ]
    if not shared:
        forms.insert(0, lambda: _one_node(name, shape, charges))
    if follows_itself(name, charges):
        forms.insert(0, lambda: adapted(name, shape, charges))
    return _first(forms)


def _first(forms: list[Callable[[], Drawn]]) -> Drawn:
    reasons: list[Unsupported] = []
    for form in forms:
        try:
            return form()
        except Unsupported as reason:
            reasons.append(reason)
    raise reasons[0]


def _one_node(name: str, shape: Shape, charges: list[Charge]) -> Drawn:
    solution = solve(name, shape, charges)
    neurons = bounded(solution, charges, shape)
    return Drawn(Cells(neurons, tuple(solution.back.items())), solution.inputs, solution.constant)


def _charges(name: str, shape: Shape, layers: Layers) -> list[Charge]:
    layer = layers[name]
    return of_base(name, layer, layers[layer.base].charges, shape) if layer.base else layer.charges


def _shared(name: str, shape: Shape, layers: Layers) -> bool:
    """Whether others compare the membrane of this layer, since not all of them can have one of their own."""
    beside = [other for other, layer in layers.items() if layer.base == name]
    own = [] if layers[name].silent else [name]
    try:
        for each in [*own, *beside] if beside else []:
            solve(each, shape, [charge.without_nothing(each) for charge in _charges(each, shape, layers)])
    except Unsupported:
        return True
    return False


def lengthened(drawn: Drawn, timesteps: int) -> Drawn:
    """Neurons that the module never ran to the end, since the last steps come too late to matter, with all steps."""
    cells, node = drawn.cells, drawn.cells.node
    if not isinstance(node, LIF) or node.timesteps == timesteps:
        return drawn
    if drawn.gains or drawn.biases is not None or any(isinstance(part, StepAffine) for part in cells.parts.values()):
        raise Unsupported(f"fires at {node.timesteps} of {timesteps} timesteps, with other numbers at each")
    last = np.repeat(node.threshold[-1:], timesteps - node.timesteps, axis=0)
    return replace(drawn, cells=replace(cells, node=node.with_(threshold=np.concatenate([node.threshold, last]))))
