"""What the neuron processes compute, in Loihi's integers and in floating point."""

from __future__ import annotations

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikeport_targets.lava.processes.process import ScheduledLIF

STATE_MAX = 2**23  #: current and membrane have 24 bits (Lava 0.10, proc/lif/models.py)
DECAY_SHIFT = 12  #: decay is a numerator over 2**12
STATE_SHIFT = 6  #: sums and thresholds enter the membrane's scale shifted by 6


def decayed(state: np.ndarray, decay: np.ndarray) -> np.ndarray:
    """state * decay / 4096, towards zero."""
    product = state.astype(np.int64) * decay.astype(np.int64)
    return np.sign(product) * (np.abs(product) >> DECAY_SHIFT)


def wrapped(current: np.ndarray) -> np.ndarray:
    """As Lava's LIF does it: one turn only, and +2**23 stays while -2**23 turns."""
    current = np.where(current > STATE_MAX, current - 2 * STATE_MAX, current)
    return np.where(current <= -STATE_MAX, current + 2 * STATE_MAX, current)


class AbstractScheduledLIF(PyLoihiProcessModel):
    """The order of a step: receive, zero at a new sample, integrate, compare, reset, send, write down."""

    a_in = None
    s_out = None
    u = None
    v = None
    threshold = None
    decay = None
    current_decay = None
    bias = None
    gain = None
    reset_value = None

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.logs = None

    def run_spk(self):
        arriving = self.a_in.recv()
        elapsed = self.time_step - 1 - self.proc_params["depth"]
        step = elapsed % self.threshold.shape[0]
        if step == 0:
            self.u[...] = 0
            self.v[...] = 0
        self.counted = 0 <= elapsed < self.threshold.shape[0] * self.proc_params["samples"]
        self.integrate(arriving)
        theta = self.theta(step)
        fired = self.v >= theta if self.proc_params["compare"] == ">=" else self.v > theta
        self.reset(fired, theta)
        self.s_out.send(fired.astype(self.s_out._d_type))
        self.write(fired)

    def reset(self, fired, theta):
        """Lower the membrane of those that fired."""
        kind = self.proc_params["reset"]
        if kind == "zero":
            self.v[fired] = 0
        elif kind == "subtract":
            self.v[...] = np.where(fired, self.v - theta, self.v)
        elif kind == "value":
            self.v[...] = np.where(fired, self.reset_value, self.v)

    def write(self, fired):
        """The row of this step."""
        if self.logs is None:
            names = ("spike_log", "membrane_log", "overflow_log")
            files = (self.proc_params[name] for name in names)
            self.logs = [None if file is None else np.load(file, mmap_mode="r+") for file in files]
        spikes, membranes, overflows = self.logs
        spikes[self.time_step - 1] = fired
        if membranes is not None:
            membranes[self.time_step - 1] = self.v
        overflows[:] += self.overflowing

    def integrate(self, arriving):
        """Current and membrane of this step, before the reset."""
        raise NotImplementedError

    def theta(self, step):
        """The threshold of this step in the membrane's unit."""
        raise NotImplementedError


@implements(proc=ScheduledLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "bit_accurate_loihi")
class FixedScheduledLIF(AbstractScheduledLIF):
    """Loihi's integers, as Lava's own LIF: see there for each rounding."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=16)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=1)
    u: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    v: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    threshold: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=17)
    decay: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=13)
    current_decay: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=12)
    bias: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    gain: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=1)
    reset_value: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def integrate(self, arriving):
        current = decayed(self.u, self.current_decay) + (arriving.astype(np.int64) << STATE_SHIFT)
        self.u[...] = wrapped(current)
        exact = decayed(self.v, self.decay) + self.u + self.bias
        self.v[...] = np.clip(exact, 1 - STATE_MAX, STATE_MAX - 1)
        saturated, wide = np.count_nonzero(self.v != exact), np.count_nonzero(self.u != current)
        self.overflowing = (saturated, wide) if self.counted else (0, 0)

    def theta(self, step):
        return self.threshold[step] << STATE_SHIFT


@implements(proc=ScheduledLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatScheduledLIF(AbstractScheduledLIF):
    """Floating point, float64."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    u: np.ndarray = LavaPyType(np.ndarray, float)
    v: np.ndarray = LavaPyType(np.ndarray, float)
    threshold: np.ndarray = LavaPyType(np.ndarray, float)
    decay: np.ndarray = LavaPyType(np.ndarray, float)
    current_decay: np.ndarray = LavaPyType(np.ndarray, float)
    bias: np.ndarray = LavaPyType(np.ndarray, float)
    gain: np.ndarray = LavaPyType(np.ndarray, float)
    reset_value: np.ndarray = LavaPyType(np.ndarray, float)

    overflowing = (0, 0)

    def integrate(self, arriving):
        self.u[...] = self.current_decay * self.u + self.gain * arriving
        self.v[...] = self.decay * self.v + self.u + self.bias

    def theta(self, step):
        return self.threshold[step]
