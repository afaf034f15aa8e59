"""The pool of threads beside torch's own threads, settled and not: five networks, each way in a process of its own.

python tests/threads_speed.py --write docs/results/threads.md
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import bench_networks
from bench_record import processor
from spikeport import process
from spikeport.engine import run, simulate
from spikeport.engine.blocks import Blocks
from spikeport.engine.program import Program
from spikeport.files import write_text
from spikeport.formats import nir
from spikeport.graph import LIF, Array, Graph, Input, Readout, Real, Samples, Synapse
from spikeport.quantisation import quantize
from spikeport.target import Request
from spikeport.verbs.load import load_model

BATCH, ROUNDS, SECONDS = 64, 7, 0.5
WAYS = ("pool", "unsettled", "settled")
HEAD = """# The engine's threads

Written by `python tests/threads_speed.py --write docs/results/threads.md`. Milliseconds for a batch, the median of
{rounds} rounds, each in a process of its own that runs for half a second; the ways take turns. "Pool": the engine as a
program calls it, nothing set. "Unsettled": the whole batch on torch's own threads and those of the compiled loops, as
0.1 ran it in a notebook, with today's loops. "Settled": the same where torch's threads sleep while they wait
(OMP_WAIT_POLICY=PASSIVE) and freed memory is kept, as 0.1's commands ran it. Outputs are the same: integers to the bit,
real ones within 1e-3 of the largest. "Against the better": the time of the better of those two by the pool's; 0.95 and
more is asked for.

{where}

