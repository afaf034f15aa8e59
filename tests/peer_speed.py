"""The engine beside other tools, each in a process of its own, taking turns; outputs are compared before any time.

python tests/peer_speed.py --write docs/results/feed-forward-speed.md
python tests/peer_speed.py --scaling docs/results/scaling-axes.md
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench_record import processor
from benchmarks.peers import TOOLS
from spikeport.files import write_text
from spikeport_targets.nengo_loihi.child import ENVIRONMENT

CHILD = Path(__file__).parent / "benchmarks" / "peers.py"
ROUNDS = 9
FEW = ("engine, integers", "engine, float32", "onnxruntime, integers", "torch, eager")
PACKAGES = ("torch", "onnxruntime", "spikingjelly", "snntorch", "norse", "sinabs")
HEAD = """# The engine beside other tools

Written by `python tests/peer_speed.py --write docs/results/feed-forward-speed.md`. Milliseconds a batch of 4 steps,
medians of {rounds} turns, from the first to the third quarter in brackets. Each tool has a process of its own
(`tests/benchmarks/peers.py`), one thread; a turn is 50 ms of runs behind one that is not counted, or one long run.
Before anything is timed the spike counts of the last
layer are the same to the bit in all of them: weights are whole numbers, and thresholds lie where no membrane can be.
Tools run as their users write it: all steps of a layer at once where the tool can, else a step at a time; nengo-loihi
is its emulator of Loihi 1, in its own Python, on what spikeport's target of this name lowers the network to. "CPU" is
the processor's time, which other programs on the machine hardly change; ratios are of medians of it, above 1 where
spikeport's integers are faster.

{where}

| network | samples | tool | ms | CPU, ms | ratio |
|---|---|---|---|---|---|
"""
SCALING = """# Steps, samples and neurons

Written by `python tests/peer_speed.py --scaling docs/results/scaling-axes.md`, as
[the engine beside other tools](feed-forward-speed.md) is: 784 inputs, neurons, 10 neurons; one thread; a process a
tool, medians of {rounds} turns (3 from 10,000 steps on) with their quarters; outputs are the same to the bit.
From 100 steps on neurons do not leak. [Large layers](scaling.md) has synapses up to 10^9.

{where}

| axis | steps | samples | neurons | tool | ms | CPU, ms | ratio |
|---|---|---|---|---|---|---|---|
"""
NETWORKS = {"784-512-10": "dense", "two 3x3 convolutions of 64 channels on 16 x 16": "maps"}
AXES = {
    "steps": [{"steps": steps, "samples": 1} for steps in (100, 1000, 10_000, 100_000)],
    "samples": [{"samples": samples} for samples in (1, 4, 16, 256, 4096)],
    "neurons": [{"samples": 16, "neurons": neurons} for neurons in (64, 512, 4096, 32_768)],
}


@dataclass
class Child:
    """A tool's process."""

    process: subprocess.Popen[str]

    def told(self) -> Any:
        """Its next line."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, f"it ended: {self.process.args}"
        return json.loads(line)

    def run(self) -> tuple[float, float]:
        """Milliseconds of a run, and of the processor."""
        assert self.process.stdin
        print("run", file=self.process.stdin, flush=True)
        whole, cpu = self.told()
        return 1e3 * whole, 1e3 * cpu

    def end(self) -> None:
        """No more runs."""
        assert self.process.stdin
        self.process.stdin.close()


def started(script: Path, words: list[str], stack: ExitStack) -> Child:
    """A process that makes its network."""
    words = [sys.executable, str(script), *words]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent)}
    return Child(stack.enter_context(subprocess.Popen(words, text=True, env=environment, **pipes)))


def measured(tools: tuple[str, ...], facts: dict[str, Any], rounds: int) -> dict[str, list[tuple[float, float]] | str]:
    """Each tool's times, or why it has none; all outputs are the same, or nothing is timed."""
    with ExitStack() as stack:
        children = {tool: started(CHILD, [tool, json.dumps(facts)], stack) for tool in tools}
        first = {tool: child.told() for tool, child in children.items()}
        outputs = {tool: said["output"] for tool, said in first.items() if "output" in said}
        assert len(set(outputs.values())) == 1, f"the outputs differ: {outputs}"
        assert all(0.01 < said["rate"] < 0.9 for said in first.values() if "rate" in said)
        took: dict[str, Any] = {tool: said.get("missing", []) for tool, said in first.items()}
        for _ in range(rounds):
            for tool in outputs:
                took[tool].append(children[tool].run())
        for child in children.values():
            child.end()
    return took


def rows(begin: str, tools: tuple[str, ...], facts: dict[str, Any], rounds: int = ROUNDS) -> list[str]:
    """A line a tool."""
    took = measured(tools, facts, rounds)
    lines, ours = [], statistics.median(cpu for _, cpu in took["engine, integers"])
    for tool, times in took.items():
        if isinstance(times, str):
            lines.append(f"| {begin} | {tool} | no: {times} | | |")
            continue
        cells = []
        for each in zip(*times, strict=True):
            low, middle, high = statistics.quantiles(each, n=4, method="inclusive")
            cells.append(f"{middle:.3g} ({low:.3g} to {high:.3g})")
        ratio = statistics.median(cpu for _, cpu in times) / ours
        lines.append(f"| {begin} | {tool} | {' | '.join(cells)} | {ratio:.2f} |")
    print(*lines, sep="\n", flush=True)
    return lines


def feed_forward() -> list[str]:
    """Every tool."""
    return [
        line
        for name, kind in NETWORKS.items()
        for samples in (1, 4, 16)
        for line in rows(f"{name} | {samples}", tuple(TOOLS), {"kind": kind, "samples": samples})
    ]


def scaling() -> list[str]:
    """Some tools along each axis."""
    lines = []
    for axis, sizes in AXES.items():
        for changes in sizes:
            facts = {"steps": 4, "samples": 64, "neurons": 512} | changes
            begin = f"{axis} | " + " | ".join(f"{facts[name]:,}" for name in ("steps", "samples", "neurons"))
            lines += rows(begin, FEW, facts, 3 if facts["steps"] >= 10_000 else ROUNDS)
    return lines


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", type=Path)
    options.add_argument("--scaling", type=Path)
    order = options.parse_args()
    packages = [f"{name} {version(name)}" for name in PACKAGES] + [ENVIRONMENT.requirements[0].replace("==", " ")]
    where = f"{processor()}; {', '.join(packages)}."
    for path, head, lines in ((order.write, HEAD, feed_forward), (order.scaling, SCALING, scaling)):
        if path:
            write_text(path, head.format(rounds=ROUNDS, where=where) + "\n".join(lines()) + "\n")


if __name__ == "__main__":
    main()
