"""The pool of threads: compiled loops and torch's operations release the interpreter's lock, and run side by side.

Inside the pool torch computes with one thread, so that none of its own waits there turning, which takes a core from
others, or is waited for while others have the core: beside other programs that may take a hundred times as long. What
is done to make it so reaches no thread of a caller: the number that it has told torch stays, for it and for those to
come. Work that is done soon after a thread of the pool would be awake stays in its caller's, where torch has one thread
for so long.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from contextvars import copy_context
from functools import cache
from typing import TypeVar

import torch

from spikeport.process import processors

T = TypeVar("T")


class Unwanted(BaseException):
    """Nobody waits any more for what a thread of the pool computes."""


class _Here(threading.local):
    spare = 0  #: threads that work of this one may take for its parts; 0 outside of the pool
    over: threading.Event | None = None  #: set where nobody waits any more


_here = _Here()


class _Process:
    forked = False  #: a child without the threads of the one it was forked from


if hasattr(os, "register_at_fork"):  # where processes fork
    os.register_at_fork(after_in_child=lambda: setattr(_Process, "forked", True))

SMALL = 1 << 18  #: elements below which handing work to a thread costs more than it saves (about 100 us)


def available() -> int:
    """How many threads may compute: as many as torch was told to use, and as this process has processors."""
    return max(1, min(torch.get_num_threads(), processors()))


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """All its threads begin now: a thread that first meets torch while one begins would keep one thread, too."""
    pool = ThreadPoolExecutor(threads, "spikeport", _one_thread, (_beginning(process),))
    begun = threading.Barrier(threads + 1)
    try:
        for _ in range(threads):
            pool.submit(begun.wait)
        begun.wait()
    except BaseException:  # Ctrl-C, or no more threads: nobody keeps waiting
        begun.abort()
        pool.shutdown(wait=False)
        raise
    return pool


@cache
def _beginning(process: int) -> threading.Lock:
    """Of all pools of a process: two threads that began at the same time would put back each other's number."""
    return threading.Lock()


def _one_thread(beginning: threading.Lock) -> None:
    """Have torch compute with one thread in this one.

    torch keeps a number for each thread, and one for those that have none yet, which `torch.set_num_threads` changes
    too: another thread puts that one back.
    """
    _here.spare = 1
    with beginning:
        others = torch.get_num_threads()  # a thread that is new to torch takes the number of those
        torch.set_num_threads(1)
        back = threading.Thread(target=torch.set_num_threads, args=(others,))
        back.start()
        back.join()


def over_parts(work: Callable[[int, int], T], count: int, *, step: int = 64, weight: int = 1) -> list[T]:
    """``work(start, stop)`` for parts that cover range(count), at the same time; the results in order.

    Parts start at multiples of ``step``; ``weight`` is how many elements stand behind each of the ``count``. Within
    the pool other threads take part only where all of it has but this one to do.
    """
    if count * weight < SMALL or count <= step or (threads := _here.spare or available()) == 1:
        return [work(0, count)]
    edges = [0, *(count * part // threads // step * step for part in range(1, threads)), count]
    parts = [(a, b) for a, b in itertools.pairwise(edges) if a < b]
    pool = _pool(os.getpid(), threads)
    others = [(part, pool.submit(work, *part)) for part in parts[1:]]
    first = work(*parts[0])
    # what nobody has begun is done here, so that threads never wait for each other
    return [first, *(work(*part) if future.cancel() else future.result() for part, future in others)]


@contextmanager
def _torch_alone(spare: int) -> Iterator[None]:
    """Have torch compute with one thread in this one, whose parts take up to ``spare``, for a moment.

    A thread that first meets torch in that moment keeps one thread, as torch has one number for all that are to come.
    """
    before = torch.get_num_threads()
    try:
        _here.spare = spare
        torch.set_num_threads(1)
        yield
    finally:
        torch.set_num_threads(before)
        _here.spare = 0


@contextmanager
def torch_alone() -> Iterator[None]:
    """Have torch compute with one thread in this one for a moment, whose parts may take the others."""
    with _torch_alone(available()) if torch.get_num_threads() > 1 else nullcontext():
        yield


@contextmanager
def no_lost_threads() -> Iterator[None]:
    """Have torch compute with one thread for a moment in a forked child.

    OpenMP's threads stayed behind in the parent, and torch would wait for them without end. Those of the pool are the
    child's own.
    """
    with _torch_alone(1) if _Process.forked else nullcontext():
        yield


def in_turn(
    work: Callable[[int], T], starts: range, together: int, next_one: Callable[[], None], *, short: bool = False
) -> Iterator[T]:
    """``work(start)`` for each of ``starts``, up to ``together`` of them at the same time; the results in order.

    All in the pool, unless torch has but one thread here, or there is one start whose work is ``short``. ``next_one()``
    is called here before a start is handed out. What one of them raises, the first in their order, is raised here, as
    is what ends this one: those that wait are then left undone, and those that run end at `still_wanted`.
    """
    if torch.get_num_threads() == 1:
        for start in starts:
            next_one()
            yield work(start)
        return
    threads = available()
    if short and len(starts) == 1:
        next_one()
        with _torch_alone(threads):
            result = work(starts[0])
        yield result
        return
    pool, spare = _pool(os.getpid(), threads), threads if len(starts) == 1 else 1
    waiting: deque[Future[T]] = deque()
    over = threading.Event()
    try:
        for start in starts:
            if len(waiting) == together:
                yield waiting.popleft().result()
            next_one()
            waiting.append(pool.submit(copy_context().run, _in_pool, spare, over, work, start))
        while waiting:
            yield waiting.popleft().result()
    finally:
        over.set()
        for future in waiting:
            future.cancel()


def _in_pool(spare: int, over: threading.Event, work: Callable[[int], T], start: int) -> T:
    """``work(start)``, for whose parts so many threads are spare."""
    _here.spare, _here.over = spare, over
    try:
        return work(start)
    finally:
        _here.spare, _here.over = 1, None


def still_wanted() -> None:
    """Raise `Unwanted` where nobody waits any more for the block of this thread: long work asks now and then."""
    if _here.over is not None and _here.over.is_set():
        raise Unwanted
