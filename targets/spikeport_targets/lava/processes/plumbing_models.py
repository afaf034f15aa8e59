"""What delays, pools, shifted convolutions and recorders compute, one description for both kinds of numbers."""

# no annotations from the future: `twins` reads them

import time
from functools import cached_property
from typing import Any

import numpy as np
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort, PyRefPort

from spikeport.graph import LOIHI2, Conv, Loihi, Pool, meaning
from spikeport_targets.lava.processes import process
from spikeport_targets.lava.twins import FIXED, model, twins

SHIFTS_SUMS = Loihi(LOIHI2)  #: an exponent shifts the sum, towards minus infinity


class RingDelay(PyLoihiProcessModel):
    """Sends before it receives, so that it may close a cycle; with no step to wait it only keeps quiet."""

    a_in: PyInPort
    s_out: PyOutPort
    past: np.ndarray

    def run_spk(self) -> None:
        steps = self.proc_params["steps"]
        if steps == 0:
            self.send(self.a_in.recv())
            return
        slot = (self.time_step - 1) % steps
        self.send(self.past[slot])
        self.past[slot] = self.a_in.recv()

    def send(self, value: np.ndarray) -> None:
        step = (self.time_step - 1 - self.proc_params["depth"]) % self.proc_params["period"]
        self.s_out.send(np.zeros_like(value) if step < self.proc_params["quiet"] else value.copy())


def frame(x: np.ndarray) -> np.ndarray:
    """A map [H, W, C] as [1, 1, C, H, W], as `meaning` takes it."""
    return np.moveaxis(x, -1, 0)[None, None]


class WindowSum(PyLoihiProcessModel):
    """`meaning.pool` of a map [H, W, C]."""

    a_in: PyInPort
    s_out: PyOutPort

    @cached_property
    def node(self) -> Pool:
        """The pool over both axes."""
        settings = self.proc_params
        kernel, stride, padding = (tuple(settings[key]) for key in ("kernel", "stride", "padding"))
        return Pool("sum" if settings["divisor"] == 1 else "average", kernel, stride, padding)

    def run_spk(self) -> None:
        x = self.a_in.recv()
        total = np.moveaxis(meaning.pool(self.node, frame(x))[0, 0], 0, -1)
        self.s_out.send(total.astype(x.dtype))


class ShiftedConv(PyLoihiProcessModel):
    """`Loihi.synapse` of a map [H, W, C], in float64: exact since sums stay far below 2**53."""

    a_in: PyInPort
    s_out: PyOutPort
    weight: np.ndarray
    a_buf: np.ndarray

    @cached_property
    def node(self) -> Conv:
        """The convolution over both axes; Lava holds its weights as [O, H, W, C]."""
        settings = self.proc_params
        stride, padding, dilation = (tuple(settings[key]) for key in ("stride", "padding", "dilation"))
        weight = np.moveaxis(self.weight, -1, 1)
        return Conv(weight, None, settings["exponent"], stride, padding, dilation, settings["groups"])

    def run_spk(self) -> None:
        self.s_out.send(self.a_buf)
        total = SHIFTS_SUMS.synapse(self.node, frame(self.a_in.recv().astype(np.float64)))[0, 0]
        self.a_buf = np.moveaxis(total, 0, -1).astype(np.int64).astype(np.int32)


class ChannelsFirst(PyLoihiProcessModel):
    """[H, W, C] -> [C * H * W]."""

    a_in: PyInPort
    s_out: PyOutPort

    def run_spk(self) -> None:
        self.s_out.send(np.moveaxis(self.a_in.recv(), -1, 0).ravel())


class Multiply(PyLoihiProcessModel):
    """factor * x."""

    a_in: PyInPort
    s_out: PyOutPort
    factor: np.ndarray

    def run_spk(self) -> None:
        self.s_out.send(self.a_in.recv() * self.factor)


class Recorder(PyLoihiProcessModel):
    """A row a step."""

    a_in: PyInPort

    @cached_property
    def files(self) -> list[Any]:
        """The rows and the clock, opened at the first step."""
        names = (self.proc_params["log"], self.proc_params["clock"])
        return [None if name is None else np.load(name, mmap_mode="r+") for name in names]

    def run_spk(self) -> None:
        rows, clock = self.files
        rows[self.time_step - 1] = self.a_in.recv()
        if clock is not None:
            now = time.monotonic()
            clock[:] = self.time_step, clock[1] or now, now


class Probe(PyLoihiProcessModel):
    """Reads after the spiking phase, so it sees the state after the reset."""

    state: PyRefPort

    @cached_property
    def rows(self) -> np.ndarray:
        """The memory map, opened at the first step."""
        file: np.ndarray = np.load(self.proc_params["log"], mmap_mode="r+")
        return file

    def post_guard(self) -> bool:
        return True

    def run_post_mgmt(self) -> None:
        self.rows[self.time_step - 1] = self.state.read()


FixedRingDelay, FloatRingDelay = twins(process.RingDelay, RingDelay)
FixedWindowSum, FloatWindowSum = twins(process.WindowSum, WindowSum)
FixedShiftedConv = model(process.ShiftedConv, ShiftedConv, FIXED)
FixedChannelsFirst, FloatChannelsFirst = twins(process.ChannelsFirst, ChannelsFirst)
FixedMultiply, FloatMultiply = twins(process.Multiply, Multiply)
FixedRecorder, FloatRecorder = twins(process.Recorder, Recorder)
FixedProbe, FloatProbe = twins(process.Probe, Probe)
