"""How a sum of nodes' outputs lies in time: all at one step, some steps later than others, or a sum over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from spikeport.graph import Array
from spikeport.tracing.symbols import ALL, Membrane, Symbol, Unsupported, compact, over

#: one step (None: the same at each, ALL: along the time axis), or what each step counts in a sum over time
When = int | None | Mapping[int, float]

CLOSE = 1e-9  #: relative, of what float64 computes in another order


def timing(x: Symbol) -> tuple[dict[str, Array], list[int], When]:
    """A sum as (factor by node, how many steps ago of each, when). Raises `Unsupported` for membranes and mixtures."""
    by_node: dict[str, dict[int | None, Array]] = {}
    for product, factor in x.terms.items():
        for out in product:
            if isinstance(out, Membrane):
                raise Unsupported("takes the membrane of a hand-written neuron; only spikes pass between layers")
            if len(product) == 1 and factor.any():
                by_node.setdefault(out.node, {})[out.step] = factor
    steps = {node: {s for s in taken if s is not None} for node, taken in by_node.items()}
    last = max((s for taken in steps.values() for s in taken), default=None)
    if all(len(taken) == 1 for taken in by_node.values()):
        factors = {node: next(iter(taken.values())) for node, taken in by_node.items()}
        lags = [0 if last in (None, ALL) or not steps[node] else last - min(steps[node]) for node in by_node]
        return factors, lags, last
    return _over_time(by_node)


def _over_time(by_node: dict[str, dict[int | None, Array]]) -> tuple[dict[str, Array], list[int], When]:
    weights: dict[int, float] | None = None
    factors: dict[str, Array] = {}
    for node, taken in by_node.items():
        own = {s: f for s, f in taken.items() if s is not None}
        if len(own) != len(taken) or ALL in own:
            raise Unsupported("adds a sum over time and a value that is the same at every step")
        largest = max(own.values(), key=lambda f: float(np.abs(f).max()))
        shares = {s: _share(f, largest) for s, f in own.items()}
        factors[node] = largest
        weights = weights or shares
        factors[node] = largest * ratio(weights, shares)
    assert weights is not None
    top = next(iter(factors.values()))
    if top.ndim == 0:  # one number for all: it counts as weight of the steps
        weights = {s: w * float(top) for s, w in weights.items()}
        factors = {node: f / top for node, f in factors.items()}
    return factors, [0] * len(factors), weights


def by_channel(x: Symbol) -> tuple[dict[str, Array], list[int], dict[int, Array]] | None:
    """A sum over time that each channel weighs in its own way, as `timing`; None where it is none.

    What enters a readout may be weighed so: what a membrane adds up that leaks otherwise from channel to channel.
    """
    rows: dict[str, dict[int, Array]] = {}
    for product, factor in x.terms.items():
        (out, *others) = product
        if others or isinstance(out, Membrane) or out.step in (None, ALL):
            return None
        rows.setdefault(out.node, {})[out.step] = over(factor, x.shape)
    if not rows:
        return None
    (_, weights), *further = rows.items()
    factors = {next(iter(rows)): np.ones(())}
    for node, row in further:
        ratio = _ratios(weights, row)
        if ratio is None:
            return None
        factors[node] = compact(ratio)
    return factors, [0] * len(factors), weights


def _ratios(weights: Mapping[int, Array], row: Mapping[int, Array]) -> Array | None:
    """What a node's steps count for one of another's, channel by channel; None where that differs from step to step."""
    if weights.keys() != row.keys():
        return None
    first, own = (np.stack(np.broadcast_arrays(*steps)) for steps in (weights.values(), row.values()))
    first, own = np.broadcast_arrays(first, own)
    at = np.abs(first).argmax(0)[None]
    top, counted = (np.take_along_axis(whole, at, 0)[0] for whole in (first, own))
    ratio = np.divide(counted, top, out=np.zeros(top.shape), where=top != 0)
    return ratio if np.allclose(own, ratio * first, rtol=CLOSE, atol=CLOSE * np.abs(own).max()) else None


def _share(factor: Array, largest: Array) -> float:
    at = np.unravel_index(int(np.abs(largest).argmax()), largest.shape)
    if factor.shape != largest.shape:
        raise Unsupported("weighs the steps of a sum over time differently from channel to channel")
    share = float(factor[at] / largest[at])
    if not np.allclose(factor, share * largest, rtol=CLOSE, atol=0):
        raise Unsupported("weighs the steps of a sum over time differently from channel to channel")
    return share


def ratio(weights: Mapping[int, float], shares: Mapping[int, float]) -> float:
    """The r with shares = r * weights. Raises `Unsupported`."""
    step = max(weights, key=lambda s: abs(weights[s]))
    share = shares.get(step, 0.0) / weights[step]
    steps = set(weights) | set(shares)
    if not all(np.isclose(shares.get(s, 0.0), share * weights.get(s, 0.0), rtol=CLOSE, atol=0) for s in steps):
        raise Unsupported("adds sums over time with different weights")
    return share


def joint(whens: Sequence[When]) -> tuple[When, list[Array]]:
    """One sum over time of which several are multiples, and what multiples. Raises `Unsupported`."""
    sums = [when for when in whens if isinstance(when, Mapping)]
    if len(sums) < len(whens):
        raise Unsupported("joins a sum over time with the values of one step, or of every step")
    return sums[0], [np.asarray(ratio(sums[0], each)) for each in sums]


def counted(weights: Mapping[int, float]) -> float:
    """How often a sum over time counts what is the same at each step. Raises `Unsupported` where that is 0."""
    total = sum(weights.values())
    if np.isclose(total, 0.0):
        raise Unsupported("adds a constant to a sum over time whose weights cancel")
    return total
