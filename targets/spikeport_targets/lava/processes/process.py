"""The processes: ports, variables and settings. What they compute is in the models beside.

Maps are [H, W, C], as Lava's own `Conv` wants them; vectors are [n]. `log` is the file of a `numpy` memory map with one
row a step, or None; a step's row is written while the step runs, so that results come back in bulk.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort, RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var


def variable(value: np.ndarray) -> Any:
    """An array that the model can read and change."""
    return Var(shape=value.shape, init=value)


class Through(AbstractProcess):
    """One input and one output, of the same shape where nothing else is said. Models read the settings by name."""

    def __init__(self, *, shape: tuple[int, ...], output: tuple[int, ...] | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape if output is None else output)


class ScheduledLIF(Through):
    """Spiking neurons with a threshold for each step of a sample, a choice of resets, and a lower bound.

    State is zeroed before the first step of a sample; at its depth in the pipeline the layer handles step
    ``(time_step - 1 - depth) % period``.

    threshold [period, *shape]; the other arrays have the layer's shape. Fixed model: decays are numerators over 4096,
    bias, reset_value and lower_bound are in membrane units, gain is not used. Floating model: plain numbers, and
    minus infinity where membranes have no bound.

    Settings: reset, compare (of the graph's node), depth, samples, and the files spike_log, membrane_log (or None),
    overflow_log.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        threshold: np.ndarray,
        decay: np.ndarray,
        current_decay: np.ndarray,
        bias: np.ndarray,
        gain: np.ndarray,
        reset_value: np.ndarray,
        lower_bound: np.ndarray,
        **settings: Any,
    ) -> None:
        super().__init__(shape=shape, **settings)
        self.u = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=0)
        self.threshold, self.decay, self.current_decay = map(variable, (threshold, decay, current_decay))
        self.bias, self.gain, self.reset_value = map(variable, (bias, gain, reset_value))
        self.lower_bound = variable(lower_bound)


class RingDelay(Through):
    """Hands on what came ``steps`` steps ago, and nothing in the first ``quiet`` steps of a sample.

    Further settings: period, the steps of a sample, and depth, that of the layer that reads it: its steps count.
    """

    def __init__(self, *, shape: tuple[int, ...], steps: int, **settings: Any) -> None:
        super().__init__(shape=shape, steps=steps, **settings)
        self.past = Var(shape=(max(steps, 1), *shape), init=0)


class WindowSum(Through):
    """Sums over windows of a map [H, W, C], zeros around it, divided by ``divisor`` (1 in the fixed model).

    Further settings, two numbers each: kernel, stride, padding.
    """


class ShiftedConv(Through):
    """Convolution whose sum is shifted by ``exponent`` bits (floor for negative ones), which Lava's own cannot do.

    Weight [C_out, kx, ky, C_in / groups], not flipped: cross-correlation. Sends a step later, as Lava's own does.
    Further settings: stride, padding, dilation (two numbers each), groups.
    """

    def __init__(self, *, weight: np.ndarray, output: tuple[int, ...], **settings: Any) -> None:
        super().__init__(output=output, **settings)
        self.weight = variable(weight)
        self.a_buf = Var(shape=output, init=0)


class ChannelsFirst(Through):
    """Flattens a map [H, W, C] in the order [C, H, W]."""

    def __init__(self, *, shape: tuple[int, ...]) -> None:
        super().__init__(shape=shape, output=(int(np.prod(shape)),))


class Multiply(Through):
    """Multiplies by a constant that broadcasts over the shape."""

    def __init__(self, *, shape: tuple[int, ...], factor: np.ndarray) -> None:
        super().__init__(shape=shape)
        self.factor = variable(factor)


class Recorder(AbstractProcess):
    """Writes what arrives to a memory map, a row a step; ``clock`` gets steps done, times of first and last step."""

    def __init__(self, *, shape: tuple[int, ...], log: str, clock: str | None = None) -> None:
        super().__init__(log=log, clock=clock)
        self.a_in = InPort(shape=shape)


class Probe(AbstractProcess):
    """Writes a variable of another process to a memory map after each step."""

    def __init__(self, *, shape: tuple[int, ...], log: str) -> None:
        super().__init__(log=log)
        self.state = RefPort(shape)
