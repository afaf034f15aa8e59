"""A layer made ready for the loops: a synapse, neurons, or a synapse and the neurons that alone read it."""

from __future__ import annotations

from typing import NamedTuple, cast, overload

import numpy as np
import torch

from spikeport.engine import synapse
from spikeport.engine.cpu import convolution, cycle, fused, matrix, pair, panels, products
from spikeport.engine.cpu.products import Product
from spikeport.engine.integers import fits, holding
from spikeport.engine.neuron import Neurons
from spikeport.engine.synapse import Step
from spikeport.graph import LIF, Conv, Linear, Loihi, Peak, Range, Real, Shape, Synapse


class Joined(NamedTuple):
    """A synapse and the neurons that alone read it, and nothing else, as one layer."""

    synapse: Synapse
    neurons: LIF


def fed_back(synapse: Linear, neurons: Neurons, inward: tuple[Linear, int | None] | None = None) -> cycle.Cycle | None:
    """``neurons`` of one axis, ready to run, with a matrix by which their spikes come back to them a step later.

    ``inward``: one by which alone something else enters them, and the most that enters it, of bytes; None of real
    numbers. None where they do not run on the loops or fire several times a step, or 32 bits do not hold what comes
    back or enters.
    """
    if not isinstance(neurons, fused.Layer) or neurons.node.most_spikes > 1:
        return None
    return cycle.prepare(synapse, neurons, inward)


@overload
def prepare(layer: Synapse, entering: Range, shape: Shape, arithmetic: Loihi) -> Step: ...
@overload
def prepare(layer: LIF | Joined, entering: Range | None, shape: Shape, arithmetic: Loihi | Real) -> Neurons | None: ...
def prepare(
    layer: Synapse | LIF | Joined, entering: Range | None, shape: Shape, arithmetic: Loihi | Real
) -> Step | Neurons | None:
    """A layer ready to run on what enters it: values of ``shape`` in ``entering`` (None: real numbers).

    A synapse alone gives integers, its exponent applied. Neurons alone take integers in int32, or real numbers in the
    graph's type. Joined, what enters the synapse enters the neurons' call. None where the loops do not serve: where 32
    bits do not hold what neurons compute, they are Xylo's or fire several times a step in integers, or a joined
    synapse's sums need float64.
    """
    neurons = layer.neurons if isinstance(layer, Joined) else layer
    if isinstance(neurons, Peak):
        return None
    if not isinstance(arithmetic, Loihi):
        assert isinstance(layer, LIF)
        return fused.real(layer, np.dtype(arithmetic.dtype))
    assert entering is not None
    if isinstance(neurons, LIF) and neurons.most_spikes > 1:
        return None
    if arithmetic.profile.neuron != "loihi" and not isinstance(layer, Synapse):
        return None
    if isinstance(layer, Joined):
        return _joined(layer, entering, shape, arithmetic)
    if isinstance(layer, LIF):
        profile = arithmetic.profile
        if not fits(layer, entering, profile):
            return None
        return fused.integer(layer, 0, profile, entering)
    return _whole(products.prepare(layer, entering, shape), arithmetic.reach(layer, entering)[1], layer.exponent)


def real(node: Synapse, entering: Range | None, shape: Shape, dtype: torch.dtype) -> Step:
    """Real sums of values of ``shape``; of whole numbers in ``entering``, which may come as bytes.

    Products, or where that is faster the rows of weights of those bytes that are not zero.
    """
    number, product = np.dtype(str(dtype).removeprefix("torch.")), panels.product(node, dtype)
    if isinstance(node, Linear):
        most = matrix.added_for(node, entering)
        return matrix.of_few(node, number, product) if most is None else matrix.of_spikes(node, number, most=most)
    spikes = entering if entering is not None and holding(entering) == torch.uint8 else None
    run = convolution.of_maps(cast(Conv, node), spikes, shape, number, product) if spikes else None
    return run or product


def _joined(layer: Joined, entering: Range, shape: Shape, arithmetic: Loihi) -> Neurons | None:
    sums = arithmetic.reach(layer.synapse, entering)[1]
    if not fits(layer.neurons, sums, arithmetic.profile):
        return None
    product = products.prepare(layer.synapse, entering, shape)
    if product.way == "float64":
        return None
    neurons = fused.integer(layer.neurons, layer.synapse.exponent, arithmetic.profile, sums)
    return pair.prepare(product, neurons)


def _whole(product: Product, after: Range, exponent: int) -> Step:
    """Sums as integers, the exponent applied."""
    before = after.shifted(-exponent) if exponent < 0 else after
    dtype = torch.int32 if before.size < 2**31 and after.size < 2**31 else torch.int64
    return lambda x: synapse.shifted(product(x).to(dtype), exponent)
