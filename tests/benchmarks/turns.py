"""A tool's turn: runs of one process, for as long as the caches take to be its own again."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

TURN = 0.05  #: seconds, that runs of one tool fill before the next has its turn
Run = Callable[[], Any]


def timed(run: Run) -> None:
    """A turn for each line that comes."""
    for _ in sys.stdin:
        print(json.dumps(turn(run)), flush=True)


def turn(run: Run) -> tuple[float, float]:
    """Seconds of one run, and the processor's.

    Other tools had the caches since the turn before: the first run of a turn is not counted, unless it fills the turn.
    """
    seconds = repeated(run, 1)
    return seconds if seconds[0] >= TURN else repeated(run, math.ceil(TURN / seconds[0]))


def repeated(run: Run, times: int) -> tuple[float, float]:
    """Seconds a run, and the processor's."""
    clock, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        run()
    return (time.perf_counter() - clock) / times, (time.process_time() - cpu) / times
