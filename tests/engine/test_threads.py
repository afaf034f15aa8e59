"""Threads of the pool: no bit depends on their number, nothing of the caller's changes, and what ends a run travels."""

from __future__ import annotations

import os
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from bench_networks import recurrent
from equal_records import ALL, same
from random_graphs import random_graph
from spikeport import process, threads
from spikeport.engine import blocks, simulate
from spikeport.engine.run import Engine
from spikeport.graph import Range
from spikeport.target import Request

MANY = 5


@pytest.fixture
def pool(monkeypatch):
    """As many threads as asked for, and a block for each of them, however small."""
    monkeypatch.setattr(threads, "processors", lambda: MANY)
    monkeypatch.setattr(blocks, "NODE", 0.0)
    monkeypatch.setattr(blocks, "WAKE", 0.0)
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("integers", [True, False])
@pytest.mark.parametrize("seed", [4, 11])
def test_no_bit_depends_on_the_number_of_threads(pool, seed, integers):
    """Outputs, trains, membranes, events and overflows; of integers also whatever the batch."""
    graph, samples = random_graph(seed, integers=integers, batch=11)
    for batch in (None, 4):
        asked = Request(trains=True, membranes=True, events=True, batch=batch)
        pool(1)
        alone = simulate(graph, samples, asked)
        for number in (2, MANY):
            pool(number)
            same(simulate(graph, samples, asked), alone)
        if integers:
            same(simulate(graph, samples, ALL), alone)


@pytest.mark.parametrize("integers", [True, False])
def test_no_bit_of_a_recurrent_network_depends_on_the_number_of_threads(pool, integers):
    graph = recurrent(6, 32, integers=integers)
    samples = (np.random.default_rng(1).random((6, 7, 40)) < 0.2).astype(np.float32)
    pool(1)
    alone = simulate(graph, samples, ALL)
    assert alone.outputs.any()
    pool(3)
    same(simulate(graph, samples, ALL), alone)


def test_blocks_are_computed_side_by_side_by_torch_on_one_thread_and_leave_its_number_to_others(pool):
    pool(3)
    meeting = threading.Barrier(3, timeout=20)

    def work(start):
        meeting.wait()
        return start, torch.get_num_threads(), threading.current_thread() is threading.main_thread()

    assert list(threads.in_turn(work, range(3), 3, lambda: None)) == [(each, 1, False) for each in range(3)]
    others = []
    fresh = threading.Thread(target=lambda: others.append(torch.get_num_threads()))
    fresh.start()
    fresh.join()
    assert others == [torch.get_num_threads()] == [3]


def test_threads_of_two_pools_that_begin_at_the_same_time_leave_the_number_as_it_was(pool, monkeypatch):
    """One is held where it has told torch one thread, and not put back the number: the other waits for it."""
    pool(3)
    held, told, real = threading.Event(), [], torch.set_num_threads

    def slowly(number):
        real(number)
        told.append(number)
        if told == [1]:
            held.wait(0.3)

    monkeypatch.setattr(torch, "set_num_threads", slowly)
    threads._pool.cache_clear()
    with ThreadPoolExecutor(2) as makers:
        pools = list(makers.map(threads._pool, [os.getpid()] * 2, (2, 4)))
    assert [len(each._threads) for each in pools] == [2, 4]  # all have begun
    assert told == [1, 3] * 6
    with ThreadPoolExecutor(1) as fresh:
        assert fresh.submit(torch.get_num_threads).result(20) == 3
    for each in pools:
        assert each.submit(torch.get_num_threads).result(20) == 1
        each.shutdown()
    threads._pool.cache_clear()


def test_a_pool_whose_threads_cannot_all_begin_leaves_none_that_waits(pool, monkeypatch):
    real, begun = threading.Thread.start, []

    def start(thread):
        if thread.name.startswith("spikeport"):
            begun.append(thread)
            if len(begun) == 3:
                raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    threads._pool.cache_clear()
    with pytest.raises(RuntimeError, match="new thread"):
        threads._pool(os.getpid(), 4)
    for thread in begun[:2]:
        thread.join(20)
        assert not thread.is_alive()


def test_the_first_error_in_the_order_of_the_blocks_travels_and_those_that_wait_are_left_undone(pool):
    pool(2)
    done, late = [], threading.Event()

    def work(start):
        if start == 1:
            late.wait(20)
            raise ValueError("the first")
        if start == 2:
            late.set()
            raise OSError("earlier, but behind it")
        done.append(start)
        return start

    results = threads.in_turn(work, range(100), 3, lambda: None)
    assert next(results) == 0
    with pytest.raises(ValueError, match="the first"):
        list(results)
    assert len(done) < 5


def test_a_single_block_has_the_other_threads_for_its_parts_and_never_waits_for_one_that_is_busy(pool, monkeypatch):
    pool(3)
    monkeypatch.setattr(threads, "SMALL", 0)

    def parted(start):
        return threads.over_parts(lambda a, b: (a, b, threading.get_ident()), 90, step=1)

    (alone,) = threads.in_turn(parted, range(1), 1, lambda: None)
    assert [part[:2] for part in alone] == [(0, 30), (30, 60), (60, 90)]
    for parts in threads.in_turn(parted, range(4), 3, lambda: None):
        assert [part[:2] for part in parts] == [(0, 90)]

    meeting, results = threading.Barrier(3, timeout=20), []

    def met(start):
        meeting.wait()  # every thread of the pool has begun a block
        return parted(start)

    def run():
        results.extend(threads.in_turn(met, range(1), 1, lambda: None))

    runs = [threading.Thread(target=run) for _ in range(3)]
    for each in runs:
        each.start()
    for each in runs:
        each.join(30)
    assert [[part[:2] for part in parts] for parts in results] == [[(0, 30), (30, 60), (60, 90)]] * 3


