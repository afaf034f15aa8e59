"""The short blocks of a stream of one sample, step by step on a prepared chain.

A block costs Python what many of its steps cost: where few come together, a chain of one step is the faster way. The
state passes between it and `batch.Run`, which runs all other blocks.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from spikeport.engine import cpu
from spikeport.engine.chains import added, around, asks_more, made, recorded
from spikeport.graph import Array
from spikeport.record import Record

if TYPE_CHECKING:
    from spikeport.engine.batch import Run

#: steps at most: half the time there for 784-512-10, a fifth less for two convolutions (tests/stream_speed.py); with
#: real numbers four take 0.5 to 1.05 times as long
FEW, FEW_REAL = 16, 4


class Stepped:
    """The chain of one step of a stream, made for its second short block."""

    def __init__(self, run: Run) -> None:
        self._run, self._asked, self._inside = run, 0, False
        self._chain: cpu.Chain | None = None

    def block(self, frames: Array, start: int) -> tuple[Array, Record] | None:
        """What `Stream` tells of frames [steps, 1, *input], outputs [steps, 1, *output]; None where it does not serve.

        ``start``: where the first of them stands in the schedules.
        """
        chain = self._ready(*frames.shape[:2])
        if chain is None:
            self._leave()
            return None
        begun = time.perf_counter()
        self._enter(chain)
        with around(self._run.program):
            steps = [chain(frames[t : t + 1], start + t) for t in range(len(frames))]
        outputs, spikes, totals = zip(*steps, strict=True)
        told = np.array(outputs)
        whole = told.sum(0, dtype=self._run.program.leaving)
        record = recorded(self._run.program, whole, np.concatenate(spikes, 1), map(added, *totals), begun)
        return told, record

    def _ready(self, steps: int, samples: int) -> cpu.Chain | None:
        run = self._run
        if steps > (FEW if run.program.integers else FEW_REAL) or samples != 1 or asks_more(run.request):
            return None
        self._asked += 1
        if self._asked == 2 and run.program.kernels == "fast":
            self._chain = made(run.program, whole=False)
        return self._chain

    def _enter(self, chain: cpu.Chain) -> None:
        """Have the chain go on where the run was."""
        if not self._inside:
            for name, arrays in chain.states.items():
                carried = self._run.states[name]
                for now, before in zip(arrays, carried if isinstance(carried, tuple) else (carried,), strict=True):
                    now[...] = before.reshape(now.shape)
        self._inside = True

    def _leave(self) -> None:
        """The way back."""
        if self._inside:
            assert self._chain is not None
            for name, (state, *spikes) in self._chain.states.items():
                own = state.reshape(len(state), -1).copy()
                self._run.states[name] = (own, *(each.copy() for each in spikes)) if spikes else own
        self._inside = False
