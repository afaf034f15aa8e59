"""How the samples of a run are cut into blocks, which threads of the pool take at the same time.

A block costs Python what a batch costs, and one thread at a time holds Python's lock: P blocks of work that takes C in
all, and for which Python takes h each, end after about ``C / P + P h``, and later by what it takes to wake threads that
sleep if there are several. The P that makes this least is taken, up to as many as there are threads. Integers are the
same whatever is taken. Real sums may round in another order in a product of another size, so that there the blocks are
the same whatever the number of threads: that of `FIXED` which is least for two threads and for four, taken together.
C and h are estimates from the graph, never measured, so that no bit depends on a clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spikeport.engine.program import Program
from spikeport.target import Request

FIXED = (1, 2, 4)  #: blocks of real numbers, on any number of threads: what is best for two and four together
# seconds of a core with AVX512-VNNI, measured on five networks (tests/threads_speed.py); their ratios are what counts
NODE = 1e-4  #: of Python for a node
UPDATE = 2e-9  #: of a neuron's step
WAKE = 1e-3  #: until threads of the pool are at work, on a virtual machine a quarter of what a small batch takes
SHORT = 8e-3  #: where to wake one would add 3 to 20 %: about twice what so much takes, most of it being Python
INTEGER, REAL = 6e-12, 7e-12  #: of a multiply-add, a seventh of the inputs fires


@dataclass(frozen=True)
class Blocks:
    """Samples in a block, blocks at the same time, steps of a block that run together, and whether that is little."""

    size: int
    together: int
    steps: int
    short: bool = False  #: one block, done soon after a thread of the pool would be awake


def blocks(program: Program, total: int, request: Request, kept: int, threads: int) -> Blocks:
    """The blocks of ``total`` samples, of each of which ``kept`` bytes stay until its block is done.

    What the request allows at once, ``batch`` samples or ``memory`` bytes, it allows all threads together.
    """
    most = min(request.batch or program.samples_at_once(total, request.memory, kept), program.most_samples)
    if program.ahead or not total:
        return Blocks(most, 1, program.steps_at_once(most, request.memory))
    once = min(most, total)
    numbers, busy = (range(1, threads + 1), (threads,)) if program.integers else (FIXED, FIXED[1:])
    size = -(-once // worth(program, once, numbers, busy))
    limited = request.batch is not None or request.memory is not None
    together = max(1, min(threads, most // size)) if limited else threads
    short = size >= total and total * seconds(program) + overhead(program) < SHORT
    return Blocks(size, together, program.steps_at_once(once if limited else size, request.memory), short)


def worth(program: Program, samples: int, numbers: Sequence[int], threads: Sequence[int]) -> int:
    """In which of these ``numbers`` of blocks, from one on, some samples are soonest done, all ``threads`` together."""
    alone, python = samples * seconds(program), overhead(program)

    def taken(parts: int, threads: int) -> float:
        return alone / parts * -(-parts // threads) + parts * python + WAKE * (parts > 1)

    some = [parts for parts in numbers if parts <= samples]
    return min(some, key=lambda parts: sum(taken(parts, each) for each in threads))


def seconds(program: Program) -> float:
    """About how long one thread computes one sample."""
    product = INTEGER if program.integers else REAL
    return program.graph.timesteps * (program.products * product + program.updates * UPDATE)


def overhead(program: Program) -> float:
    """About how long Python takes for a batch, whatever its size: for each node, in a cycle at each step."""
    return NODE * program.calls
