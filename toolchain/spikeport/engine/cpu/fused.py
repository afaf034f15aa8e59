"""A neuron layer on the compiled loops: its parameters laid out once, then any number of calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikeport.engine.cpu import kernels
from spikeport.engine.cpu.structures import (
    ACTIVE,
    BEYOND,
    FIRED,
    KINDS,
    SATURATED,
    WRAPPED,
    Constants,
    Parameters,
    Rules,
)
from spikeport.engine.integers import may_overflow, never_full
from spikeport.engine.neuron import Counted, Fired, flat
from spikeport.graph import ALIF, LIF, STATE_SHIFT, Array, CubaLIF, Profile, Range, Shape, loihi, over_neurons
from spikeport.threads import over_parts

OVERFLOWS = {loihi.SATURATED: SATURATED, loihi.BEYOND: BEYOND, loihi.WRAPPED: WRAPPED}
NOTHING = 0  #: length of an array that a loop is told to leave alone


@dataclass(frozen=True)
class Layer:
    """One layer's parameters in the order of memory (channels last), laid out once."""

    node: LIF
    parameters: Parameters
    pattern: int  #: after so many neurons the parameters repeat
    rules: Constants | Rules  #: of integers or of real numbers; they watch where a sum can leave the membrane's range

    def __call__(
        self,
        x: Tensor,
        state: Array | None,
        start: int,
        steps: int,
        *,
        keep: bool,
        watch: bool,
        beside: Tensor | None = None,
    ) -> Fired:
        """Steps ``start`` ... ``start + steps - 1``; membranes if ``keep``, active neurons if ``watch``."""
        values = flat(x if beside is None else x + beside)
        count, dtype = values.shape[1], self.parameters.bias.dtype
        spikes = np.empty((steps, count), counting(self.node))  # numpy asks for large pages, torch does not
        after = np.empty((steps, count) if keep else (NOTHING, NOTHING), dtype)
        if state is None:  # a call for all steps needs no state beyond them
            whole = steps == self.node.timesteps
            state = np.zeros((NOTHING, NOTHING), dtype) if whole else kernels.carried(self.parameters, count)
        parameters, rules = self.of_steps(start, steps), self.watching(watch)
        if isinstance(rules, Constants):
            rules, values = rules._replace(floats=np.int32(values.dtype == np.float32)), values.view(np.int32)

        def part(begin: int, end: int) -> Array:
            counts = np.zeros((steps, KINDS), np.int64)
            block = kernels.block(values, parameters, spikes.dtype)
            kernels.neurons(values, rules, parameters, spikes, after, state, block, counts, begin, end)
            return counts

        counts = added(over_parts(part, count, weight=steps))
        shape, size = self.node.shape, (steps, x.shape[1], -1)
        train = unflat(spikes.reshape(size), shape)
        return fired(train, unflat(after.reshape(size), shape) if keep else None, state, counts)

    def of_steps(self, start: int, steps: int, parameters: Parameters | None = None) -> Parameters:
        """The parameters, or others, with the thresholds of some steps."""
        every = parameters or self.parameters
        alike = len(every.threshold) == 1
        return every if alike else every._replace(threshold=every.threshold[start : start + steps])

    def watching(self, watch: bool) -> Any:
        """The rules, which watch if ``watch`` or in any case."""
        if not watch:
            return self.rules
        watching = self.rules._replace(bare=np.int32(0))
        return watching._replace(watch=np.int32(1)) if isinstance(watching, Constants) else watching


def added(parts: list[Array]) -> Array:
    """The sum of what the threads counted."""
    return parts[0] if len(parts) == 1 else np.sum(parts, axis=0)


def fired(spikes: Tensor, after: Tensor | None, state: Any, counts: Array) -> Fired:
    """What some steps did, from the loops' counts [T, 5]."""
    return Fired(
        spikes, after, state, Counted(counts[:, FIRED], counts[:, ACTIVE], overflowed(counts.sum(0).tolist())).read
    )


def overflowed(total: Sequence[int]) -> dict[str, int]:
    """What overflowed how often, from all steps' `structures.Counted`."""
    return {kind: total[column] for kind, column in OVERFLOWS.items() if total[column]}


def real(node: LIF, dtype: np.dtype[Any]) -> Layer:
    """A layer of real neurons, its parameters laid out in the type that its loop computes in."""
    return _laid_out(node, dtype, _rules(node, dtype))