| network | arithmetic | batch | pool | unsettled | settled | against the better |
|---|---|---|---|---|---|---|
"""
FOOT = """
The ways of before run no prepared chains (`engine/chains.py`), as 0.1 had none: few samples were a batch. Where one of
those two is ahead, it is because torch's threads share one product there, and turn while they wait for the next. On a
machine that does nothing else this is the fastest; beside other programs it is not: one sample of 784-512-10, 0.5 ms,
took 147 ms so on two busy processors.
"""
BESIDE = "\n## Beside onnxruntime in one process\n"  #: from there on the page is `beside_speed`'s


def real(graph: Graph) -> Graph:
    """The real network of one of `bench_networks`: the same weights and thresholds."""

    def node(name: str) -> Any:
        other = graph.nodes[name]
        if isinstance(other, Synapse):
            return other.with_(weight=(other.weight * 2.0**other.exponent).astype(np.float32), exponent=0)
        if isinstance(other, LIF):
            theta, bias = np.asarray(other.threshold, np.float32), np.asarray(other.bias / 64, np.float32)
            return LIF(other.shape, np.float32(0.5), theta, bias=bias, compare=">")
        if isinstance(other, Readout):
            return Readout(other.shape, np.asarray(other.weight, np.float32))
        return Input(other.shape, other.coding) if isinstance(other, Input) else other

    return Graph({name: node(name) for name in graph.nodes}, graph.edges, graph.timesteps, Real())


def shipped(name: str) -> tuple[Graph, Graph, Array]:
    """A shipped model, its integers, and noise."""
    graph = load_model(name).graph
    steps = (graph.timesteps,) if graph.entry.coding == "events" else ()
    x = np.random.default_rng(0).random((*steps, BATCH, *graph.entry.shape)).astype(np.float32)
    return graph, quantize(graph, x, run=simulate, steps=()).graph, x


def random(graph: Graph) -> tuple[Graph, Graph, Array]:
    """A network of random weights."""
    return real(graph), graph, bench_networks.samples(graph, BATCH)


NETWORKS: dict[str, Callable[[], tuple[Graph, Graph, Array]]] = {
    "digits-conv": lambda: shipped("digits-conv"),
    "fmnist-conv": lambda: shipped("fmnist-conv"),
    "784-512-10": lambda: random(bench_networks.mlp()),
    "ResNet-19, a quarter": lambda: random(bench_networks.resnet19(width=32)),
    "vowels-recurrent": lambda: shipped("vowels-recurrent"),
}


def as_before() -> None:
    """Have the engine of this process compute batches on the threads of torch and of the loops."""

    def whole(program: Program, total: int, request: Request, kept: int, threads: int) -> Blocks:
        size = program.samples_at_once(total, request.memory, kept)
        return Blocks(size, 1, program.steps_at_once(size, request.memory))

    def here(work: Any, starts: range, together: int, next_one: Any, *, short: bool) -> Any:
        for start in starts:
            next_one()
            yield work(start)

    run.blocks, run.in_turn, run.reuse_freed_memory = whole, here, lambda: None
    run.Chains.record = lambda *_: None  # type: ignore[method-assign]  # few samples were a batch too


def measured(way: str, folder: Path) -> dict[str, float]:
    """Milliseconds of each network, arithmetic and batch in this process; outputs go to the folder."""
    if way != "pool":
        as_before()
    if way == "settled":
        process.keep_freed_memory()
    told = {}
    for key, graph, x in cases(NETWORKS, folder):
        engine, times = run.Engine(graph), []
        for _ in range(3):
            outputs = engine.simulate(x).outputs
        end = time.perf_counter() + SECONDS
        while len(times) < 3 or time.perf_counter() < end:
            begun = time.perf_counter()
            engine.simulate(x)
            times.append(1e3 * (time.perf_counter() - begun))
        np.save(folder / f"{key.replace('/', '.')}.{way}.npy", outputs)
        told[key] = statistics.median(times)
    return told


def lay_down(names: Iterable[str], folder: Path) -> None:
    """Write networks, real and in integers, and their samples."""
    for name in names:
        graph, integers, x = NETWORKS[name]()
        nir.write(graph, folder / f"{name}.real.nir")
        nir.write(integers, folder / f"{name}.integers.nir")
        np.save(folder / f"{name}.npy", x)


def cases(names: Iterable[str], folder: Path) -> Iterator[tuple[str, Graph, Array]]:
    """Of what was laid down each network, arithmetic and batch: its key, the graph and the samples."""
    for name in names:
        for kind in ("real", "integers"):
            graph, whole = nir.read(folder / f"{name}.{kind}.nir")[0], np.load(folder / f"{name}.npy")
            for batch in (1, BATCH):
                x = np.ascontiguousarray(Samples.of(graph, whole).cut(0, batch).array)
                yield f"{name}/{kind}/{batch}", graph, x


def alone(line: Sequence[str], **given: str) -> Any:
    """What a Python of its own prints in the end, as JSON; it has nothing of this one's settings of threads."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "MKL_"))}
    done = subprocess.run([sys.executable, *line], env=clean | given, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def child(way: str, folder: Path) -> dict[str, float]:
    """`measured` in a process of its own."""
    settled = {"OMP_WAIT_POLICY": "PASSIVE"} if way == "settled" else {}
    return alone([__file__, "--way", way, "--folder", str(folder)], **settled)


def same(key: str, folder: Path) -> None:
    """Assert that all ways have the same outputs."""
    pool, *others = (np.load(folder / f"{key.replace('/', '.')}.{way}.npy") for way in WAYS)
    for other in others:
        if "/integers/" in key:
            assert np.array_equal(pool, other), key
        else:
            assert np.abs(pool - other).max() <= 1e-3 * np.abs(other).max(), key


def rows(folder: Path, rounds: int) -> list[str]:
    """All ways, taking turns; the table."""
    lay_down(NETWORKS, folder)
    told: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            told[way].append(child(way, folder))
    lines = []
    for key in told["pool"][0]:
        same(key, folder)
        pool, *others = (statistics.median(each[key] for each in told[way]) for way in WAYS)
        name, kind, batch = key.split("/")
        cells = " | ".join(f"{each:.2f}" for each in (pool, *others))
        lines.append(f"| {name} | {kind} | {batch} | {cells} | {min(others) / pool:.2f} |")
        print(lines[-1], flush=True)
    return lines


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", type=Path)
    options.add_argument("--rounds", type=int, default=ROUNDS)
    options.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    order = options.parse_args()
    if order.way:
        print(json.dumps(measured(order.way, order.folder)))
        return
    with tempfile.TemporaryDirectory() as name:
        lines = rows(Path(name), order.rounds)
    if order.write:
        where = f"{processor()}, {process.processors()} processors, torch {torch.__version__}."
        beside = order.write.read_text("utf-8").partition(BESIDE)[1:] if order.write.exists() else ()
        head = HEAD.format(rounds=order.rounds, where=where)
        write_text(order.write, "".join((head, "\n".join(lines), "\n", FOOT, *beside)))


if __name__ == "__main__":
    main()
