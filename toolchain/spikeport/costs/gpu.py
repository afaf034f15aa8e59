"""Measured energy of a GPU board, from NVML's energy counter: warm-up, idle subtracted, long windows.

nvmlDeviceGetTotalEnergyConsumption counts millijoule since the driver was loaded, on Volta and later. It moves about
every 100 ms and, on some boards, samples a quarter of the time (arXiv 2312.02741), so windows are long, several, and
start at different phases; their spread is the range.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from spikeport.costs.estimate import Estimate
from spikeport.costs.model import Range
from spikeport.findings import fail

WINDOW = 10.0  #: seconds that a window lasts at least
WINDOWS = 3
WARM_UP = 3.0  #: seconds
LIBRARY = "libnvidia-ml.so.1"


class Counter(Protocol):
    """Something that counts joules."""

    def joules(self) -> float:
        """Energy since some time in the past."""

    @property
    def name(self) -> str:
        """Of the board."""


@dataclass(frozen=True)
class Nvml:
    """The first GPU's counter."""

    name: str
    library: ctypes.CDLL
    device: ctypes.c_void_p

    def joules(self) -> float:
        millijoules = ctypes.c_ulonglong()
        status = self.library.nvmlDeviceGetTotalEnergyConsumption(self.device, ctypes.byref(millijoules))
        if status:
            fail("SP708", f"NVML gives no energy (status {status})", where=self.name)
        return millijoules.value / 1000


def nvml() -> Nvml:
    """The first GPU's energy counter. Raises SP708 where there is no GPU, no driver or no counter."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        fail("SP708", "there is no NVIDIA driver", mend="without a GPU the model gpu-h100-floor stands in its place")
    device, name = ctypes.c_void_p(), ctypes.create_string_buffer(96)
    calls: tuple[tuple[str, tuple[object, ...]], ...] = (
        ("nvmlInit_v2", ()),
        ("nvmlDeviceGetHandleByIndex_v2", (0, ctypes.byref(device))),
        ("nvmlDeviceGetName", (device, name, len(name))),
        ("nvmlDeviceGetTotalEnergyConsumption", (device, ctypes.byref(ctypes.c_ulonglong()))),
    )
    for call, arguments in calls:
        if status := getattr(library, call)(*arguments):
            fail(
                "SP708",
                f"there is no GPU with an energy counter (NVML status {status})",
                where=call,
                mend="the counter needs Volta or later; the model gpu-h100-floor stands in its place",
            )
    return Nvml(name.value.decode(), library, device)


def measure(
    run: Callable[[], object],
    samples: int,
    counter: Counter,
    *,
    batch: int,
    window: float = WINDOW,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], object] = time.sleep,
) -> Estimate:
    """Board energy per sample of ``run``, which works through ``samples`` samples and ends only when they are done.

    Joule: (counted - idle power * seconds) / samples, in `WINDOWS` windows of at least ``window`` seconds each.
    """
    _repeat(run, WARM_UP, clock)
    wait(1.0)
    start, begun = counter.joules(), clock()
    wait(window)
    idle = (counter.joules() - start) / (clock() - begun)
    energies = []
    for number in range(WINDOWS):
        wait(0.5 + 0.037 * number)  # another phase of the counter
        start, begun = counter.joules(), clock()
        runs = _repeat(run, window, clock)
        seconds = clock() - begun
        energies.append((counter.joules() - start - idle * seconds) / (runs * samples))
    energy = Range(min(energies), sum(energies) / len(energies), max(energies))
    return Estimate(
        model="gpu-measured",
        network="snn",
        title=f"{counter.name}, measured",
        low=energy.low,
        nominal=energy.nominal,
        high=energy.high,
        source=f"NVML energy counter of {counter.name}, {WINDOWS} windows of {window:g} s",
        basis="measured",
        breakdown={"board": energy},
        layers={},
        counts={},
        kind="measured",
        notes=(f"Board energy above idle ({idle:.1f} W), batch {batch}; the host is not in it.",),
    )


def _repeat(run: Callable[[], object], seconds: float, clock: Callable[[], float]) -> int:
    """Run again and again for at least so long; how often."""
    end, count = clock() + seconds, 0
    while True:
        run()
        count += 1
        if clock() >= end:
            return count
