"""A border of zeros around a map that is then filled with what a normalisation makes of zeros.

Re-parametrised convolutions write it so (BNAndPad in RepVGG's line, and so in spike-driven transformers): the map is
normalised, padded with zeros, and its border set to ``beta - mean * gain``, side by side. That is the normalisation of
the padded map.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spikeport.graph import Array, Conv, Norm
from spikeport.tracing.call import Call
from spikeport.tracing.registry import array
from spikeport.tracing.symbols import Out, Symbol

PARTLY = "writes into the border of a map, and not all of it is what the normalisation before makes of zeros"
CLOSE = 1e-5  #: of the largest, in the module's own type


def filled(call: Call) -> Symbol | None:
    """The map whose border was written into; None where this is no such map.

    Until all of the border is filled, a finding stands behind it.
    """
    target, known = call.args[0], call.tracer.known_of(call.args[0])
    found = _padded(call, known) if isinstance(known, Symbol) else None
    if found is None or not isinstance(known, Symbol) or call.tracer.known_of(call.args[2]) is not None:
        return None
    name, norm = found
    draft = call.tracer.draft
    padding, normalised = draft.nodes[name], draft.nodes[norm]
    assert isinstance(padding, Conv)
    assert isinstance(normalised, Norm)
    if not _whole(array(target), padding, normalised.gain_and_shift(np.float64)[1]):
        number = call.tracer.report(f"setitem: {PARTLY}", mend="pad before the normalisation, with zeros")
        return replace(known, causes=known.causes | {number})
    sources = [a for a, b in draft.edges if b == norm]
    place = call.tracer.place()[0]
    before = draft.once(("border", norm, name), place, "pad", padding, sources)
    behind = draft.once(("bordered", norm, name), place, "bn", normalised, [before])
    (factor,) = known.factors()
    assert isinstance(factor, Out)
    partly = {n for n, finding in enumerate(call.tracer.findings) if finding.what.endswith(PARTLY)}
    return replace(known, terms={frozenset([Out(behind, factor.step)]): np.ones(())}, causes=known.causes - partly)


def _padded(call: Call, x: Symbol) -> tuple[str, str] | None:
    """The node that pads with zeros, where it alone is ``x``, and the normalisation before it."""
    draft, factors = call.tracer.draft, x.factors()
    if len(factors) != 1 or not isinstance(factors[0], Out) or x.constant.any():
        return None
    name, (coefficient,) = factors[0].node, x.terms.values()
    node, sources = draft.nodes[name], [a for a, b in draft.edges if b == name]
    alone = isinstance(node, Conv) and node.bias is None and node.groups == node.channels == node.weight.sum()
    alone = alone and np.count_nonzero(node.weight) == node.channels  # type: ignore[union-attr]
    same = coefficient.ndim == 0 and float(coefficient) == 1
    if not alone or not same or len(sources) != 1 or not isinstance(draft.nodes[sources[0]], Norm):
        return None
    return name, sources[0]


def _whole(values: Array, padding: Conv, wanted: Array) -> bool:
    """Whether all of the border of [N, C, ...] holds what is ``wanted`` [C]."""
    inside = np.zeros(values.shape[2:], bool)
    spans: list[slice] = []
    (one,) = np.argwhere(padding.weight[0, 0])
    for axis, length in enumerate(values.shape[2:]):
        at, wide, kernel = int(one[axis]), padding.padding[axis], padding.kernel[axis]
        spans.append(slice(wide - at, length - wide - at + kernel - 1))
    inside[tuple(spans)] = True
    border = values[:, :, ~inside]
    scale = max(float(np.abs(wanted).max(initial=0.0)), 1e-30)
    return bool((np.abs(border - wanted[None, :, None]) <= CLOSE * scale).all())
