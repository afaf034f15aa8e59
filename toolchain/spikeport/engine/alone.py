"""One sample after the other: what an engine that is asked for a second one does with it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from threading import Lock
from typing import TYPE_CHECKING

from spikeport.engine import cpu
from spikeport.engine.program import Program
from spikeport.graph import Array, Samples
from spikeport.record import Record
from spikeport.spike_train import Counts
from spikeport.target import Request

if TYPE_CHECKING:
    from spikeport.engine.cpu import Chain


class Alone:
    """The chain of a program, made for its second sample; one thread at a time goes through it."""

    def __init__(self, program: Program) -> None:
        self._program, self._asked, self._lock = program, 0, Lock()
        self._chain: Chain | None = None

    def record(self, samples: Samples, request: Request) -> Record | None:
        """What happened to one sample; None where the chain does not serve, or is at work for another thread."""
        if asks_more(request) or request.memory is not None:
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
        begun = time.perf_counter()
        output, spikes, totals = chain(samples.frames)
        return recorded(self._program, output[None], spikes, totals, begun)


def recorded(
    program: Program, outputs: Array, spikes: Iterable[Counts], totals: Iterable[list[int]], begun: float
) -> Record:
    """What a chain says: the outputs [1, *output], spikes [T] of each layer and what was counted in it."""
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
