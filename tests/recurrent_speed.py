"""The engine on recurrent networks beside onnxruntime and eager torch, each in a process of its own, taking turns.

python tests/recurrent_speed.py --write docs/results/recurrent-speed.md
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench_networks import ADAPTING, adapting, recurrent
from bench_record import processor
from benchmarks.turns import timed
from peer_speed import started
from spikeport.engine.run import Engine
from spikeport.files import write_text
from spikeport.formats import onnx
from spikeport.graph import Graph

ROUNDS = 7
LONGEST = 1000
SIZES = [(T, hidden, batch) for hidden in (128, 512) for batch in (1, 64) for T in (100, LONGEST)]
RADLIF = "float32, RadLIF"
KINDS = ("integers", "float32", RADLIF)
HEAD = """# The engine on recurrent networks

Written by `python tests/recurrent_speed.py --write docs/results/recurrent-speed.md`. 40 inputs of events, a matrix,
neurons whose spikes come back by a matrix a step later, a matrix, a readout; "RadLIF" are SparCh's neurons, with a
second state that takes up their membranes and spikes. Milliseconds for all steps of a batch, medians of {rounds} turns
with their quarters. Each tool has a process of its own, one thread; a turn is 50 ms of runs behind one that is not
counted, or one long run.
onnxruntime runs spikeport's own export, torch the same network in its own operations, step by step. Outputs are
compared first: integers are equal to the bit, real ones within 1e-2. Ratios are of the processor's time, of which the
engine's stands beside its own.

{where}

| steps | neurons | batch | arithmetic | engine | CPU | onnxruntime | ratio | torch, eager | ratio |
|---|---|---|---|---|---|---|---|---|---|
"""


def eager(graph: Graph, x: torch.Tensor) -> torch.Tensor:
    """A real network as one would write it."""
    inward, back, last = (torch.as_tensor(np.array(graph[name].weight)).T for name in ("fc", "back", "last"))
    v = spikes = torch.zeros(x.shape[1], back.shape[0])
    total = torch.zeros(x.shape[1], 10)
    for now in x:
        v = 0.9 * v + now @ inward + spikes @ back
        spikes = (v > 1).float()
        v = v - spikes
        total += spikes @ last
    return total


def eager_adapting(graph: Graph, x: torch.Tensor) -> torch.Tensor:
    """The same of `adapting`."""
    inward, back, last = (torch.as_tensor(np.array(graph[name].weight)).T for name in ("fc", "back", "last"))
    (alpha, beta, a, b), theta = ADAPTING.values(), float(graph["lif"].threshold[0])
    u = w = spikes = torch.zeros(x.shape[1], back.shape[0])
    total = torch.zeros(x.shape[1], 10)
    for now in x:
        w = beta * w + a * u + b * spikes
        u = (1 - alpha) * (now @ inward + spikes @ back) + (alpha - 1) * w + alpha * u - alpha * spikes
        spikes = (u > theta).float()
        total += spikes @ last
    return total


def runs(tool: str, graph: Graph, x: np.ndarray) -> Callable[[], Any]:
    """What a tool does with the samples."""
    if tool == "engine":
        engine = Engine(graph)
        return lambda: engine.simulate(x).outputs
    if tool == "onnxruntime":
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 3, 1
        session = onnxruntime.InferenceSession(onnx.build(graph).SerializeToString(), options)
        return lambda: session.run(["output"], {"input": x})[0]
    there = torch.as_tensor(x)
    by_hand = eager_adapting if "u" in graph.nodes else eager
    return lambda: by_hand(graph, there)


def network(steps: int, hidden: int, kind: str) -> Graph:
    """The network of a row."""
    return adapting(steps, hidden) if kind == RADLIF else recurrent(steps, hidden, integers=kind == "integers")


def child(tool: str, steps: int, hidden: int, batch: int, kind: str) -> None:
    """One tool, in this process: its output, then its times."""
    torch.set_num_threads(1)
    x = (np.random.default_rng(1).random((steps, batch, 40)) < 0.2).astype(np.float32)
    run = runs(tool, network(steps, hidden, kind), x)
    print(json.dumps(np.asarray(run()).tolist()), flush=True)
    timed(run)


def row(steps: int, hidden: int, batch: int, kind: str) -> str:
    """One network, compared and timed."""
    integers = kind == "integers"
    tools = ("engine", "onnxruntime") if integers else ("engine", "onnxruntime", "torch, eager")
    facts = [str(fact) for fact in (steps, hidden, batch, kind)]
    with ExitStack() as stack:
        children = [started(Path(__file__), ["--child", tool, *facts], stack) for tool in tools]
        ours, *theirs = (np.asarray(each.told()) for each in children)
        assert all(np.array_equal(ours, other) if integers else np.abs(ours - other).max() < 1e-2 for other in theirs)
        took = [[each.run() for each in children] for _ in range(ROUNDS)]
        for each in children:
            each.end()
    cells, mine = [], statistics.median(turn[0][1] for turn in took)
    for number in range(3):
        if number >= len(tools):
            cells.append(" | ")
            continue
        low, middle, high = statistics.quantiles([turn[number][0] for turn in took], n=4, method="inclusive")
        cpu = statistics.median(turn[number][1] for turn in took)
        ratio = f" | {cpu / mine:.1f}" if number else f" | {cpu:.2f}"
        cells.append(f"{middle:.2f} ({low:.2f} to {high:.2f}){ratio}")
    return f"| {steps:,} | {hidden} | {batch} | {kind} | {' | '.join(cells)} |"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", type=Path)
    options.add_argument("--child", nargs=5)
    order = options.parse_args()
    if order.child:
        tool, *facts = order.child
        child(tool, *map(int, facts[:-1]), facts[-1])
        return
    where = f"{processor()}, torch {torch.__version__}, onnxruntime {version('onnxruntime')}."
    rows = []
    for size in SIZES:
        for kind in KINDS if size[0] == LONGEST else KINDS[:2]:
            rows.append(row(*size, kind))
            print(rows[-1], flush=True)
    if order.write:
        write_text(order.write, HEAD.format(rounds=ROUNDS, where=where) + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
