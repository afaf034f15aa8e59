"""Threads for the compiled loops: as many as torch uses, on equal parts of a layer."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import torch

T = TypeVar("T")

SMALL = 1 << 15  #: elements below which handing work to a thread costs more than it saves (measured: about 30 us)


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="spikeport")


def over_parts(work: Callable[[int, int], T], count: int) -> list[T]:
    """``work(start, stop)`` for parts that cover range(count), at the same time; the results in order."""
    threads = torch.get_num_threads()
    if threads == 1 or count < SMALL:
        return [work(0, count)]
    edges = [count * part // threads // 64 * 64 for part in range(threads)] + [count]
    pool = _pool(os.getpid(), threads)  # a forked child gets its own
    futures = [pool.submit(work, a, b) for a, b in itertools.pairwise(edges[1:])]
    first = work(edges[0], edges[1])
    return [first, *(future.result() for future in futures)]
