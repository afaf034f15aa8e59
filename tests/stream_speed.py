"""An endless stream on the engine beside onnxruntime's single steps, each in its process, in turns; and its memory.

python tests/stream_speed.py --write docs/results/streaming.md
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain, cycle
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from bench_networks import recurrent
from bench_record import processor
from benchmarks.turns import timed, turn
from onnx_speed import network
from peer_speed import started
from spikeport.engine import Stream
from spikeport.files import write_text
from spikeport.formats import onnx
from spikeport.graph import Array, Graph

STEPS, ROUNDS, RECURRENT = 128, 5, "40-128-10, recurrent"
HEAD = """# Streams

Written by `python tests/stream_speed.py --write docs/results/streaming.md`. One sample, a tenth of its inputs fire at
a step, integers; microseconds of the processor a step, medians of {rounds} turns with their quarters; each tool has a
process of its own, one thread; a turn is 50 ms of {steps} steps each behind the first that are not counted. Blocks say
how many frames come together. onnxruntime runs spikeport's single-step export, called once a step, which has no
blocks. The spikes that come out are the same, step by step. Memory is what the process has grown by in 20,000 more
steps (256 of the convolutions), in MB.

{where}

| network | block | engine, us a step | onnxruntime, us a step | ratio | grown, MB |
|---|---|---|---|---|---|
"""
TYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}


def streamed(kind: str) -> Graph:
    """`onnx_speed.network` on events, or 128 neurons that feed back to themselves, without end."""
    if kind == RECURRENT:
        return recurrent(100, 128).with_(after_end="hold")
    graph = network(kind, integers=True)
    entry = graph.entry.with_(coding="events", low=0, high=1)
    quick = {name: node.with_(threshold=node.threshold // 40) for name, node in graph.nodes.items() if name[0] == "l"}
    return graph.replace({"in": entry, **quick}).with_(after_end="hold")


def single_steps(graph: Graph, x: Iterable[Array]) -> Iterator[tuple[Array, list[Array]]]:
    """The output and the spikes of each step from onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(onnx.build(graph, "step").SerializeToString(), options)
    names = [output.name for output in session.get_outputs()]
    inputs = {entry.name: entry for entry in session.get_inputs()}
    states = {
        name: np.zeros([1 if size == "batch" else size for size in entry.shape], TYPES[entry.type])
        for name, entry in inputs.items()
        if "/" in name
    }
    for step, now in enumerate(x):
        given = {"input": now.astype(TYPES[inputs["input"].type]), "t": np.asarray(step, np.int64), **states}
        told = dict(zip(names, session.run(names, {name: given[name] for name in inputs}), strict=True))
        states = {name: told[name.replace("/", "_out/", 1)] for name in states}
        yield told["output"], [told[name] for name in names if name.startswith("spikes/")]


def frames(graph: Graph) -> Array:
    """A tenth of the inputs fire."""
    return (np.random.default_rng(0).random((STEPS, 1, *graph.entry.shape)) < 0.1).astype(np.uint8)


def child(kind: str) -> None:
    """onnxruntime, in this process: the spikes of each step and layer, then its times."""
    graph = streamed(kind)
    x = frames(graph)
    print(json.dumps([[int(each.sum()) for each in spikes] for _, spikes in single_steps(graph, x)]), flush=True)
    steps = single_steps(graph, chain(x[-1:], cycle(x)))
    next(steps)  # makes the session
    timed(lambda: [next(steps) for _ in range(STEPS)])


def row(kind: str, block: int) -> str:
    """One network, compared, timed and left to run."""
    graph = streamed(kind)
    x = frames(graph)
    pieces = np.split(x, range(block, STEPS, block))
    running = Stream(graph, most=block)
    blocks = [done for piece in pieces for done in running.feed(piece)]
    counts = {n: np.concatenate([done.record.spike_counts[n] for done in blocks]) for n in blocks[0].record.neurons}
    ours, theirs = [], []
    with ExitStack() as stack:
        peer = started(Path(__file__), ["--child", kind], stack)
        for step, spikes in enumerate(peer.told()):
            assert spikes == [int(each[step]) for each in counts.values()]
        assert all(each.mean() > 0.01 for each in counts.values())
        for _ in range(ROUNDS):
            ours.append(1e6 * turn(lambda: [list(running.feed(piece)) for piece in pieces])[1] / STEPS)
            theirs.append(1e3 * peer.run()[1] / STEPS)
        peer.end()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(20_000 // STEPS if kind != "two convolutions" else 2):
        for piece in pieces:
            list(running.feed(piece))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    cells = []
    for times in (ours, theirs):
        low, middle, high = statistics.quantiles(times, n=4, method="inclusive")
        cells.append(f"{middle:.0f} ({low:.0f} to {high:.0f})")
    ratio = statistics.median(theirs) / statistics.median(ours)
    return f"| {kind} | {block} | {' | '.join(cells)} | {ratio:.1f} | {grown:.1f} |"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", type=Path)
    options.add_argument("--child")
    order = options.parse_args()
    torch.set_num_threads(1)
    if order.child:
        child(order.child)
        return
    cpu = processor()
    rows = []
    for kind in ("784-512-10", "two convolutions", RECURRENT):
        for block in (1, 16, 64):
            rows.append(row(kind, block))
            print(rows[-1], flush=True)
    if order.write:
        where = f"{cpu}, onnxruntime {onnxruntime.__version__}."
        write_text(order.write, HEAD.format(rounds=ROUNDS, steps=STEPS, where=where) + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
