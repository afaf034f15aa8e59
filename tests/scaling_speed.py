"""Large dense layers of the engine beside torch's own int8 and float32 products, each tool in a process of its own.

python tests/scaling_speed.py --write docs/results/scaling.md
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from spikeport.files import write_text

STEPS, SHARE = 4, 0.1
SIZES = (4096, 16384, 32768)
HEAD = """# Large layers

Written by `python tests/scaling_speed.py --write docs/results/scaling.md`. N inputs of which a tenth send a spike at
each of {steps} steps, a dense matrix of bytes in memory, N neurons; one sample, one thread. The peer is torch's
float32 matrix product, step by step, as one would write it. Each is a process of its own, and all spikes are the
same. "Prepared" is from the graph to the first run; what stands in brackets is the processor's share, which other
programs on the machine hardly change. Memory is the peak above that of the process before it made the weights, over
the bytes of the weights, which count. Compiling, once a machine, is left out.

{where}

| N | synapses | tool | prepared, s (CPU) | memory | one sample, ms (CPU) |
|---|---|---|---|---|---|
"""


def weights(size: int) -> np.ndarray:
    """Bytes, made in pieces."""
    rng, out = np.random.default_rng(0), np.empty((size, size), np.int8)
    for start in range(0, size, 256):
        out[start : start + 256] = rng.integers(-64, 65, (256, size), np.int8)
    return out


def peak() -> int:
    """Bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def engine(size: int, x: np.ndarray, begun: dict[str, float]) -> tuple[dict[str, float], np.ndarray]:
    """Prepared and run by spikeport."""
    from spikeport.engine.run import Engine
    from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Loihi, Range

    def network(weight: np.ndarray) -> Graph:
        count = len(weight)
        neurons = LIF((count,), np.int64(3000), np.full(STEPS, 2000, np.int64), compare=">", reset="subtract")
        nodes = {"in": Input((count,), "events", low=0, high=1), "fc": Linear(weight), "lif": neurons}
        return Graph.chain(nodes, STEPS, arithmetic=Loihi(LOIHI2))

    small = weights(2048)[:2048, :2048]
    Engine(network(small)).simulate(x[..., :2048])  # compiles, or loads what is compiled
    begun["memory"] = peak()
    weight = weights(size)
    clock, cpu = time.perf_counter(), time.process_time()
    run = Engine(network(weight))
    run.ready(Range(0, 1))
    facts = {"prepared": time.perf_counter() - clock, "prepared_cpu": time.process_time() - cpu}
    train = run.simulate(x, _trains()).trains["lif"].unpack()
    return {**facts, **timed(lambda: run.simulate(x))}, train


def _trains():
    from spikeport.target import Request

    return Request(trains=True)


def peer(size: int, x: np.ndarray, begun: dict[str, float]) -> tuple[dict[str, float], np.ndarray]:
    """The same in torch's float32, whose products are exact here: sums stay below 2**24."""
    import torch

    torch.set_num_threads(1)
    begun["memory"] = peak()
    weight = weights(size)
    clock, cpu = time.perf_counter(), time.process_time()
    matrix = torch.from_numpy(weight).float()
    facts = {"prepared": time.perf_counter() - clock, "prepared_cpu": time.process_time() - cpu}

    def run() -> np.ndarray:
        v, out = torch.zeros(1, size, dtype=torch.int64), []
        for now in torch.from_numpy(x).float():
            u = (v * 3000).div(4096, rounding_mode="trunc") + ((now @ matrix.T).long() << 6)
            fired = u > (2000 << 6)
            v = torch.where(fired, u - (2000 << 6), u)
            out.append(fired)
        return torch.stack(out).numpy()

    train = run()
    return {**facts, **timed(run)}, train


def timed(run) -> dict[str, float]:
    """The fastest of five, in ms."""
    took = []
    for _ in range(5):
        clock, cpu = time.perf_counter(), time.process_time()
        run()
        took.append((1e3 * (time.perf_counter() - clock), 1e3 * (time.process_time() - cpu)))
    return dict(zip(("run", "run_cpu"), map(min, zip(*took, strict=True)), strict=True))


def child(tool: str, size: int) -> None:
    """One tool, in this process."""
    x = (np.random.default_rng(1).random((STEPS, 1, max(size, 2048))) < SHARE).astype(np.uint8)
    begun: dict[str, float] = {}
    facts, train = {"engine": engine, "torch, float32": peer}[tool](size, x, begun)
    facts["memory"] = (peak() - begun["memory"]) / size**2
    facts["spikes"] = int(np.packbits(train).astype(np.int64) @ np.arange(1, 1 + -(-train.size // 8)))
    print(json.dumps(facts))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", type=Path)
    options.add_argument("--child", nargs=2)
    order = options.parse_args()
    if order.child:
        child(order.child[0], int(order.child[1]))
        return
    from bench_record import processor  # imports torch, which the children that are measured do themselves

    cpu = processor()
    rows = []
    for size in SIZES:
        sums = set()
        for tool in ("engine", "torch, float32"):
            words = [sys.executable, __file__, "--child", tool, str(size)]
            told = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
            sums.add(told["spikes"])
            rows.append(
                f"| {size:,} | {size**2:,} | {tool} | {told['prepared']:.2f} ({told['prepared_cpu']:.2f}) "
                f"| {told['memory']:.2f} | {told['run']:.1f} ({told['run_cpu']:.1f}) |"
            )
            print(rows[-1], flush=True)
        assert len(sums) == 1, "the spikes differ"
    if order.write:
        write_text(order.write, HEAD.format(steps=STEPS, where=f"{cpu}.") + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
