"""Compiles the loops that networks usually need, once a machine: `spikeport doctor --prepare`.

What is compiled is kept on disk (`machine`). Each part runs small networks in a process of its own, side by side;
a loop for something rarer, say weights of more than 16 bits, is compiled where it is first needed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from spikeport.findings import fail
from spikeport.graph import LIF, LOIHI2, Array, Conv, Delay, Flatten, Graph, Input, Linear, Loihi, Node, Readout, Real
from spikeport.target import Request

STEPS = 2
Prepared = dict[str, float]  #: seconds that each part took, by its name


def prepare() -> Prepared:
    """Compile all parts, as many at a time as there are cores. Raises SP545 where one of them fails."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(pool.map(_in_a_child, PARTS))


def _in_a_child(name: str) -> tuple[str, float]:
    """The name of a part that was compiled, and the seconds it took."""
    begun = time.perf_counter()
    words = [sys.executable, "-m", "spikeport.engine.prepare", name]
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        mend = "SPIKEPORT_KERNELS=plain runs without them; report it with spikeport doctor"
        fail("SP545", f"the loops of {name!r} do not compile ({last})", mend=mend)
    return name, time.perf_counter() - begun


def networks(kind: str, *, integers: bool) -> Iterator[Graph]:
    """Small ones: matrices, maps of 16, 32 and 64 channels, or neurons that feed back."""
    if kind == "cycle":
        yield _cycle(integers)
        return
    for channels in (16, 32, 64) if kind == "map" else (40,):
        shape = (2, 6, 6) if kind == "map" else (64,)
        first: dict[str, Node]
        if kind == "map":
            sizes = ((channels, 2, 3, 3), (channels, channels, 3, 3))
            weights = [_weight(size, integers) for size in sizes]
            first = {"a": Conv(weights[0], padding=(1, 1)), "s": _lif((channels, 6, 6), integers)}
            first |= {
                "b": Conv(weights[1], stride=(2, 2), padding=(1, 1)),
                "t": _lif((channels, 3, 3), integers),
                "flat": Flatten(),
            }
            width = channels * 9
        else:
            first = {"a": Linear(_weight((channels, 64), integers)), "s": _lif((channels,), integers)}
            width = channels
        last = {"c": Linear(_weight((10, width), integers)), "out": _readout(integers)}
        entry = Input(shape, "events", low=0, high=1) if integers else Input(shape, "events")
        yield Graph.chain({"in": entry, **first, **last}, STEPS, arithmetic=Loihi(LOIHI2) if integers else Real())


def _cycle(integers: bool) -> Graph:
    nodes: dict[str, Node] = {
        "in": Input((8,), "events", low=0, high=1) if integers else Input((8,), "events"),
        "a": Linear(_weight((16, 8), integers)),
        "s": _lif((16,), integers),
        "past": Delay((16,)),
        "back": Linear(_weight((16, 16), integers)),
        "c": Linear(_weight((10, 16), integers)),
        "out": _readout(integers),
    }
    edges = (("in", "a"), ("a", "s"), ("s", "past"), ("past", "back"), ("back", "s"), ("s", "c"), ("c", "out"))
    return Graph(nodes, edges, STEPS, arithmetic=Loihi(LOIHI2) if integers else Real())


def _weight(shape: tuple[int, ...], integers: bool) -> Array:
    value = np.random.default_rng(0).integers(-9, 12, shape)
    return value.astype(np.int8) if integers else (value / 8).astype(np.float32)


def _lif(shape: tuple[int, ...], integers: bool) -> LIF:
    if integers:
        return LIF(shape, np.asarray(3000), np.full(STEPS, 20, np.int64), compare=">", reset="subtract")
    return LIF(shape, np.asarray(0.75, np.float32), np.ones(STEPS, np.float32))


def _readout(integers: bool) -> Readout:
    return Readout((10,), np.ones(STEPS, np.int64 if integers else np.float32))


def compiles(kind: str, *, integers: bool) -> Callable[[], None]:
    """A part: networks run on few events and on many, with everything that a record may hold."""

    def run() -> None:
        from spikeport.engine.run import Engine

        for graph in networks(kind, integers=integers):
            engine = Engine(graph, kernels="fast", steps=1)
            for share in (0.05, 1.0):
                x = (np.random.default_rng(0).random((STEPS, 3, *graph.entry.shape)) < share).astype(np.float32)
                for asked in (Request(), Request(trains=True, membranes=True, events=True)):
                    engine.simulate(x, asked)
                    Engine(graph, kernels="fast").simulate(x, asked)

    return run


PARTS = {
    f"{kind} of {'integers' if integers else 'real numbers'}": compiles(kind, integers=integers)
    for kind in ("map", "matrix", "cycle")
    for integers in (True, False)
}


if __name__ == "__main__":
    PARTS[sys.argv[1]]()
