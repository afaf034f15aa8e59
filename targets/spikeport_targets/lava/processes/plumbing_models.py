"""What delays, pools, shifted convolutions and recorders compute, one description for both kinds of numbers."""

# no annotations from the future: `twins` reads them

import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort, PyRefPort

from spikeport_targets.lava.processes import process
from spikeport_targets.lava.twins import FIXED, model, twins


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


def windows(
    x: np.ndarray,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int] = (1, 1),
) -> np.ndarray:
    """Views of all windows of a map [H, W, C]: [H', W', C, kx, ky]."""
    padded = np.pad(x, ((padding[0], padding[0]), (padding[1], padding[1]), (0, 0)))
    span = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    slide: Any = np.lib.stride_tricks.sliding_window_view  # numpy declares one axis only
    view: np.ndarray = slide(padded, span, axis=(0, 1))
    return view[:: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]


class WindowSum(PyLoihiProcessModel):
    """Padding rows that no window covers are left out, as torch does."""

    a_in: PyInPort
    s_out: PyOutPort

    def run_spk(self) -> None:
        settings = self.proc_params
        view = windows(self.a_in.recv(), settings["kernel"], settings["stride"], settings["padding"])
        total, divisor = view.sum((-2, -1)), settings["divisor"]
        self.s_out.send(total if divisor == 1 else total / divisor)


class ShiftedConv(PyLoihiProcessModel):
    """Sums in float64, exact since they stay far below 2**53."""

    a_in: PyInPort
    s_out: PyOutPort
    weight: np.ndarray
    a_buf: np.ndarray

    def run_spk(self) -> None:
        self.s_out.send(self.a_buf)
        total = self.convolved(self.a_in.recv().astype(np.float64)).astype(np.int64)
        shift = self.proc_params["exponent"]
        self.a_buf = (total << shift if shift >= 0 else total >> -shift).astype(np.int32)

    def convolved(self, x: np.ndarray) -> np.ndarray:
        settings = self.proc_params
        view = windows(x, self.weight.shape[1:3], settings["stride"], settings["padding"], settings["dilation"])
        maps = np.split(view, settings["groups"], axis=2)
        kernels = np.split(self.weight.astype(np.float64), settings["groups"], axis=0)
        parts = [np.tensordot(m, k, axes=((2, 3, 4), (3, 1, 2))) for m, k in zip(maps, kernels, strict=True)]
        return np.concatenate(parts, axis=-1)


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
