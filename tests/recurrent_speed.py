"""The engine on recurrent networks beside onnxruntime and eager torch, in one process, taking turns.

python tests/recurrent_speed.py --write docs/results/recurrent-speed.md
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from bench_networks import recurrent
from bench_record import processor
from spikeport.engine.run import Engine
from spikeport.files import write_text
from spikeport.formats import onnx
from spikeport.graph import Graph

SIZES = [(T, hidden, batch) for hidden in (128, 512) for batch in (1, 64) for T in (100, 1000)]
HEAD = """# The engine on recurrent networks

Written by `python tests/recurrent_speed.py --write docs/results/recurrent-speed.md`. 40 inputs of events, a matrix,
neurons whose spikes come back by a matrix a step later, a matrix, a readout: milliseconds for all steps of a batch, the
median of five runs that take turns with the others' in one process; threads: {threads}. onnxruntime runs spikeport's
own export, torch the same network in its own operations, step by step. Outputs were compared first: integers are equal
to the bit, real ones within 1e-2.

{where}

| steps | neurons | batch | arithmetic | engine | onnxruntime | ratio | torch, eager | ratio |
|---|---|---|---|---|---|---|---|---|
"""


def eager(graph: Graph, x: torch.Tensor) -> torch.Tensor:
    """The real network as one would write it."""
    inward, back, last = (torch.as_tensor(np.array(graph[name].weight)).T for name in ("fc", "back", "last"))
    v = spikes = torch.zeros(x.shape[1], back.shape[0])
    total = torch.zeros(x.shape[1], 10)
    for now in x:
        v = 0.9 * v + now @ inward + spikes @ back
        spikes = (v > 1).float()
        v = v - spikes
        total += spikes @ last
    return total


def medians(*runs: Callable[[], Any]) -> list[float]:
    """Milliseconds of each, the runs taking turns."""
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(5):
        for run, times in zip(runs, seconds, strict=True):
            begun = time.perf_counter()
            run()
            times.append(1e3 * (time.perf_counter() - begun))
    return [statistics.median(times) for times in seconds]


def row(steps: int, hidden: int, batch: int, *, integers: bool) -> str:
    """One network, compared and timed."""
    graph = recurrent(steps, hidden, integers=integers)
    x = (np.random.default_rng(1).random((steps, batch, 40)) < 0.2).astype(np.float32)
    engine, options, there = Engine(graph), onnxruntime.SessionOptions(), torch.as_tensor(x)
    options.log_severity_level, options.intra_op_num_threads = 3, torch.get_num_threads()
    session = onnxruntime.InferenceSession(onnx.build(graph).SerializeToString(), options)
    ours, theirs = engine.simulate(x).outputs, session.run(["output"], {"input": x})[0]
    runs = [lambda: engine.simulate(x), lambda: session.run(["output"], {"input": x})]
    if integers:
        assert np.array_equal(ours, theirs)
    else:
        assert np.abs(ours - theirs).max() < 1e-2
        assert np.abs(ours - eager(graph, there).numpy()).max() < 1e-2
        runs.append(lambda: eager(graph, there))
    mine, *others = medians(*runs)
    cells = [f"{other:.2f} | {other / mine:.1f}" for other in others] + [" | "] * (2 - len(others))
    kind = "integers" if integers else "float32"
    return f"| {steps:,} | {hidden} | {batch} | {kind} | {mine:.2f} | {' | '.join(cells)} |"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", type=Path)
    order = options.parse_args()
    cpu = processor()
    where = f"{cpu}, torch {torch.__version__}, onnxruntime {onnxruntime.__version__}."
    rows = []
    for size in SIZES:
        for integers in (True, False):
            rows.append(row(*size, integers=integers))
            print(rows[-1], flush=True)
    if order.write:
        write_text(order.write, HEAD.format(threads=torch.get_num_threads(), where=where) + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
