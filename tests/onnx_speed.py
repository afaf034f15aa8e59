"""Integer ONNX models in onnxruntime beside the float export and the engine, in one process, taking turns.

python tests/onnx_speed.py --write docs/results/onnx-speed.md
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from bench_record import processor
from spikeport.engine.run import Engine
from spikeport.files import write_text
from spikeport.formats import onnx
from spikeport.formats.onnx import own_model
from spikeport.graph import LIF, LOIHI2, Conv, Flatten, Graph, Input, Linear, Loihi, Readout, Real

STEPS = 4
HEAD = """# Integers in onnxruntime

Written by `python tests/onnx_speed.py --write docs/results/onnx-speed.md`. Milliseconds, the fastest of nine runs that
take turns in one process; one thread. "Float" is the float32 export of the same layers, "0.1" what spikeport 0.1 wrote
for integers: ConvInteger, MatMulInteger and int64. All integer outputs are the engine's, to the bit.

{where}

| network | batch | engine | integers | float | integers / float | 0.1 | 0.1 / float |
|---|---|---|---|---|---|---|---|
"""


def network(kind: str, *, integers: bool) -> Graph:
    """Two convolutions of 64 channels on 16 x 16, or 784-512-10."""
    rng, real = np.random.default_rng(0), np.float32

    def weight(*shape: int) -> np.ndarray:
        value = rng.integers(-20, 22, shape)
        return value.astype(np.int8) if integers else (value / 100).astype(real)

    def lif(*shape: int) -> LIF:
        if integers:
            theta = np.full(STEPS, 600, np.int64)
            return LIF(shape, np.int64(3000), theta, compare=">", reset="subtract")
        return LIF(shape, real(0.75), np.full(STEPS, 6, real), compare=">", reset="subtract")

    nodes: dict[str, Any]
    if kind == "784-512-10":
        nodes = {"fc1": Linear(weight(512, 784)), "l1": lif(512), "fc2": Linear(weight(10, 512))}
        shape: tuple[int, ...] = (784,)
    else:
        shape = (3, 16, 16)
        nodes = {
            "c1": Conv(weight(64, 3, 3, 3), padding=(1, 1)),
            "l1": lif(64, 16, 16),
            "c2": Conv(weight(64, 64, 3, 3), padding=(1, 1)),
            "l2": lif(64, 16, 16),
            "flat": Flatten(),
            "fc": Linear(weight(10, 64 * 256)),
        }
    ends = {"out": Readout((10,), np.ones(STEPS, np.int64 if integers else real))}
    entry = {"in": Input(shape, low=0, high=63) if integers else Input(shape)}
    return Graph.chain({**entry, **nodes, **ends}, STEPS, arithmetic=Loihi(LOIHI2) if integers else Real())


def session(model: Any) -> Any:
    """One thread."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def row(kind: str, batch: int) -> str:
    """One network, compared and timed."""
    graph = network(kind, integers=True)
    x = np.random.default_rng(1).integers(0, 64, (batch, *graph.entry.shape)).astype(np.float32)
    engine = Engine(graph)
    models = [onnx.build(graph), onnx.build(network(kind, integers=False)), own_model.build(graph, "scan", old=True)]
    sessions = [session(model) for model in models]
    inputs = [x, x / 64, x]
    truth = engine.simulate(x)
    assert all(0.02 < rate.mean() < 0.9 for rate in truth.rates().values())
    for index in (0, 2):
        assert np.array_equal(sessions[index].run(["output"], {"input": x})[0], truth.outputs)
    runs = [lambda: engine.simulate(x)]
    runs += [lambda s=s, x=x: s.run(["output"], {"input": x}) for s, x in zip(sessions, inputs, strict=True)]
    took: list[list[float]] = [[] for _ in runs]
    for _ in range(9):
        for run, times in zip(runs, took, strict=True):
            begun = time.perf_counter()
            run()
            times.append(1e3 * (time.perf_counter() - begun))
    ours, whole, real, old = map(min, took)
    spread = statistics.median(took[1]) / whole
    cells = f"{ours:.2f} | {whole:.2f} (median {spread:.1f} x) | {real:.2f} | {whole / real:.2f}"
    return f"| {kind} | {batch} | {cells} | {old:.2f} | {old / real:.2f} |"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", type=Path)
    order = options.parse_args()
    torch.set_num_threads(1)
    cpu = processor()
    rows = []
    for kind in ("784-512-10", "two convolutions"):
        for batch in (1, 16):
            rows.append(row(kind, batch))
            print(rows[-1], flush=True)
    if order.write:
        where = f"{cpu}, onnxruntime {onnxruntime.__version__}."
        write_text(order.write, HEAD.format(where=where) + "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
