"""The whole way of networks that others wrote: captured, through both formats, to integers, compared, priced.

`way` goes it and fails where two things that must be one network are not; main prints what it saw.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import spikeport
from spikeport.engine import simulate
from spikeport.graph import LIF, Array, Graph, definition
from spikeport.target import Request

HERE = Path(__file__).resolve().parent
EVERYTHING = Request(trains=True)


@dataclass(frozen=True)
class Network:
    """A module of somebody else's, and how it is called."""

    name: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...]
    timesteps: int
    options: dict[str, Any]


def sew_resnet() -> nn.Module:
    from spikingjelly.activation_based import functional, neuron
    from spikingjelly.activation_based.model import sew_resnet

    net = sew_resnet.sew_resnet18(spiking_neuron=neuron.IFNode, cnf="ADD", num_classes=10)
    functional.set_step_mode(net, "m")
    return settled(net, (2, 8, 3, 32, 32))


def qkformer() -> nn.Module:
    from spikingjelly.activation_based.model import qkformer

    net = qkformer.QKFormer(T=4, num_classes=10, embed_dims=32, num_heads=(2, 4, 4), depths=(1, 1, 1))
    return settled(net, (8, 3, 32, 32))


def tutorial() -> nn.Module:
    import tutorials

    return tutorials.convolutional()


def norse() -> nn.Module:
    from norse import torch as norse

    first = nn.Linear(16, 24)
    first.weight.data.mul_(8)
    return norse.SequentialState(first, norse.LIFBoxCell(), nn.Linear(24, 6))


NETWORKS = (
    Network("SpikingJelly sew_resnet18, ADD", sew_resnet, (3, 32, 32), 2, {}),
    Network("SpikingJelly QKFormer, 3 blocks, width 32", qkformer, (3, 32, 32), 4, {}),
    Network("snnTorch tutorial 6", tutorial, (1, 28, 28), 8, {"output": 0}),
    Network("Norse LIFBoxCell", norse, (16,), 8, {}),
)


def settled(net: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """A module whose batch normalisations have seen data, as after training: all of its layers get to fire."""
    from spikingjelly.activation_based import functional

    net.train()
    with torch.no_grad():
        for _ in range(20):
            net(torch.randn(shape))
            functional.reset_net(net)
    return net.eval()


@dataclass(frozen=True)
class Way:
    """What was seen on the way."""

    network: str
    nodes: int
    neurons: int
    spikes: int  #: of the integers, on all samples
    differing: int  #: spikes of the integers that differ from the real network's
    compared: int
    energies: int  #: cost models that priced it
    seconds: float


def way(network: Network, folder: Path, samples: int = 6) -> Way:
    """Capture, NIR and ONNX and back, integers and back, the engine held to the definition, compare, energy."""
    begun = time.process_time()
    torch.manual_seed(0)
    graph = spikeport.capture(network.build().eval(), network.shape, timesteps=network.timesteps, **network.options)
    x = np.random.default_rng(0).standard_normal((samples, *network.shape)).astype(np.float32)
    if graph.entry.coding == "events":
        x = np.repeat(x[None], network.timesteps, 0)
    through_files(graph, x, folder, "real")
    integers = spikeport.quantize(graph, data=x, calibration=samples).graph
    through_files(integers, x, folder, "integer")
    truth, record = definition.run(integers, x), simulate(integers, x, EVERYTHING)
    assert np.array_equal(record.outputs, truth.outputs)
    for name in integers.nodes_of(LIF):
        assert np.array_equal(record.trains[name].unpack(), truth.spikes(name)), name
    compared = spikeport.compare(graph, integers, samples=x)
    costs = spikeport.energy(integers, samples=x, chip=None)
    return Way(
        network.name,
        len(integers.nodes),
        sum(node.size for node in integers.nodes_of(LIF).values()),
        sum(int(counts.sum()) for counts in record.spike_counts.values()),
        compared.parity.spike_mismatches,
        compared.parity.spikes_compared,
        len(costs.estimates),
        time.process_time() - begun,
    )


def through_files(graph: Graph, x: Array, folder: Path, name: str) -> None:
    """Written and read, it is the same network; onnxruntime, too, sends its spikes: all, or all but for rounding."""
    for ending in ("nir", "onnx"):
        path = folder / f"{name}.{ending}"
        spikeport.export(graph, path)
        assert spikeport.load_model(path).graph == graph
    parity = spikeport.compare(graph, f"{folder / name}.onnx@onnxruntime", samples=x, why=False).parity
    assert parity.spikes_compared > 0
    differing = parity.spike_mismatches if name == "integer" else parity.mismatches_above_rounding
    assert differing == 0, f"{differing} of {parity.spikes_compared} spikes differ"


def page(ways: Sequence[Way]) -> list[str]:
    """The ways in lines of markdown."""
    lines = [
        "## The whole way",
        "",
        "Captured, written as NIR and ONNX and read back to the same network, run by onnxruntime with the same spikes;",
        "made integers, these again through both files and onnxruntime, every spike of theirs held to the definition;",
        "compared with the real network, priced. Untrained weights, random samples (tests/capture/ways.py).",
        "",
        "| network | nodes | neurons | integers' spikes | decisions other than the real one's | cost models | CPU s |",
        "|---|---|---|---|---|---|---|",
    ]
    for way in ways:
        share = f"{way.differing:,} of {way.compared:,}"
        cells = [
            way.network,
            way.nodes,
            f"{way.neurons:,}",
            f"{way.spikes:,}",
            share,
            way.energies,
            f"{way.seconds:.0f}",
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return ["", *lines]


def main(words: list[str]) -> int:
    """All networks, or those whose name holds a word of the command line."""
    import zoo

    zoo.without_operators()
    for each in ways(words):
        print(each, flush=True)
    return 0


def ways(words: Sequence[str] = ()) -> Iterator[Way]:
    """Of all networks, or of those whose name holds one of the words."""
    for network in NETWORKS:
        if not words or any(word in network.name for word in words):
            with tempfile.TemporaryDirectory() as folder:
                yield way(network, Path(folder))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
