"""What a GPU runs, behind one door: the engine imports nothing of the files in here but what this names.

`neurons` and `synapse` make layers ready, `pool` sums windows, `reached` counts events. All give the bits of the plain
definition. Their kernels are Triton's, so they are loaded only when a layer is prepared; `missing` says why they cannot
be. Then `product`, which needs no kernels, is the way of a synapse. `sent` and `put` bring samples; what `recorder_for`
gives takes down launches that are to be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from spikeport.engine.cuda.capture import Launch, Recorder, apart, recorder_for
from spikeport.engine.cuda.here import missing
from spikeport.engine.cuda.stream import put, sent
from spikeport.engine.cuda.tf32 import prepare as product
from spikeport.engine.neuron import Neurons
from spikeport.engine.synapse import Step
from spikeport.graph import LIF, Array, Loihi, Pool, Range, Shape, Synapse

__all__ = [
    "Joined",
    "Launch",
    "Recorder",
    "apart",
    "missing",
    "neurons",
    "pool",
    "product",
    "put",
    "reached",
    "real_neurons",
    "real_synapse",
    "recorder_for",
    "sent",
    "synapse",
]


class Joined(NamedTuple):
    """A synapse that neurons alone read, maybe beside other sums."""

    synapse: Synapse
    entering: Range  #: what enters the synapse
    shape: Shape


def neurons(node: LIF, x: Range, joined: Joined | None, arithmetic: Loihi, device: str) -> Neurons | None:
    """Neurons whose sums, of ``joined`` and others, lie in ``x``; None where 32 bits do not hold those of ``joined``.

    Joined, what enters the synapse enters the neurons' call; else sums, as whole numbers of any type.
    """
    from spikeport.engine.cuda import layer, sums

    made = None
    if joined and (made := sums.prepare(*joined, device)) is None:
        return None
    return layer.prepare(node, made, x, arithmetic.profile, device)


def synapse(node: Synapse, entering: Range, shape: Shape, arithmetic: Loihi, device: str) -> Step | None:
    """A synapse alone, giving integers, its exponent applied; None where 32 bits do not hold its sums."""
    from spikeport.engine.cuda import sums

    made = sums.prepare(node, entering, shape, device)
    before, after = arithmetic.reach(node, entering)
    wide = max(before.size, after.size) >= 2**31
    return None if made is None else lambda x: made(x, wide)


def real_neurons(node: LIF, joined: tuple[Synapse, Shape] | None, device: str, products: str) -> Neurons:
    """Neurons of float32 whose sums, of a synapse of such inputs and others, or of others alone, enter.

    ``products`` are float32, tf32 or bf16.
    """
    from spikeport.engine.cuda import real, sums

    made = None if joined is None else sums.prepare_real(*joined, device, real.FORMS[products])
    return real.prepare(node, made, device)


def real_synapse(node: Synapse, shape: Shape, device: str, products: str) -> Step:
    """A synapse alone, of bytes or float32, giving float32."""
    from spikeport.engine.cuda import real, sums

    made = sums.prepare_real(node, shape, device, real.FORMS[products])
    return lambda x: made(x, False)


def pool(node: Pool, dtype: torch.dtype) -> Step:
    """A pool of whole numbers that sums, in a type that holds its sums."""
    from spikeport.engine.cuda import pools

    return lambda x: pools.run(node, x, dtype)


def reached(kinds: Array, table: Array, device: str, *, spikes: bool) -> Callable[[Tensor], Tensor]:
    """As `cpu.reached`, of whole numbers of any type, for the inputs of one synapse."""
    from spikeport.engine.cuda import tally

    laid_out = tally.laid_out(kinds, table, device)
    return lambda x: tally.reached(x, *laid_out, spikes=spikes)
