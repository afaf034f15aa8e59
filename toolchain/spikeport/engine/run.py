"""Runs a Graph in batches."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from spikeport.engine import brief, build, cuda, enter
from spikeport.engine.batch import Run
from spikeport.engine.blocks import Blocks, blocks
from spikeport.engine.chains import Chains
from spikeport.engine.devices import whole_factors
from spikeport.engine.program import Kernels, Program
from spikeport.engine.repeated import Repeats
from spikeport.graph import LIF, Array, Graph, Range, Samples
from spikeport.process import reuse_freed_memory
from spikeport.record import Record, join
from spikeport.target import Request
from spikeport.threads import available, in_turn, no_lost_threads

CUTS = 64  #: kinds of requests whose blocks are remembered


def simulate(
    graph: Graph, samples: Array, request: Request = Request(), device: str = "cpu", kernels: Kernels | None = None
) -> Record:
    """Run ``samples`` ([B, *input], or [T, B, *input] for event frames) and record what happened.

    Real arithmetic runs in the graph's float type, Loihi arithmetic in exact integers. Integers are the same to the bit
    whatever the batch size, device, number of threads and kernels. ``request.batch`` sets how many samples run at once,
    or ``request.memory`` how many bytes their values may take; a long sample is cut into blocks of steps.

    Raises SP502 for input of the wrong shape or type, SP504 for input beyond what the integers were made for, SP509 for
    integers that may grow too large, SP512 past ``request.seconds``, which is looked at between batches.
    """
    return Engine(graph, device, kernels or brief.kernels(graph, samples, device)).simulate(samples, request)


@dataclass(frozen=True, eq=False)
class Made:
    """What was prepared for inputs in a range, None of real numbers."""

    entering: Any
    program: Program
    repeats: Repeats
    chains: Chains
    cuts: dict[object, Blocks] = field(default_factory=dict)  #: by kinds of requests


class Engine:
    """A graph and what was prepared to run it, for callers that run it more than once."""

    def __init__(
        self, graph: Graph, device: str = "cpu", kernels: Kernels | None = None, steps: int | None = None
    ) -> None:
        """``steps`` at once, or as many as the memory for their values holds."""
        reuse_freed_memory()
        self.graph = graph
        self.steps = steps
        self.device = device
        self.kernels: Kernels = kernels or build.kernels_here(device)
        self._made: Made | None = None

    def simulate(self, samples: Array, request: Request = Request()) -> Record:
        """As the function of this name."""
        away = self.device != "cpu" or self.kernels == "triton"
        with no_lost_threads():
            entering, ends = enter.check(self.graph, samples, pack=away, loops=self.kernels != "plain")
        made = self._for(ends)
        batch = partial(self._in_blocks, made)
        if self.steps is None and (record := made.chains.record(entering, request, batch)):
            request.progress(entering.number, entering.number)
            return record
        return batch(entering, request)

    def _in_blocks(self, made: Made, entering: Samples, request: Request) -> Record:
        total, ready = entering.number, made.program
        cut = self._cut(made, total, request)
        shapes = {name: self.graph.shapes[name] for name in self.graph.outputs}
        outputs = {name: np.empty((total, *shape), ready.leaving) for name, shape in shapes.items()}
        records: list[Record] = []
        begun = last = time.perf_counter()

        def next_one() -> None:
            request.check_time(begun, min(len(records) * cut.size, total), total)

        launched = partial(self._launched, made, entering, outputs, request, cut)
        whole = cut.size >= total
        if ready.ahead:
            parts = _read_later(launched, range(0, total, cut.size), ready.ahead, next_one, whole=whole)
        else:
            starts = range(0, total, cut.size)
            parts = in_turn(
                lambda start: launched(start).record(whole=whole), starts, cut.together, next_one, short=cut.short
            )
        for record in parts:
            now, last = last, time.perf_counter()
            records.append(replace(record, seconds=last - now, findings=made.repeats.findings() if whole else ()))
            request.progress(min(len(records) * cut.size, total), total)
        if len(records) == 1:
            return records[0]
        notes = made.repeats.findings()
        first = outputs.pop(self.graph.output)
        return replace(join(records), outputs=first, further=outputs, findings=notes)

    def _cut(self, made: Made, total: int, request: Request) -> Blocks:
        """The blocks of so many samples, estimated once for a kind of request."""
        kept, threads = kept_bytes(self.graph, request), available()
        kind = total, request.batch, request.memory, kept, threads
        cut = made.cuts.get(kind)
        if cut is None:
            if len(made.cuts) == CUTS:
                made.cuts.clear()
            cut = blocks(made.program, total, request, kept, threads)
            cut = made.cuts[kind] = replace(cut, steps=self.steps or cut.steps)
        return cut

    def _launched(
        self, made: Made, entering: Samples, outputs: Mapping[str, Array], request: Request, cut: Blocks, start: int
    ) -> Run:
        """The block that begins with a sample, on its way; its part of the outputs comes with `Run.record`."""
        some = slice(start, start + cut.size)
        with torch.inference_mode(), whole_factors(self.device):
            here = {name: array[some] for name, array in outputs.items()}
            return made.repeats.launched(entering.cut(some.start, some.stop), here, request, cut.steps)

    def ready(self, entering: Range | None) -> Program:
        """The program for inputs in a range; made anew only where the range grows."""
        return self._for(entering).program

    def _for(self, entering: Range | None) -> Made:
        """What serves a range. Whoever runs keeps what it got, while another thread may ask for a wider one."""
        made = self._made
        if made is None or (entering != made.entering and made.entering | entering != made.entering):
            entering = entering if made is None else made.entering | entering
            with no_lost_threads():
                program = build.build(self.graph, self.device, self.kernels, entering)
            recorder = cuda.recorder_for(self.device) if self.kernels == "triton" else None
            made = self._made = Made(entering, program, Repeats(program, recorder), Chains(program))
        return made

    @property
    def _program(self) -> Program | None:
        return None if self._made is None else self._made.program

    @property
    def _chains(self) -> Chains | None:
        return None if self._made is None else self._made.chains


def _read_later(
    launched: Callable[[int], Run], starts: range, ahead: int, next_one: Callable[[], None], *, whole: bool
) -> Iterator[Record]:
    """The records of blocks of which ``ahead`` are launched before the first is read."""
    waiting: deque[Run] = deque()
    for start in starts:
        next_one()
        waiting.append(launched(start))
        if len(waiting) > ahead:
            yield waiting.popleft().record(whole=whole)
    while waiting:
        yield waiting.popleft().record(whole=whole)


def kept_bytes(graph: Graph, request: Request) -> int:
    """Bytes of one sample that stay until all its steps are done: a bit a spike, eight bytes a membrane."""
    if not (request.trains or request.membranes):
        return 0
    return sum(
        node.timesteps * (request.keeps_train(name) * -(-node.size // 8) + 8 * node.size * request.keeps_membrane(name))
        for name, node in graph.nodes_of(LIF).items()
    )
