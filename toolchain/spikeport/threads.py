"""Threads for compiled loops that release the interpreter's lock: as many as torch uses, on equal parts of the work."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

T = TypeVar("T")

SMALL = 1 << 18  #: elements below which handing work to a thread costs more than it saves (about 100 us)


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="spikeport")


def over_parts(work: Callable[[int, int], T], count: int, *, step: int = 64, weight: int = 1) -> list[T]:
    """``work(start, stop)`` for parts that cover range(count), at the same time; the results in order.

    Parts start at multiples of ``step``; ``weight`` is how many elements stand behind each of the ``count``.
    """
    threads = torch.get_num_threads()
    if threads == 1 or count * weight < SMALL or count <= step:
        return [work(0, count)]
    edges = [0, *(count * part // threads // step * step for part in range(1, threads)), count]
    parts = [(a, b) for a, b in itertools.pairwise(edges) if a < b]
    pool = _pool(os.getpid(), threads)  # a forked child gets its own
    futures = [pool.submit(work, a, b) for a, b in parts[1:]]
    return [work(*parts[0]), *(future.result() for future in futures)]
