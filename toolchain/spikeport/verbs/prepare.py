"""Compiles the loops that networks usually need, once a machine: `spikeport doctor --prepare`.

What is compiled is kept on disk (`machine`). Each part runs a small network; the parts are dealt out to this process
and to others beside it, as many as there are cores. A loop for something rarer, say neurons with a synaptic current, is
compiled where it is first needed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import numpy as np

from spikeport import ahead
from spikeport.findings import SpikeportError, fail
from spikeport.graph import (
    LIF,
    LOIHI2,
    Array,
    Conv,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Loihi,
    Node,
    Pool,
    Readout,
    Real,
)
from spikeport.process import loading
from spikeport.target import Request

STEPS = 2
REST = 1.0  #: seconds that this process takes for the rest of what `spikeport doctor` says
Prepared = dict[str, float]  #: seconds that each part took, by its name
COUNTED = Request(events=True)
EVERYTHING = Request(trains=True, membranes=True, events=True)
Numbers = Literal["integers", "float32", "float64"]


@dataclass(frozen=True)
class Part:
    """Networks whose loops are compiled by running them."""

    #: "map", "matrix", "cycle"; "still": a frame, spikes read out; "single": such, one by one; "trained": for a step
    kinds: tuple[str, ...]
    numbers: Numbers
    share: float  #: of the inputs that are events: few are added, many are multiplied
    asked: Request  #: of the first of them
    seconds: float  #: about so many, by which parts are dealt out

    def compile(self) -> float:
        """Run them; the seconds that it took."""
        begun = time.perf_counter()
        with loading():
            for kind in self.kinds:
                self._run(kind, self.asked if kind == self.kinds[0] else Request())
        return time.perf_counter() - begun

    def _run(self, kind: str, asked: Request) -> None:
        if kind == "trained":
            _train()
            return
        from spikeport.engine.run import Engine

        graph, random = network(kind, self.numbers), np.random.default_rng(0)
        engine = Engine(graph, kernels="fast")
        if kind == "single":
            for type_ in (np.float32, np.uint8):  # the engine prepares for single samples at the second one
                engine.simulate(np.ones((1, *graph.entry.shape), type_), asked)
        else:
            frames = (STEPS,) if graph.entry.coding == "events" else ()
            x = random.random((*frames, 3, *graph.entry.shape)) < self.share
            engine.simulate(x.astype(np.float32 if self.numbers == "integers" else self.numbers), asked)


#: no two of them compile the same, so that none waits for another or does its work again; the longest first
PARTS = {
    "events": Part(("map", "still", "single"), "integers", 0.05, COUNTED, 8.0),
    "real numbers": Part(("matrix", "cycle", "map"), "float32", 0.05, Request(), 3.2),
    "integers": Part(("matrix", "cycle"), "integers", 1.0, EVERYTHING, 2.2),
    "double precision": Part(("map",), "float64", 0.05, Request(), 2.0),
    "training": Part(("trained",), "float32", 1.0, Request(), 2.0),
}


def prepare() -> Prepared:
    """Compile all parts, as many at a time as there are cores. Raises SP545 where one of them fails."""
    own, *others = dealt(os.cpu_count() or 1)
    with ExitStack() as stack:
        children = [_started(names, stack) for names in others]
        seconds = {name: _here(name) for name in own}
        for names, child in zip(others, children, strict=True):
            seconds |= _read(names, child)
    ahead.compiled()
    return {name: seconds[name] for name in PARTS}


def dealt(processes: int) -> list[list[str]]:
    """The names of the parts, for at most so many processes: each to the one that has least to do."""
    hands: list[list[str]] = [[] for _ in range(min(processes, len(PARTS)))]
    seconds = [REST, *(0.0 for _ in hands[1:])]  # of this process, and of the others
    for name in sorted(PARTS, key=lambda name: -PARTS[name].seconds):
        least = seconds.index(min(seconds))
        hands[least].append(name)
        seconds[least] += PARTS[name].seconds
    return hands


def _started(names: list[str], stack: ExitStack) -> subprocess.Popen[str]:
    """A process that compiles some parts, until the stack is left."""
    words = [sys.executable, "-m", "spikeport.verbs.prepare", *names]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    stack.enter_context(child)
    stack.callback(child.kill)
    return child


def _here(name: str) -> float:
    """A part that is compiled in this process."""
    try:
        return PARTS[name].compile()
    except SpikeportError:
        raise
    except Exception as error:
        _failed(name, str(error))


def _read(names: list[str], child: subprocess.Popen[str]) -> Prepared:
    """What a child says: a line for each part, until one of them fails."""
    out, errors = child.communicate()
    seconds = {name: float(took) for took, name in (line.split(" ", 1) for line in out.splitlines())}
    if child.returncode:
        why = (errors.strip().splitlines() or [f"status {child.returncode}"])[-1]
        _failed(next((name for name in names if name not in seconds), names[-1]), why)
    return seconds


def _failed(name: str, why: str) -> NoReturn:
    mend = "SPIKEPORT_KERNELS=plain runs without them; report it with spikeport doctor"
    fail("SP545", f"the loops of {name!r} do not compile ({why})", mend=mend)


def network(kind: str, numbers: Numbers) -> Graph:
    """A small one: of matrices, of maps, or of neurons that feed back."""
    if kind == "cycle":
        return _cycle(numbers)
    nodes: dict[str, Node]
    if kind == "still":
        entry = Input((2, 6, 6), "direct", low=0, high=16, unit=np.asarray(1 / 16))
        nodes = {"in": entry, "a": Conv(_weight((16, 2, 3, 3), numbers)), "s": _lif((16, 4, 4), numbers)}
        return Graph.chain(nodes, STEPS, arithmetic=Loihi(LOIHI2))
    if kind == "single":
        nodes = {
            "in": Input((2, 6, 6), "direct", low=0, high=60),
            "pool": Pool("sum", (2, 2), (2, 2)),
            "flat": Flatten(),
        }
        width = 2 * 9
    elif kind == "map":
        nodes = {
            "in": _input((2, 6, 6), numbers),
            "a": Conv(_weight((16, 2, 3, 3), numbers), padding=(1, 1)),
            "s": _lif((16, 6, 6), numbers),
            "b": Conv(_weight((16, 16, 3, 3), numbers)),
            "t": _lif((16, 4, 4), numbers),
            "flat": Flatten(),
        }
        width = 16 * 16
    else:
        nodes = {"in": _input((8,), numbers), "a": Linear(_weight((40, 8), numbers)), "s": _lif((40,), numbers)}
        width = 40
    nodes |= {"c": Linear(_weight((10, width), numbers)), "out": _readout(numbers)}
    return Graph.chain(nodes, STEPS, arithmetic=Loihi(LOIHI2) if numbers == "integers" else Real(numbers))


def _train() -> None:
    """A step of a small network by each method."""
    import torch

    from spikeport.training.networks import build

    about: dict[str, Any] = {"input_shape": (1, 6, 6), "classes": 2, "timesteps": STEPS}
    for method in ("ds-atgo", "mpd-agl"):
        module = build("conv", train_with=method, options={"channels": [4], "strides": [1], "hidden": 8}, **about)
        module.train()(torch.ones(3, 1, 6, 6)).sum().backward()


def _input(shape: tuple[int, ...], numbers: Numbers) -> Input:
    return Input(shape, "events", low=0, high=1) if numbers == "integers" else Input(shape, "events")


def _cycle(numbers: Numbers) -> Graph:
    nodes: dict[str, Node] = {
        "in": _input((8,), numbers),
        "a": Linear(_weight((16, 8), numbers)),
        "s": _lif((16,), numbers),
        "past": Delay((16,)),
        "back": Linear(_weight((16, 16), numbers)),
        "c": Linear(_weight((10, 16), numbers)),
        "out": _readout(numbers),
    }
    edges = (("in", "a"), ("a", "s"), ("s", "past"), ("past", "back"), ("back", "s"), ("s", "c"), ("c", "out"))
    return Graph(nodes, edges, STEPS, arithmetic=Loihi(LOIHI2) if numbers == "integers" else Real(numbers))


def _weight(shape: tuple[int, ...], numbers: Numbers) -> Array:
    value = np.random.default_rng(0).integers(-9, 12, shape)
    return value.astype(np.int8) if numbers == "integers" else (value / 8).astype(numbers)


def _lif(shape: tuple[int, ...], numbers: Numbers) -> LIF:
    if numbers == "integers":
        return LIF(shape, np.asarray(3000), np.full(STEPS, 20, np.int64), compare=">", reset="subtract")
    return LIF(shape, np.asarray(0.75, numbers), np.ones(STEPS, numbers))


def _readout(numbers: Numbers) -> Readout:
    return Readout((10,), np.ones(STEPS, np.int64 if numbers == "integers" else numbers))


def _beside(command: int) -> None:
    """All parts, for a command that is under way; what it needs last comes first, so that few loops meet."""
    ahead.stand_back(command)
    for name in PARTS:
        _here(name)
    ahead.compiled()


def _child(words: list[str]) -> None:
    """A process of its own: ``beside PID``, or names of parts."""
    if words[:1] == ["beside"]:
        _beside(int(words[1]))
        return
    for name in words:
        print(f"{_here(name):.3f} {name}", flush=True)


if __name__ == "__main__":
    _child(sys.argv[1:])
