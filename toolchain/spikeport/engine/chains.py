"""Few samples, on prepared chains: what an engine that is asked for few a second time does with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property, partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import torch

from spikeport.engine import cpu
from spikeport.engine.blocks import overhead, seconds
from spikeport.engine.program import Program
from spikeport.graph import Array, Samples
from spikeport.record import Record
from spikeport.spike_train import Counts
from spikeport.target import Request
from spikeport.threads import SMALL, available, no_lost_threads, over_parts, torch_alone

if TYPE_CHECKING:
    from spikeport.engine.cpu import Chain, Weights

Told = tuple[Array, Array, list[list[int]]]  # of some samples, as a chain tells it
Batch = Callable[[Samples, Request], object]  # the other way

SIZES = (16, 4, 1)  #: samples that go through a chain together: Python takes about as long for sixteen as for one
FEW = SIZES[0]  #: samples that are sooner done so, if that takes no longer than Python; else both ways are tried once
#: so many times as long as Python takes for a batch, more may be sooner done so: between 4 and 7 on one thread, more on
#: two, measured on the five networks of tests/threads_speed.py and tests/benchmarks/peers.py
WORTH = 5.0
WAKE = 6e-4  #: seconds of `blocks` from which a second thread repays: a chain is soon done, there is no Python to share


class Hand:
    """The chains of one thread, by samples, each made when it is first needed; weights are those of all."""

    def __init__(self, program: Program, weights: dict[str, Weights], chains: dict[int, Chain]) -> None:
        self._program, self._weights, self._chains = program, weights, chains

    def __call__(self, frames: Array) -> list[Told]:
        """What happened to frames [T or 1, B, *input], some samples after the other."""
        number, start, told = frames.shape[1], 0, []
        for size in SIZES:
            while number - start >= size:
                told.append(self._chain(size)(frames[:, start : start + size]))
                start += size
        return told

    def _chain(self, size: int) -> Chain:
        chain = self._chains.get(size)
        if chain is None:
            chain = made(self._program, whole=True, samples=size, weights=self._weights)
            assert chain is not None  # as that of another size was not
            self._chains[size] = chain
        return chain


class Chains:
    """The chains of a program, made when they are asked for the second time."""

    def __init__(self, program: Program) -> None:
        self._program, self._asked, self._lock = program, 0, Lock()
        self._weights: dict[str, Weights] | None = None  # where chains serve
        self._free: list[Hand] = []  # hands in which there is no sample
        self._chosen: dict[int, bool] = {}  # bits of a number of samples -> whether chains are the faster way

    def record(self, samples: Samples, request: Request, batch: Batch) -> Record | None:
        """What happened to few samples; None where chains do not serve, or a ``batch`` is the faster way."""
        number, limit = samples.number, request.batch
        limited = request.memory is not None or (limit is not None and limit < number)
        if limited or asks_more(request) or (number != 1 and not self._few(number)):
            return None
        weights = self._ready()
        doubtful = number > FEW or number * self._share > 1
        if weights is None or (doubtful and not self._faster(weights, samples, batch)):
            return None
        return self._through(weights, samples)

    def _few(self, samples: int) -> bool:
        """Whether chains may be the faster way for so many, each thread with the part that it would have of a batch."""
        few = 0 < samples * self._share < WORTH * available()
        return few and self._program.integers  # real sums of several may be added in another order

    def _faster(self, weights: dict[str, Weights], samples: Samples, batch: Batch) -> bool:
        """Whether chains take less time than a batch for about so many, tried once: that depends on how many fire."""
        about = samples.number.bit_length()
        if about not in self._chosen:
            chains = partial(self._through, weights)
            self._chosen[about] = cpu.ratio(lambda some: batch(some, Request()), chains, samples) > 1
        return self._chosen[about]

    def _through(self, weights: dict[str, Weights], samples: Samples) -> Record:
        begun, frames = time.perf_counter(), samples.frames

        def part(start: int, end: int) -> list[Told]:
            with self._lock:
                hand = self._free.pop() if self._free else Hand(self._program, weights, {})
            try:
                return hand(frames[:, start:end])
            finally:
                self._free.append(hand)

        if samples.number == 1:
            (told,) = part(0, 1) if self._program.integers else self._real(part)
        else:
            told = joined(over_parts(part, samples.number, step=SIZES[1], weight=self._weight))
        outputs, spikes, totals = told
        return recorded(self._program, outputs, spikes, totals, begun)

    def _real(self, part: Callable[[int, int], list[Told]]) -> list[Told]:
        """A sample of real numbers, on torch's one thread as in a block."""
        with around(self._program), torch_alone():
            return part(0, 1)

    @cached_property
    def _share(self) -> float:
        """What a sample takes of what Python takes for a batch."""
        return seconds(self._program) / overhead(self._program)

    @cached_property
    def _weight(self) -> int:
        """Of a sample, for whether to wake threads: `threads.SMALL` stands for `WAKE`."""
        return int(seconds(self._program) / WAKE * SMALL)

    def _ready(self) -> dict[str, Weights] | None:
        with self._lock:
            self._asked += 1
            program = self._program
            if self._asked == 2 and program.kernels == "fast":
                chain = made(program, whole=True)
                if chain is not None:
                    self._weights = chain.weights
                    self._free.append(Hand(program, chain.weights, {1: chain}))
            return self._weights


def made(program: Program, *, whole: bool, samples: int = 1, weights: dict[str, Weights] | None = None) -> Chain | None:
    """The chain of a program; None where it has none. Of real numbers there is one of one sample."""
    if program.integers:
        return cpu.chained(program, whole=whole, samples=samples, weights=weights)
    with around(program):
        return cpu.chained_real(program, whole=whole) if samples == 1 else None


def around(program: Program) -> AbstractContextManager[object]:
    """In what a chain runs: that of real numbers calls functions of torch's."""
    return nullcontext() if program.integers else _torch()


@contextmanager
def _torch() -> Iterator[None]:
    with no_lost_threads(), torch.inference_mode():
        yield


def joined(parts: list[list[Told]]) -> Told:
    """What chains told of some samples after the other, part by part."""
    outputs, spikes, totals = zip(*(told for part in parts for told in part), strict=True)
    return np.concatenate(outputs), sum(spikes), list(map(added, *totals))


def added(*totals: list[int]) -> list[int]:
    """What was counted in a layer, of several samples or steps together."""
    return [sum(kind) for kind in zip(*totals, strict=True)]


def recorded(
    program: Program, outputs: Array, spikes: Iterable[Counts], totals: Iterable[list[int]], begun: float
) -> Record:
    """What a chain says: the outputs [B, *output], spikes [T] of each layer and what was counted in it."""
    overflows = zip(program.layers, map(cpu.overflowed, totals), strict=True)
    return Record(
        target="integer" if program.integers else "reference",
        outputs=outputs,
        neurons=program.sizes,
        spike_counts=dict(zip(program.layers, spikes, strict=True)),
        overflows={name: kinds for name, kinds in overflows if kinds},
        seconds=time.perf_counter() - begun,
    )


def asks_more(request: Request) -> bool:
    """Whether somebody wants more than a chain says."""
    return bool(request.trains or request.membranes or request.events)