def test_short_work_stays_in_the_thread_of_its_caller_with_torch_at_one(pool):
    pool(3)

    def work(start):
        parts = threads.over_parts(lambda a, b: (a, b), 3, step=1, weight=threads.SMALL)
        return threading.get_ident(), torch.get_num_threads(), parts

    def fails(start):
        raise ValueError("so")

    here = threading.get_ident()
    assert list(threads.in_turn(work, range(1), 3, lambda: None, short=True)) == [(here, 1, [(0, 1), (1, 2), (2, 3)])]
    with pytest.raises(ValueError, match="so"):
        list(threads.in_turn(fails, range(1), 3, lambda: None, short=True))
    assert torch.get_num_threads() == 3
    (elsewhere,) = threads.in_turn(work, range(1), 3, lambda: None)
    assert elsewhere[0] != here


def test_what_nobody_waits_for_ends_between_two_nodes(pool):
    """As where the caller is interrupted (`cli/test_interrupt.py`)."""
    pool(2)
    ended = []
    both = threading.Barrier(2, timeout=20)

    def long(start):
        both.wait()
        if start == 0:
            raise KeyboardInterrupt
        try:
            while True:
                threads.still_wanted()
        finally:
            ended.append(start)

    with pytest.raises(KeyboardInterrupt):
        list(threads.in_turn(long, range(9), 2, lambda: None))
    free = threading.Barrier(2, timeout=20)
    list(threads.in_turn(lambda start: free.wait(), range(2), 2, lambda: None))  # both threads are free again
    assert ended == [1]


@pytest.mark.parametrize("integers", [True, False])
def test_a_forked_child_has_a_pool_of_its_own(pool, integers):
    """The threads of its parent are not there: neither the pool's nor those that torch shares its operations with."""
    pool(2)
    graph, samples = random_graph(4, integers=integers, batch=6)
    torch.ones(1 << 17).mul_(2).max()  # the parent's torch has begun its threads
    here = simulate(graph, samples, ALL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's, of threads and forks
        child = os.fork()
    if child == 0:
        signal.alarm(30)
        status = 1
        try:
            same(simulate(graph, samples, ALL), here)
            status = 0 if torch.get_num_threads() == 2 else 2
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


def test_blocks_at_the_same_time_share_what_the_request_allows(pool):
    """However many threads there are: ``batch`` samples, or the bytes of ``memory``, and no more."""
    graph, _ = random_graph(4, integers=True)
    program = Engine(graph).ready(Range(0, 1))
    for limit in ({"batch": 10}, {"memory": 10 * program.bytes}):
        cut = blocks.blocks(program, 40, Request(**limit), 0, 4)
        assert cut.size * cut.together <= 10
        assert cut.together > 1
    assert blocks.blocks(program, 40, Request(memory=1), 0, 4) == blocks.Blocks(1, 1, 1)
    assert blocks.blocks(program, 40, Request(), 0, 4).together == 4


def test_the_number_of_blocks_is_that_of_the_least_time(monkeypatch):
    """12 ms of work, 1 ms of Python a block, 1 ms to wake: 13, 9, 8, 8, ...; with 4 ms 16, 15, 17; with 6 ms 18, 19."""
    monkeypatch.setattr(blocks, "WAKE", 0.001)
    program = Engine(random_graph(4, integers=True)[0]).ready(Range(0, 1))
    monkeypatch.setattr(blocks, "seconds", lambda program: 0.001)
    for python, parts in ((0.001, 3), (0.004, 2), (0.006, 1)):
        monkeypatch.setattr(blocks, "overhead", lambda program, python=python: python)
        assert blocks.worth(program, 12, range(1, 9), (8,)) == parts
    monkeypatch.setattr(blocks, "overhead", lambda program: 0.0)
    assert blocks.worth(program, 12, (1, 2), (2,)) == 2
    assert blocks.worth(program, 3, range(1, 9), (8,)) == 3


@pytest.mark.parametrize(("python", "samples", "parts"), [(0.0, 12, 4), (0.0, 3, 2), (0.001, 12, 2), (0.008, 12, 1)])
def test_real_numbers_have_blocks_that_serve_two_and_four_threads(monkeypatch, python, samples, parts):
    """12 ms of work, 1 ms to wake: one, two and four blocks take 12, 7, 7 ms on two threads and 12, 7, 4 on four; with
    1 ms of Python a block 13, 9, 11 and 13, 9, 8; with 8 ms 20, 23, 39 and 20, 23, 36."""
    monkeypatch.setattr(blocks, "WAKE", 0.001)
    monkeypatch.setattr(blocks, "seconds", lambda program: 0.001)
    monkeypatch.setattr(blocks, "overhead", lambda program: python)
    assert blocks.worth(None, samples, (1, 2, 4), (2, 4)) == parts


@pytest.mark.parametrize(("quota", "count"), [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("", 8)])
def test_processors_are_those_of_the_control_group(monkeypatch, tmp_path, quota, count):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(process, "QUOTA", tmp_path / "cpu.max")
    assert process.processors() == count
