"""What the neuron process computes, in Loihi's integers and in floating point."""

# no annotations from the future: `twins` reads them

from functools import cached_property
from typing import Any

import numpy as np
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort

from spikeport_targets.lava.processes.process import ScheduledLIF
from spikeport_targets.lava.twins import FIXED, FLOAT, model

STATE_MAX = 2**23  #: current and membrane have 24 bits (Lava 0.10, proc/lif/models.py)
DECAY_SHIFT = 12  #: decay is a numerator over 2**12
STATE_SHIFT = 6  #: sums and thresholds enter the membrane's scale shifted by 6


def decayed(state: np.ndarray, decay: np.ndarray) -> np.ndarray:
    """state * decay / 4096, towards zero."""
    product = state.astype(np.int64) * decay.astype(np.int64)
    size = np.abs(product) >> DECAY_SHIFT
    return np.where(product < 0, -size, size)


def wrapped(current: np.ndarray) -> np.ndarray:
    """As Lava's LIF does it: one turn only, and +2**23 stays while -2**23 turns."""
    current = np.where(current > STATE_MAX, current - 2 * STATE_MAX, current)
    return np.where(current <= -STATE_MAX, current + 2 * STATE_MAX, current)


class AbstractScheduledLIF(PyLoihiProcessModel):
    """The order of a step: receive, zero at a new sample, integrate, compare, reset, send, write down."""

    a_in: PyInPort
    s_out: PyOutPort
    u: np.ndarray
    v: np.ndarray
    threshold: np.ndarray
    decay: np.ndarray
    current_decay: np.ndarray
    bias: np.ndarray
    gain: np.ndarray
    reset_value: np.ndarray
    lower_bound: np.ndarray

    @cached_property
    def logs(self) -> list[Any]:
        """Spikes, membranes and overflows, opened at the first step."""
        files = (self.proc_params[name] for name in ("spike_log", "membrane_log", "overflow_log"))
        return [None if file is None else np.load(file, mmap_mode="r+") for file in files]

    def run_spk(self) -> None:
        arriving = self.a_in.recv()
        elapsed = self.time_step - 1 - self.proc_params["depth"]
        step = elapsed % self.threshold.shape[0]
        if step == 0:
            self.u[...] = 0
            self.v[...] = 0
        overflowing = self.integrate(arriving)
        theta = self.theta(step)
        fired = self.v >= theta if self.proc_params["compare"] == ">=" else self.v > theta
        self.reset(fired, theta)
        self.v[...] = np.maximum(self.v, self.lower_bound)
        self.s_out.send(fired.astype(self.s_out._d_type))
        spikes, membranes, overflows = self.logs
        spikes[self.time_step - 1] = fired
        if membranes is not None:
            membranes[self.time_step - 1] = self.v
        if 0 <= elapsed < self.threshold.shape[0] * self.proc_params["samples"]:
            overflows[:] += overflowing

    def reset(self, fired: np.ndarray, theta: np.ndarray) -> None:
        """Lower the membrane of the neurons that fired."""
        kind = self.proc_params["reset"]
        if kind == "zero":
            self.v[fired] = 0
        elif kind == "subtract":
            self.v[...] = np.where(fired, self.v - theta, self.v)
        elif kind == "value":
            self.v[...] = np.where(fired, self.reset_value, self.v)

    def integrate(self, arriving: np.ndarray) -> tuple[int, int]:
        """Current and membrane of this step, before the reset; how many of each saturated or wrapped."""
        raise NotImplementedError

    def theta(self, step: int) -> np.ndarray:
        """The threshold of this step in the membrane's unit."""
        raise NotImplementedError


class Integers(AbstractScheduledLIF):
    """Loihi's integers, as Lava's own LIF: see there for each rounding."""

    def integrate(self, arriving: np.ndarray) -> tuple[int, int]:
        current = decayed(self.u, self.current_decay) + (arriving.astype(np.int64) << STATE_SHIFT)
        self.u[...] = wrapped(current)
        exact = decayed(self.v, self.decay) + self.u + self.bias
        self.v[...] = np.clip(exact, 1 - STATE_MAX, STATE_MAX - 1)
        return int(np.count_nonzero(self.v != exact)), int(np.count_nonzero(self.u != current))

    def theta(self, step: int) -> np.ndarray:
        return np.asarray(self.threshold[step] << STATE_SHIFT)


class Reals(AbstractScheduledLIF):
    """Floating point, float64."""

    def integrate(self, arriving: np.ndarray) -> tuple[int, int]:
        self.u[...] = self.current_decay * self.u + self.gain * arriving
        self.v[...] = self.decay * self.v + self.u + self.bias
        return 0, 0

    def theta(self, step: int) -> np.ndarray:
        return np.asarray(self.threshold[step])


FixedScheduledLIF = model(ScheduledLIF, Integers, FIXED)
FloatScheduledLIF = model(ScheduledLIF, Reals, FLOAT)
