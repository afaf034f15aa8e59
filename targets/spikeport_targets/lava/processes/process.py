"""The processes: ports, variables and parameters. What they compute is in the models beside.

Maps are [H, W, C], as Lava's own `Conv` wants them; vectors are [n]. `log` is the file of a `numpy` memory map with one
row a step, or None; a step's row is written while the step runs, so that results come back in bulk.
"""

from __future__ import annotations

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort, RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var


class ScheduledLIF(AbstractProcess):
    """Spiking neurons with a threshold for each step of a sample, and a choice of resets.

    State is zeroed before the first step of a sample; at its depth in the pipeline the layer handles step
    ``(time_step - 1 - depth) % period``.

    threshold [period, *shape]; the other arrays have the layer's shape. Fixed model: decays are numerators over 4096,
    bias and reset_value are in membrane units, gain is not used. Floating model: plain numbers.
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
        reset: str,
        compare: str,
        depth: int,
        samples: int,
        spike_log: str,
        membrane_log: str | None,
        overflow_log: str,
    ) -> None:
        super().__init__(
            reset=reset,
            compare=compare,
            depth=depth,
            samples=samples,
            spike_log=spike_log,
            membrane_log=membrane_log,
            overflow_log=overflow_log,
        )
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.u = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=0)
        self.threshold = Var(shape=threshold.shape, init=threshold)
        self.decay = Var(shape=decay.shape, init=decay)
        self.current_decay = Var(shape=current_decay.shape, init=current_decay)
        self.bias = Var(shape=bias.shape, init=bias)
        self.gain = Var(shape=gain.shape, init=gain)
        self.reset_value = Var(shape=reset_value.shape, init=reset_value)


class RingDelay(AbstractProcess):
    """Hands on what came ``steps`` steps ago, and nothing in the first ``quiet`` steps of a sample.

    ``depth`` is the depth of the layer that reads it: its steps are the ones that count.
    """

    def __init__(self, *, shape: tuple[int, ...], steps: int, quiet: int, depth: int, period: int) -> None:
        super().__init__(steps=steps, quiet=quiet, depth=depth, period=period)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.past = Var(shape=(max(steps, 1), *shape), init=0)


class WindowSum(AbstractProcess):
    """Sums over windows of a map [H, W, C], zeros around it, divided by ``divisor`` (1 in the fixed model)."""

    def __init__(
        self,
        *,
        shape: tuple[int, int, int],
        output: tuple[int, int, int],
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int],
        divisor: int,
    ) -> None:
        super().__init__(kernel=kernel, stride=stride, padding=padding, divisor=divisor)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=output)


class ShiftedConv(AbstractProcess):
    """Convolution whose sum is shifted by ``exponent`` bits (floor for negative ones), which Lava's own cannot do.

    Weight [C_out, kx, ky, C_in / groups], not flipped: cross-correlation. Sends a step later, as Lava's own does.
    """

    def __init__(
        self,
        *,
        weight: np.ndarray,
        shape: tuple[int, int, int],
        output: tuple[int, int, int],
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
        groups: int,
        exponent: int,
    ) -> None:
        super().__init__(stride=stride, padding=padding, dilation=dilation, groups=groups, exponent=exponent)
        self.s_in = InPort(shape=shape)
        self.a_out = OutPort(shape=output)
        self.weight = Var(shape=weight.shape, init=weight)
        self.a_buf = Var(shape=output, init=0)


class ChannelsFirst(AbstractProcess):
    """Flattens a map [H, W, C] in the order [C, H, W]."""

    def __init__(self, *, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=(int(np.prod(shape)),))


class Multiply(AbstractProcess):
    """Multiplies by a constant that broadcasts over the shape."""

    def __init__(self, *, shape: tuple[int, ...], factor: np.ndarray) -> None:
        super().__init__()
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.factor = Var(shape=factor.shape, init=factor)


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
