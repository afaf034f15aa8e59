"""What Lava needs for a network of some size: processor time and memory, a sample and at all.

    python tests/lava_at_size.py --write docs/results/lava-at-size.md

Each network runs with one sample and with some more, in processes of its own: what those add is the price of a sample.
Times are processor seconds of all of Lava's processes, which other work on the machine does not change much; memory is
the most that they hold together, shared pages once. Samples are random numbers: Lava computes all products, zeros too.
Every spike and membrane is compared with the integer engine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bench_record import processor
from lava_networks import compare, resnet19, vggsnn
from spikeport import load_model
from spikeport.engine import simulate
from spikeport.files import write_text
from spikeport.graph import LIF, Synapse
from spikeport.quantisation import quantize

LIMIT = 12 << 30  #: bytes; a network that takes more is ended, and its row says so
EVERY = 0.2  #: seconds between two looks at the memory


def shipped(name: str) -> Callable[[int], tuple]:
    """A shipped model in Loihi's integers, and samples in its input's range."""

    def make(samples: int) -> tuple:
        model = load_model(name)
        graph = getattr(model, "graph", model)
        entry = graph.entry
        lead = (graph.timesteps, samples) if entry.coding == "events" else (samples,)
        draw = np.random.default_rng(0).random((*lead, *entry.shape))
        x = ((draw < 0.1) if entry.coding == "events" else draw).astype(np.float32)
        return quantize(graph, x, run=simulate, steps=[]).graph, x

    return make


#: by name: a network with samples, and with how many it runs beside one
NETWORKS: dict[str, tuple[Callable[[int], tuple], int]] = {
    **{name: (shipped(name), 21) for name in ("digits-conv", "fmnist-conv", "nmnist-conv")},
    **{f"VGGSNN, width {8 * w} of 64": (lambda samples, w=w: vggsnn(8 * w, samples=samples), 3) for w in (1, 2)},
    **{
        f"ResNet-19, width {w} of 128": (lambda samples, w=w: resnet19(w, samples=samples), 2)
        for w in (16, 32, 64, 128)
    },
}


def one(name: str, samples: int) -> None:
    """Run a network here and print what it took."""
    graph, x = NETWORKS[name][0](samples)
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    own = time.process_time()
    lava, _, differences = compare(graph, x)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    facts = {
        "neurons": sum(node.size for node in graph.nodes_of(LIF).values()),
        "weights": sum(node.weight.size for node in graph.nodes_of(Synapse).values()),
        "steps": graph.timesteps,
        "processor": spent,
        "own": time.process_time() - own,
        "wall": time.monotonic() - begun,
        "differences": sum(differences),
        "bits": sum(int(np.prod(train.shape)) for train in lava.trains.values()),
    }
    print(json.dumps(facts))


def held(process: int) -> int:
    """Bytes of a process and all that it started, pages that several share in parts."""
    total, todo = 0, [process]
    while todo:
        here = Path(f"/proc/{todo.pop()}")
        try:
            rollup = (here / "smaps_rollup").read_text()
            todo += [
                int(child) for task in (here / "task").iterdir() for child in (task / "children").read_text().split()
            ]
        except (OSError, ValueError):
            continue
        total += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) << 10
    return total


def measured(name: str, samples: int) -> dict:
    """`one` in a process of its own, with the most memory that it held; or why it did not end."""
    command = [sys.executable, __file__, "--one", name, "--samples", str(samples)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    peak, stopped = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not stopped.wait(EVERY):
            peak = max(peak, held(child.pid))
            if peak > LIMIT:
                os.killpg(child.pid, 15)

    watcher = threading.Thread(target=watch)
    watcher.start()
    out, errors = child.communicate()
    stopped.set()
    watcher.join()
    if child.returncode:
        why = f"more than {LIMIT >> 30} GB" if peak > LIMIT else errors.strip().splitlines()[-1][:200]
        return {"failed": why, "peak": peak}
    return {**json.loads(out.splitlines()[-1]), "peak": peak}


def row(name: str) -> str:
    """The line of a network."""
    _, many = NETWORKS[name]
    few = measured(name, 1)
    more = few if "failed" in few else measured(name, many)
    if "failed" in more:
        return f"| {name} | | | | | | | {more['failed']} |"
    each = (more["processor"] - few["processor"]) / (many - 1)
    size = f"{few['neurons']:,} | {few['weights']:,} | {few['steps']}"
    price = f"{few['processor'] - each:.1f} | {each:.2f} | {max(few['peak'], more['peak']) / 2**30:.2f}"
    return (
        f"| {name} | {size} | {price} | {few['differences'] + more['differences']} of {few['bits'] + more['bits']:,} |"
    )


def main() -> None:
    """Measure what is asked, a line at a time, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--one", metavar="NETWORK")
    parser.add_argument("--samples", type=int, default=1)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS))
    parser.add_argument("--write", type=Path)
    args = parser.parse_args()
    if args.one:
        return one(args.one, args.samples)
    lines = []
    for name in args.networks:
        lines.append(row(name))
        print(lines[-1], flush=True)
    if args.write:
        write_text(args.write, page(lines))


AFTER = """Twice the width of ResNet-19 takes three times the seconds, for start and samples alike, and 1.2 times the
memory: the full width, four times as wide as the widest that ran, would take about 320 s to start and 27 s a sample. It
has too much of the time and not of the memory; widths 64 and 128 have not been run to the end.

What grows from width 16 to 32 is 0.15 GB, for 192,544 neurons and 595,184 weights more. Were all of it the neurons',
the full width would hold 2.0 GB, were it all the weights', 4.1 GB: both fit in 12. About half a gigabyte is there at
any width, for Lava's processes. Of the time: twice the width has four times the products, and Lava computes them all,
zeros too.

**Samples over processes.** On two cores 360 digits take 14.2 to 14.4 s in one run (17.3 s of processor time) and 9.9 to
10.1 s on two workers (`--on processes:2`): 1.4 times as fast. One run of Lava takes 1.3 cores by itself, so that two of
them could be 1.5 times as fast if they began at once. Each worker keeps to its own processors: where Lava's processes
do not move, a sample takes a quarter less of a processor's time, and without it two workers took 17 s."""


def page(lines: list[str]) -> str:
    """The page of the documentation."""
    return "\n".join(
        [
            "# Lava at size",
            "",
            "Written by `python tests/lava_at_size.py --write docs/results/lava-at-size.md`: each network on Lava's",
            "fixed-point models with one sample and with some more. Seconds are processor time of all of Lava's",
            "processes; memory is the most that they, and the spikeport that started them, held together. Samples are",
            f"random: Lava computes all products, zeros too. {processor()}, Python {platform.python_version()}.",
            "",
            "| network | neurons | weights | T | start, s | a sample, s | memory, GB | bits that differ |",
            "|---|---|---|---|---|---|---|---|",
            *lines,
            "",
            AFTER,
            "",
        ]
    )


if __name__ == "__main__":
    main()
