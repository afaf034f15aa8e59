"""What a multiply-add of narrow and odd convolutions takes beside one of 64 channels, in parts: equal work, in turns.

python tests/channel_speed.py --write docs/results/channels.md
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import bench_networks
from bench_record import processor
from spikeport.engine.cpu import sparse
from spikeport.engine.cpu.fire import fire
from spikeport.engine.cpu.listing import listed
from spikeport.engine.cpu.structures import KINDS, Lists
from spikeport.engine.run import Engine
from spikeport.files import write_text
from spikeport.machine import compiled
from spikeport.process import keep_freed_memory
from spikeport.target import Request

CHANNELS, WIDE, STEPS, PLACES, ROUNDS = (64, 24, 32, 40, 48, 72, 80, 96, 112, 128), 64, 4, 1024, 15
HEAD = """# Few channels

Written by `python tests/channel_speed.py --write docs/results/channels.md`. Two 3x3 convolutions from C to C channels
on 32 x 32, {steps} steps, a seventh of the inputs fire; picoseconds a multiply-add, as a dense product would need them.
Batches make the number of multiply-adds the same for all C. Processor time of one thread, the fastest of {rounds} runs
that take turns; the spikes are those of the plain definition. "Lists" finds the events, "sums" adds rows of weights,
"neurons" are their steps, "rest" is the way in and out and Python.

{where}

| channels | lists | sums | neurons | rest | all | to 64 channels | least |
|---|---|---|---|---|---|---|---|
"""
TAIL = """
Asked: at most 1.5 times the figure of 64 from 24 to 128 channels. "Least" is what these loops could reach: a layer of
C channels has nine C multiply-adds for each input that is listed and each neuron that takes a step, so that all but
the sums costs 64 / C times as much a multiply-add; sums cost as many lanes as their vectors have, {lanes}, over C.
What the measured ratio is above it is the end of each run of events: its branch is mispredicted about once for each
place, whatever C is; up to 32 channels, for two or four places, one below the other, which share a run and add a third
or more rows of weights. Where the least is above 1.5, lists, neurons and the way in and out would have to be faster
than they are with 64 channels, which makes those faster, too.
"""


@compiled
def every_list(x: Any, plan: Any, lists: Any) -> None:
    """The events of maps [T, B, words], one after the other in the same memory."""
    for t in range(x.shape[0]):
        for n in range(x.shape[1]):
            listed(x[t, n], plan, Lists(lists.events[0], lists.starts[0]))


@dataclass(frozen=True)
class Case:
    """One number of channels, and what is timed of it."""

    channels: int
    lanes: int  #: of all tiles
    multiplied: int  #: multiply-adds of a layer
    runs: dict[str, Callable[[], Any]]


def case(channels: int) -> Case:
    """Compared with the plain definition, and ready."""
    graph = bench_networks.two_convolutions(STEPS, channels)
    batch = max(1, round(8 * (WIDE / channels) ** 2))
    x, engine = bench_networks.samples(graph, batch), Engine(graph)
    here, there = (Engine(graph, kernels=kind).simulate(x[:, :1], Request(trains=True)) for kind in ("fast", "plain"))
    for name, train in there.trains.items():
        assert np.array_equal(here.trains[name].bits, train.bits)
    assert all(0.1 < rate.mean() < 0.25 for rate in engine.simulate(x).rates().values())
    pair: Any = engine._program.neurons["two.neurons"]  # type: ignore[union-attr]
    rows = pair.rows
    words = rows.words(torch.as_tensor(x).movedim(2, -1).contiguous().movedim(-1, 2).flatten(0, 1))
    words = words.reshape(STEPS, batch, -1)
    memory, counts = rows.memory(STEPS * rows.together(STEPS)), np.zeros((STEPS, KINDS), np.int64)
    none, nobody = np.empty((0, 0, 0), np.int32), np.empty((0, 0, 0), np.uint8)
    spikes = np.empty((STEPS, batch, PLACES * channels), np.uint8)

    def looped(constants: Any, parameters: Any, pattern: int, spikes: Any) -> None:
        told = words, rows.weight, rows.plan, constants, parameters, pattern, spikes, none, none
        fire(*told, *memory, rows.block(), counts, 0, batch)

    runs = {
        "lists": lambda: every_list(words, rows.plan, memory[0]),
        "sums": lambda: looped(sparse.NOBODY, sparse.PARAMETERS, 1, nobody),
        "neurons": lambda: looped(pair.layer.rules, pair.parameters, pair.pattern, spikes),
        "all": lambda: engine.simulate(x),
    }
    return Case(channels, rows.width, batch * STEPS * PLACES * 9 * channels**2, runs)


def measured(cases: list[Case]) -> list[dict[str, float]]:
    """Picoseconds a multiply-add of each case, part by part."""
    best: dict[tuple[int, str], float] = {}
    for _ in range(ROUNDS):
        for each in cases:
            for name, run in each.runs.items():
                begun = time.process_time()
                run()
                took = 1e12 * (time.process_time() - begun) / each.multiplied / (2 if name == "all" else 1)
                best[each.channels, name] = min(best.get((each.channels, name), took), took)
    parts = []
    for each in cases:
        lists, sums, neurons, whole = (best[each.channels, name] for name in each.runs)
        apart = {"lists": lists, "sums": sums - lists, "neurons": neurons - sums, "rest": whole - neurons}
        parts.append({**apart, "all": whole})
    return parts


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", type=Path)
    order = options.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    cases = [case(channels) for channels in CHANNELS]
    parts, lines = measured(cases), []
    wide = parts[0]
    for each, part in zip(cases, parts, strict=True):
        fixed = (wide["all"] - wide["sums"]) * WIDE / each.channels
        least = (fixed + wide["sums"] * each.lanes / each.channels) / wide["all"]
        cells = " | ".join(f"{value:.2f}" for value in (*part.values(), part["all"] / wide["all"], least))
        lines.append(f"| {each.channels} | {cells} |")
        print(lines[-1], flush=True)
    if order.write:
        lanes = ", ".join(f"{each.lanes} for {each.channels}" for each in cases if each.lanes != each.channels)
        page = HEAD.format(steps=STEPS, rounds=ROUNDS, where=f"{processor()}, torch {torch.__version__}.")
        write_text(order.write, page + "\n".join(lines) + "\n" + TAIL.format(lanes=lanes))


if __name__ == "__main__":
    main()