def integer(node: LIF, exponent: int, profile: Profile, x: Range) -> Layer:
    """A layer of integer neurons; sums in ``x``, which come before their ``exponent``, enter it."""
    watch = may_overflow(node, x, profile)
    bare = not watch and never_full(node, x, profile)
    return _laid_out(node, np.dtype(np.int32), _constants(node.reset, exponent, profile, watch, bare))


def _laid_out(node: LIF, dtype: np.dtype[Any], rules: Constants | Rules) -> Layer:
    return Layer(node, *laid_out(node, dtype, node.shape[0]), rules)


def laid_out(node: LIF, dtype: np.dtype[Any], width: int) -> tuple[Parameters, int]:
    """The parameters in the order of memory, and their period: each place is ``width`` channels wide, zeros at its
    end."""
    per_channel = [node.decay, node.bias, node.gain, node.reset_value, node.threshold[0]]
    per_channel += [node.current_decay] if isinstance(node, CubaLIF) else []
    per_channel += [node.adaptation, node.adaptation_decay] if isinstance(node, ALIF) else []
    per_channel += [] if node.lower_bound is None else [node.lower_bound]
    channels = node.shape[:1]
    narrow = all(value.ndim == 0 or value.shape == channels for value in per_channel)
    shape = channels if narrow else node.shape
    period = int(np.prod(shape[1:], dtype=np.int64)) * width
    repeat = -(-kernels.BLOCK // period)

    def laid(value: Array) -> Array:
        full = np.moveaxis(np.broadcast_to(over_neurons(value, shape), shape), 0, -1).reshape(-1, *channels)
        row = np.tile(np.pad(full, ((0, 0), (0, width - full.shape[1]))).ravel(), repeat)
        return np.pad(row, (0, kernels.LANES)).astype(dtype)  # a vector may begin at the last

    whole, alike = dtype.kind == "i", bool((node.threshold == node.threshold[:1]).all())
    shift = np.asarray(1 << STATE_SHIFT if whole else 1, dtype)
    parameters = Parameters(
        decay=laid(node.decay),
        leak=laid(node.current_decay) if isinstance(node, CubaLIF) else None,
        bias=laid(node.bias),
        threshold=np.stack([laid(row) * shift for row in node.threshold[: 1 if alike else None]]),
        reset_value=laid(node.reset_value if node.reset == "value" else np.zeros(())),
        gain=None if whole else laid(node.gain),
        low=None if node.lower_bound is None else laid(node.lower_bound),
        up=laid(node.adaptation) if isinstance(node, ALIF) else None,
        fade=laid(node.adaptation_decay) if isinstance(node, ALIF) else None,
    )
    return parameters, period


def _constants(reset: str, exponent: int, profile: Profile, watch: bool, bare: bool) -> Constants:
    kept, lost = {"zero": (0, 0), "value": (0, 0), "subtract": (-1, -1), "none": (-1, 0)}[reset]
    bits = profile.accumulator_bits
    spare = 0 if bits is None else max(32 - (bits - STATE_SHIFT), 0)
    shifts = max(exponent, 0), max(-exponent, 0)
    return Constants(*map(np.int32, (*shifts, kept, lost, spare, profile.state_top, 0, watch, bare)))


def _rules(node: LIF, dtype: np.dtype[Any]) -> Rules:
    most = None if node.most_spikes == 1 else dtype.type(node.most_spikes)
    bits = np.int64 if dtype.itemsize == 8 else np.int32
    subtract, stay = node.reset == "subtract", node.reset == "none"
    return Rules(
        at_zero=np.int32(1) if node.compare == ">=" else None,
        subtract=bits(-int(subtract)),
        stay=bits(-int(stay)),
        put=bits(-int(not (subtract or stay))),
        most=most,
        bare=np.int32(1),
    )


def counting(node: LIF) -> type[np.integer[Any]]:
    """The type of what neurons send: bytes, as long as these count their spikes of a step."""
    return np.uint8 if node.most_spikes <= 255 else np.int32


def unflat(values: Array, shape: Shape) -> Tensor:
    """What a loop wrote, [T, B, N] with the channels last, as [T, B, *shape]."""
    whole = torch.from_numpy(values.reshape(*values.shape[:2], *shape[1:], shape[0]))
    return whole if len(shape) == 1 else whole.movedim(-1, 2)
