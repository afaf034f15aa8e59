"""What the first use on a machine compiles, and for how long: each case in a process of its own, nothing kept on disk.

    .venv/bin/python tests/first_use.py [dense] [conv] [digits]

Processor seconds, which other programs on the machine hardly change; ``--names`` also prints each loop. For another
revision, put its `toolchain`, `targets` and `models` on PYTHONPATH.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

import numpy as np
from numba.core import event

STEPS = 4


class Loops(event.Listener):
    """Listens to numba: names and processor seconds of what it compiles, those inside others not counted twice."""

    def __init__(self):
        self.depth, self.begun, self.seconds, self.names = 0, 0.0, 0.0, []

    def on_start(self, begun):
        """A loop, or something that one calls."""
        loop = begun.data["dispatcher"].py_func
        self.names.append(f"{loop.__module__}.{loop.__name__}")
        self.begun = self.begun if self.depth else time.process_time()
        self.depth += 1

    def on_end(self, ended):
        """Done; where nothing is left around it, its time counts."""
        self.depth -= 1
        self.seconds += 0.0 if self.depth else time.process_time() - self.begun


def dense():
    """16 inputs, 20 neurons, 10 outputs on the integer engine."""
    from spikeport.engine import simulate
    from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Loihi, Readout

    rng = np.random.default_rng(0)
    nodes = {
        "input": Input((16,), low=0, high=1),
        "fc": Linear(rng.integers(-9, 9, (20, 16)).astype(np.int8)),
        "lif": LIF((20,), np.int32(2048), np.full(STEPS, 5, np.int32), compare=">", gain=np.int32(1)),
        "head": Linear(rng.integers(-9, 9, (10, 20)).astype(np.int8)),
        "out": Readout((10,), np.ones(STEPS, np.int32), np.int32(0)),
    }
    graph = Graph.chain(nodes, timesteps=STEPS, arithmetic=Loihi(LOIHI2))
    simulate(graph, (rng.random((4, 16)) < 0.1).astype(int))


def conv():
    """Two convolutions, one with a stride, and a linear layer on the integer engine."""
    from spikeport.engine import simulate
    from spikeport.graph import LIF, LOIHI2, Conv, Flatten, Graph, Input, Linear, Loihi, Readout

    rng = np.random.default_rng(0)

    def lif(*shape):
        return LIF(shape, np.int32(2048), np.full(STEPS, 60, np.int32), compare=">", gain=np.int32(1))

    def weight(*shape):
        return rng.integers(-9, 9, shape).astype(np.int8)

    nodes = {
        "input": Input((2, 16, 16), "events", low=0, high=1),
        "conv1": Conv(weight(32, 2, 3, 3), padding=(1, 1)),
        "lif1": lif(32, 16, 16),
        "conv2": Conv(weight(64, 32, 3, 3), stride=(2, 2), padding=(1, 1)),
        "lif2": lif(64, 8, 8),
        "flatten": Flatten(),
        "head": Linear(weight(10, 4096)),
        "out": Readout((10,), np.ones(STEPS, np.int32), np.int32(0)),
    }
    graph = Graph.chain(nodes, timesteps=STEPS, arithmetic=Loihi(LOIHI2))
    simulate(graph, (rng.random((STEPS, 4, 2, 16, 16)) < 0.02).astype(int))


def digits():
    """`spikeport run digits`, without Lava."""
    from spikeport.terminal.app import main

    with tempfile.TemporaryDirectory() as folder:
        sys.argv = ["spikeport", "--quiet", "run", "digits", "--lava-samples", "0", "--out", folder]
        try:
            main()
        except SystemExit as ended:
            if ended.code:
                raise


CASES = {"dense": dense, "conv": conv, "digits": digits}


def child(name, names):
    """One case in this process."""
    loops = Loops()
    event.register("numba:compile", loops)
    begun = time.process_time()
    CASES[name]()
    whole = time.process_time() - begun
    ours = [loop for loop in loops.names if loop.startswith("spikeport.")]
    print(f"{name}: compiled for {loops.seconds:.1f} of {whole:.1f} s; {len(ours)} loops, {len(loops.names)} functions")
    for loop in ours if names else ():
        print(f"  {loop}")


def main():
    """Each case that was asked for."""
    names = "--names" in sys.argv
    asked = [name for name in sys.argv[1:] if name in CASES] or list(CASES)
    if "--here" in sys.argv:
        child(asked[0], names)
        return
    for name in asked:
        with tempfile.TemporaryDirectory() as cache:
            environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
            subprocess.run([sys.executable, __file__, name, "--here", *sys.argv[1:]], env=environment, check=True)


if __name__ == "__main__":
    main()
