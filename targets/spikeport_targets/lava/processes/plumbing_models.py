"""What delays, pools, shifted convolutions and recorders compute. One model a process where the number type decides."""

from __future__ import annotations

import time

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort, PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from spikeport_targets.lava.processes.process import (
    ChannelsFirst,
    Multiply,
    Probe,
    Recorder,
    RingDelay,
    ShiftedConv,
    WindowSum,
)


class AbstractRingDelay(PyLoihiProcessModel):
    """Sends before it receives, so that it may close a cycle; with no step to wait it only keeps quiet."""

    a_in = None
    s_out = None
    past = None

    def run_spk(self):
        steps = self.proc_params["steps"]
        if steps == 0:
            self.send(self.a_in.recv())
            return
        slot = (self.time_step - 1) % steps
        self.send(self.past[slot])
        self.past[slot] = self.a_in.recv()

    def send(self, value):
        step = (self.time_step - 1 - self.proc_params["depth"]) % self.proc_params["period"]
        self.s_out.send(np.zeros_like(value) if step < self.proc_params["quiet"] else value.copy())


@implements(proc=RingDelay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "bit_accurate_loihi")
class FixedRingDelay(AbstractRingDelay):
    """Integers."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    past: np.ndarray = LavaPyType(np.ndarray, np.int32)


@implements(proc=RingDelay, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatRingDelay(AbstractRingDelay):
    """Floating point."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    past: np.ndarray = LavaPyType(np.ndarray, float)


def windows(x, kernel, stride, padding, dilation=(1, 1)):
    """Views of all windows of a map [H, W, C]: [H', W', C, kx, ky]."""
    padded = np.pad(x, ((padding[0], padding[0]), (padding[1], padding[1]), (0, 0)))
    span = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(padded, span, axis=(0, 1))
    return view[:: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]


class AbstractWindowSum(PyLoihiProcessModel):
    """Padding rows that no window covers are left out, as torch does."""

    a_in = None
    s_out = None

    def run_spk(self):
        p = self.proc_params
        self.s_out.send(self.divided(windows(self.a_in.recv(), p["kernel"], p["stride"], p["padding"]).sum((-2, -1))))

    def divided(self, total):
        return total


@implements(proc=WindowSum, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "bit_accurate_loihi")
class FixedWindowSum(AbstractWindowSum):
    """Integers: the sum."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)


@implements(proc=WindowSum, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatWindowSum(AbstractWindowSum):
    """Floating point: the sum, or the average."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def divided(self, total):
        return total / self.proc_params["divisor"]


@implements(proc=ShiftedConv, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "bit_accurate_loihi")
class FixedShiftedConv(PyLoihiProcessModel):
    """Sums in float64, exact since they stay far below 2**53."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    weight: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=8)
    a_buf: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def run_spk(self):
        self.a_out.send(self.a_buf)
        total = self.convolved(self.s_in.recv().astype(np.float64)).astype(np.int64)
        shift = self.proc_params["exponent"]
        self.a_buf = (total << shift if shift >= 0 else total >> -shift).astype(np.int32)

    def convolved(self, x):
        p = self.proc_params
        _, kx, ky, _ = self.weight.shape
        view = windows(x, (kx, ky), p["stride"], p["padding"], p["dilation"])
        maps = np.split(view, p["groups"], axis=2)
        kernels = np.split(self.weight.astype(np.float64), p["groups"], axis=0)
        parts = [np.tensordot(m, k, axes=((2, 3, 4), (3, 1, 2))) for m, k in zip(maps, kernels, strict=True)]
        return np.concatenate(parts, axis=-1)


class AbstractChannelsFirst(PyLoihiProcessModel):
    """[H, W, C] -> [C * H * W]."""

    a_in = None
    s_out = None

    def run_spk(self):
        self.s_out.send(np.moveaxis(self.a_in.recv(), -1, 0).ravel())


@implements(proc=ChannelsFirst, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "bit_accurate_loihi")
class FixedChannelsFirst(AbstractChannelsFirst):
    """Integers."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)


@implements(proc=ChannelsFirst, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatChannelsFirst(AbstractChannelsFirst):
    """Floating point."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)


class AbstractMultiply(PyLoihiProcessModel):
    """factor * x."""

    a_in = None
    s_out = None
    factor = None

    def run_spk(self):
        self.s_out.send(self.a_in.recv() * self.factor)


@implements(proc=Multiply, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "bit_accurate_loihi")
class FixedMultiply(AbstractMultiply):
    """Integers."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    factor: np.ndarray = LavaPyType(np.ndarray, np.int32)


@implements(proc=Multiply, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatMultiply(AbstractMultiply):
    """Floating point."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    factor: np.ndarray = LavaPyType(np.ndarray, float)


class AbstractRecorder(PyLoihiProcessModel):
    """A row a step."""

    a_in = None

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.log = None
        self.clock = None

    def run_spk(self):
        if self.log is None:
            self.log = np.load(self.proc_params["log"], mmap_mode="r+")
            clock = self.proc_params["clock"]
            self.clock = None if clock is None else np.load(clock, mmap_mode="r+")
        self.log[self.time_step - 1] = self.a_in.recv()
        if self.clock is not None:
            now = time.monotonic()
            self.clock[:] = self.time_step, self.clock[1] or now, now


@implements(proc=Recorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "bit_accurate_loihi")
class FixedRecorder(AbstractRecorder):
    """Integers."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)


@implements(proc=Recorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatRecorder(AbstractRecorder):
    """Floating point."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)


class AbstractProbe(PyLoihiProcessModel):
    """Reads after the spiking phase, so it sees the state after the reset."""

    state = None

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.log = None

    def post_guard(self):
        return True

    def run_post_mgmt(self):
        if self.log is None:
            self.log = np.load(self.proc_params["log"], mmap_mode="r+")
        self.log[self.time_step - 1] = self.state.read()


@implements(proc=Probe, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "bit_accurate_loihi")
class FixedProbe(AbstractProbe):
    """Integers."""

    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int32)


@implements(proc=Probe, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatProbe(AbstractProbe):
    """Floating point."""

    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)
