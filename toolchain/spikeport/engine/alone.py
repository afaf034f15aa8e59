"""One sample after the other: what an engine that is asked for few a second time does with them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from spikeport.engine import cpu
from spikeport.engine.program import Program
from spikeport.graph import Array, Samples
from spikeport.record import Record
from spikeport.spike_train import Counts
from spikeport.target import Request

if TYPE_CHECKING:
    from spikeport.engine.cpu import Chain


FEW = 16  #: samples; more are faster side by side, where Python's time is shared by all
SMALL = 1 << 28  #: multiply-adds of all steps of several samples, were all inputs multiplied: beyond, as well


class Alone:
    """The chain of a program, made when it is asked for the second time; one thread at a time goes through it."""

    def __init__(self, program: Program) -> None:
        self._program, self._asked, self._lock = program, 0, Lock()
        self._chain: Chain | None = None

    @cached_property
    def _most(self) -> int:
        """Samples that are faster one by one."""
        program = self._program
        return max(1, min(FEW, SMALL // max(1, program.products * program.graph.timesteps)))

    def record(self, samples: Samples, request: Request) -> Record | None:
        """What happened to few samples; None where the chain does not serve, or is at work for another thread."""
        if samples.number > self._most or asks_more(request) or request.memory is not None:
            return None
        if not self._lock.acquire(blocking=False):
            return None
        try:
            chain = self._ready()
            return None if chain is None else self._through(chain, samples)
        finally:
            self._lock.release()

    def _ready(self) -> Chain | None:
        self._asked += 1
        program = self._program
        if self._asked == 2 and program.kernels == "fast" and program.integers:
            self._chain = cpu.chained(program)
        return self._chain

    def _through(self, chain: Chain, samples: Samples) -> Record:
        begun, frames = time.perf_counter(), samples.frames
        if samples.number == 1:
            output, counts, kinds = chain(frames)
            return recorded(self._program, output[None], counts, kinds, begun)
        outputs, spikes, totals = zip(*(chain(frames[:, n : n + 1]) for n in range(samples.number)), strict=True)
        return recorded(self._program, np.array(outputs), sum(spikes), map(added, *totals), begun)


def added(*totals: list[int]) -> list[int]:
    """What was counted in a layer, of several samples or steps together."""
    return [sum(kind) for kind in zip(*totals, strict=True)]


def recorded(
    program: Program, outputs: Array, spikes: Iterable[Counts], totals: Iterable[list[int]], begun: float
) -> Record:
    """What a chain says: the outputs [B, *output], spikes [T] of each layer and what was counted in it."""
    overflows = zip(program.layers, map(cpu.overflowed, totals), strict=True)
    return Record(
        target="integer",
        outputs=outputs,
        neurons=program.sizes,
        spike_counts=dict(zip(program.layers, spikes, strict=True)),
        overflows={name: kinds for name, kinds in overflows if kinds},
        seconds=time.perf_counter() - begun,
    )


def asks_more(request: Request) -> bool:
    """Whether somebody wants more than a chain says."""
    return bool(request.trains or request.membranes or request.events)
