"""The engine and onnxruntime in one process and thread, called in turns, beside each alone; a section of a page.

python tests/beside_speed.py --write docs/results/threads.md
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from bench_record import processor
from spikeport import process
from spikeport.engine.run import Engine
from spikeport.files import write_text
from spikeport.formats import onnx
from spikeport.graph import Array, Graph
from threads_speed import BESIDE, alone, cases, lay_down

NAMES, ROUNDS, SECONDS = ("784-512-10", "fmnist-conv"), 3, 0.25
TOOLS, WAITS = ("engine", "onnxruntime"), ("turning", "asleep")
IDLE = 1.5  #: processes that run or wait, up to which the clock says something
HEAD = """
Written by `python tests/beside_speed.py --write docs/results/threads.md`. The engine and an onnxruntime session of
spikeport's export of the same network, both with all their threads, as a program gets them. "Alone": milliseconds of
the processor for a batch where one of them is called again and again. "In turns": how many times that it takes where
one thread calls the two in turns; "asleep": the same where onnxruntime's threads sleep while they wait
(`session.intra_op.allow_spinning` = "0"). Of all calls in {rounds} processes the least. {clock} Outputs are the same:
integers to the bit, real ones within 1e-3 of the largest. Below 2 is asked for.

{where}

| network | arithmetic | batch | engine alone | in turns | asleep | onnxruntime alone | in turns | asleep |
|---|---|---|---|---|---|---|---|---|
"""
CLOCK = "In brackets the same of the clock.", "The clock is not shown: other programs had their share of it."
FOOT = """
The processor's time is that of the whole process. After a call that used its threads onnxruntime's go on turning for a
while, which counts for whoever is called next, and takes a core from it. Where they sleep, what stays is that each
finds the other's data in the caches: the engine's second call after one of onnxruntime's takes no longer than alone.
"""
Run = Callable[[], Array]


def prepared(graph: Graph, x: Array) -> Run:
    """The graph in the engine."""
    ready = Engine(graph)
    return lambda: ready.simulate(x).outputs


def session(graph: Graph, x: Array, waits: str) -> Run:
    """The graph in onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(waits == "turning")))
    ready, entering = onnxruntime.InferenceSession(onnx.build(graph).SerializeToString(), options), x.astype(np.float32)
    return lambda: ready.run(["output"], {"input": entering})[0]


def least(calls: dict[str, Run]) -> dict[str, tuple[float, float]]:
    """Milliseconds of the processor and of the clock for each, where they take turns."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for call in 3 * list(calls.values()):
        call()
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(took[min(took)]) < 3:
        for name, call in calls.items():
            clock, cpu = time.perf_counter(), time.process_time()
            call()
            took[name].append((1e3 * (time.process_time() - cpu), 1e3 * (time.perf_counter() - clock)))
    return {name: (min(cpu for cpu, _ in times), min(clock for _, clock in times)) for name, times in took.items()}


def same(ours: Array, theirs: Array, kind: str) -> bool:
    """Whether outputs are the same: integers to the bit."""
    if kind == "integers":
        return np.array_equal(ours, theirs)
    return bool(np.abs(ours - theirs).max() <= 1e-3 * np.abs(theirs).max())


def measured(waits: str, folder: Path) -> dict[str, dict[str, tuple[float, float]]]:
    """Each network, arithmetic and batch in this process: each tool alone, then in turns."""
    told = {}
    for key, graph, x in cases(NAMES, folder):
        ours = prepared(graph, x)
        times = least({"engine": ours})
        theirs = session(graph, x, waits)
        assert same(ours(), theirs(), key.split("/")[1]), key
        times |= least({"onnxruntime": theirs})
        both = least({"engine": ours, "onnxruntime": theirs})
        told[key] = times | {f"{tool}, in turns": both[tool] for tool in TOOLS}
    return told


def rows(*, idle: bool) -> list[str]:
    """The table, with the clock's ratios where the machine is ``idle``."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lay_down(NAMES, folder)
        told: dict[str, list[Any]] = {waits: [] for waits in WAITS}
        for waits in ROUNDS * WAITS:
            told[waits].append(alone([__file__, "--waits", waits, "--folder", place]))
    lines = []
    for key in told["turning"][0]:
        cells = [key.replace("/", " | ")]
        for tool in TOOLS:
            single, turns = ({w: fastest(told[w], key, what) for w in WAITS} for what in (tool, f"{tool}, in turns"))
            cells.append(f"{single['turning'][0]:.2f}")
            for waits in WAITS:
                cpu, clock = (turn / one for turn, one in zip(turns[waits], single[waits], strict=True))
                cells.append(f"{cpu:.2f} ({clock:.2f})" if idle else f"{cpu:.2f}")
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def fastest(told: list[Any], key: str, what: str) -> list[float]:
    """The least of all processes, of the processor and of the clock."""
    return [min(each[key][what][i] for each in told) for i in (0, 1)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", type=Path)
    options.add_argument("--waits", choices=WAITS, help=argparse.SUPPRESS)
    options.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    order = options.parse_args()
    if order.waits:
        print(json.dumps(measured(order.waits, order.folder)))
        return
    load = os.getloadavg()[0]
    lines = rows(idle=load < IDLE)
    print(*lines, sep="\n")
    if order.write:
        number = round(load)
        word = "process" if number == 1 else "processes"
        others = f"{number} other {word} ran or waited on its {process.processors()} processors"
        where = f"{processor()}, onnxruntime {onnxruntime.__version__}; {others}."
        head = HEAD.format(rounds=ROUNDS * len(WAITS), clock=CLOCK[load >= IDLE], where=where)
        before = order.write.read_text("utf-8").split(BESIDE)[0]
        write_text(order.write, before + BESIDE + head + "\n".join(lines) + "\n" + FOOT)


if __name__ == "__main__":
    main()
