"""What each layer has to move and to multiply on a card, and how long that takes at least: the table of docs/gpu.md.

    python tests/roofline.py            print it
    python tests/roofline.py --write    put it into docs/gpu.md

A layer is one kernel: the map that enters is read once, weights once, a byte is written for each spike; one that adds
also reads another layer's spikes and writes the sum. What lies in shared memory and the second-level cache is not
counted. What is expected is the least at the rate that the prototype of a kernel had for as many channels: 359 to 677
TOP/s for 3x3, 115 for 1x1, of the 1,979 that the sheet says.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from unittest import mock

import torch

import bench_networks as networks
from spikeport.engine.on_card import adding
from spikeport.graph import LIF, Conv, Graph, Linear, Pool, Synapse

PAGE = Path(__file__).parents[1] / "docs/gpu.md"
BEGIN, END = "<!-- python tests/roofline.py --write -->", "<!-- end -->"
MOVED = 4.3e12  #: bytes a second, copies on an H200, measured
SHEET = 1.979e15  #: operations a second of int8 on tensor cores, H200's data sheet, dense
MEASURED = {128: 359e12, 256: 518e12, 512: 677e12}  #: of the prototype, 3x3, by channels that leave (docs/gpu.md)
PCIE = 63e9  #: bytes a second each way, PCIe 5.0 with 16 lanes, nominal
ONE = 115e12  #: and of a 1x1 kernel, which memory bounds


@dataclass(frozen=True)
class Layer:
    """One kernel."""

    what: str
    products: float  #: multiply-adds
    bytes: float
    rate: float  #: operations a second that are expected

    @property
    def least(self) -> float:
        """Seconds."""
        return max(2 * self.products / SHEET, self.bytes / MOVED)

    @property
    def expected(self) -> float:
        """Seconds."""
        return max(2 * self.products / self.rate, self.bytes / MOVED)


def layers(graph: Graph, batch: int) -> Iterator[Layer]:
    """Every kernel of a batch, in its order."""
    steady = {graph.input} if graph.entry.coding == "direct" else set()
    adds = adding(graph, dict.fromkeys(graph.nodes, torch.uint8))
    for name in graph.order:
        node, times = graph.nodes[name], graph.timesteps * batch
        if isinstance(node, LIF):
            (source,) = graph.sources(name)
            entering = batch if steady.issuperset(graph.sources(source)) else times
            yield _layer(graph, source, times, entering, name in adds)
        elif isinstance(node, Pool):
            moved = (prod(graph.input_shape(name)) + prod(graph.shapes[name])) * times
            yield Layer("pool", 0, moved, ONE)
        elif isinstance(node, Linear) and name in graph.sources(graph.output):
            (outputs, inputs), moved = node.weight.shape, prod(graph.input_shape(name)) + 4 * prod(graph.shapes[name])
            yield Layer(f"{inputs} to {outputs}, sums", node.weight.size * times, moved * times, ONE)


def _layer(graph: Graph, name: str, times: int, entering: int, adds: bool) -> Layer:
    """Neurons and their synapse; ``entering``: how many frames come in, one a sample where all steps are the same."""
    node, out, shape = graph.nodes[name], graph.shapes[name], graph.input_shape(name)
    assert isinstance(node, Synapse)
    moved = prod(shape) * entering + node.weight.size + prod(out) * times * (3 if adds else 1)
    what = f"{shape[0]} to {out[0]}"
    rate = MEASURED[min(MEASURED, key=lambda channels: abs(channels - out[0]))]
    if isinstance(node, Conv):
        kernel, size = "x".join(map(str, node.kernel)), "x".join(map(str, shape[1:]))
        what = f"{size}, {what}, {kernel}" + (f", stride {node.stride[0]}" if max(node.stride) > 1 else "")
        rate = ONE if max(node.kernel) == 1 else rate
    return Layer(f"{what}, adds" if adds else what, node.weight.size * prod(out[1:]) * entering, moved, rate)


def tables() -> Iterator[str]:
    """Lines of Markdown."""
    with mock.patch.object(networks, "calibrated", lambda graph: graph):  # thresholds move nothing
        cases = [
            ("ResNet-19, T = 2", networks.resnet19(), 256),
            ("32x32x64 twice, T = 4", networks.two_convolutions(), 512),
            ("784-512-10, T = 4", networks.mlp(), 8192),
        ]
    for title, graph, batch in cases:
        rows = list(layers(graph, batch))
        yield f"| {title}, batch {batch} | kernels | multiply-adds | MB in and out | at least, ms | expected, ms |"
        yield "|---|---|---|---|---|---|"
        for row in dict.fromkeys(rows):
            count = rows.count(row)
            numbers = (row.products / 1e9, row.bytes / 1e6, row.least * 1e3, row.expected * 1e3)
            yield "| {} | {} | {:.1f} · 10^9 | {:.0f} | {:.3f} | {:.3f} |".format(row.what, count, *numbers)
        products, moved = (sum(getattr(row, name) for row in rows) for name in ("products", "bytes"))
        least, expected = (sum(getattr(row, name) for row in rows) for name in ("least", "expected"))
        numbers = (products / 1e9, moved / 1e6, least * 1e3, expected * 1e3)
        yield "| **all** | {} | {:.1f} · 10^9 | {:.0f} | {:.3f} | {:.3f} |".format(len(rows), *numbers)
        samples = prod(graph.entry.shape) * batch * (graph.timesteps if graph.entry.coding == "events" else 1)
        sent = samples / 8 if graph.entry.high == 1 else samples  # spikes go as bits (`engine.enter.Packed`)
        brought = sent / PCIE
        times = f"{brought * 1e3:.3f} | {brought * 1e3:.3f}"
        yield f"| samples, meanwhile, over PCIe 5.0 | | | {sent / 1e6:.0f} | {times} |"
        rates = (batch / max(least, brought), batch / max(expected, brought))
        yield "| samples a second | | | | {:,.0f} | {:,.0f} |".format(*rates)
        yield ""


def written(page: str) -> str:
    """The page with the tables as they are now."""
    before, rest = page.split(BEGIN)
    return f"{before}{BEGIN}\n\n" + "\n".join(tables()) + END + rest.split(END, 1)[1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print("\n".join(tables()))


if __name__ == "__main__":
    main()
