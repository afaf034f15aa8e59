"""One tool's run of one network in a process of its own: it says what comes out, then how long each run takes.

PYTHONPATH=tests python tests/benchmarks/peers.py "SpikingJelly" '{"kind": "dense"}'

A line of JSON comes first, with the hash of the output; then one for each line that is read, until there are no more.
All networks hold small whole numbers: weights are whole, decays halve at most as often as float32 has bits for, and
thresholds lie between what membranes can be. So every tool's output is the same to the bit, whatever it rounds.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.turns import Run, timed

RATE = 0.15  #: share of inputs that fire, and by the choice of thresholds about that of neurons


@dataclass(frozen=True)
class Network:
    """Synapses, each followed by neurons that reset to zero; spikes [T, B, *input] enter."""

    weights: list[Tensor]  #: whole numbers, [out, in] or [out, in, 3, 3]
    thresholds: list[int]  #: a membrane beyond fires
    decay: float  #: 0.5, or 1 for steps without end
    x: Tensor  #: float32 zeros and ones

    def sums(self, layer: int, x: Tensor) -> Tensor:
        """What enters neurons, of one step or of several together."""
        weight = self.weights[layer]
        return F.linear(x, weight) if weight.dim() == 2 else F.conv2d(x, weight, padding=1)

    def edge(self, layer: int) -> float:
        """A threshold that no membrane meets: they are multiples of 1/8."""
        return self.thresholds[layer] + 1 / 16

    def synapse(self, layer: int) -> nn.Module:
        """As a module."""
        weight = self.weights[layer]
        dense = weight.dim() == 2
        outputs, inputs = weight.shape[:2]
        module = nn.Linear(inputs, outputs, False) if dense else nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        module.weight = nn.Parameter(weight.clone(), requires_grad=False)
        return module


def network(kind: str = "dense", steps: int = 4, samples: int = 64, neurons: int = 512) -> Network:
    """``dense``: 784, ``neurons``, 10. ``maps``: two 3x3 convolutions of 64 channels on 16 x 16."""
    rng, dense = np.random.default_rng(0), kind == "dense"
    shapes = [(neurons, 784), (10, neurons)] if dense else [(64, 64, 3, 3)] * 2
    entering = (784,) if dense else (64, 16, 16)
    weights = [torch.as_tensor(rng.integers(-20, 22, shape), dtype=torch.float32) for shape in shapes]
    x = torch.as_tensor(rng.random((steps, samples, *entering)) < RATE, dtype=torch.float32)
    decay = 0.5 if steps <= 4 else 1.0
    made, now = Network(weights, [], decay, x), x[0, :8]
    for layer in range(len(weights)):
        sums = made.sums(layer, now)
        made.thresholds.append(max(1, int(torch.quantile(sums.flatten()[:100_000], 1 - RATE))))
        now = (sums > made.thresholds[-1]).float()
    return made


def counted(spikes: Tensor) -> Tensor:
    """Spikes [T, B, ...] over time."""
    return spikes.sum(0)


# -- tools ------------------------------------------------------------------------------------------------------------


def graph_of(net: Network, *, integers: bool) -> Any:
    """The same network as a `Graph`."""
    from spikeport.graph import LIF, LOIHI2, Conv, Graph, Input, Linear, Loihi, Real

    steps, kind, shape = len(net.x), np.int8 if integers else np.float32, tuple(net.x.shape[2:])
    nodes: dict[str, Any] = {"in": Input(shape, "events", low=0, high=1)}
    for layer, weight in enumerate(net.weights):
        values = weight.numpy().astype(kind)
        node = Linear(values) if weight.dim() == 2 else Conv(values, padding=(1, 1))
        shape = node.output_shape(shape)
        if integers:
            facts = np.int64(4096 * net.decay), np.full(steps, net.thresholds[layer], np.int64)
        else:
            facts = np.float32(net.decay), np.full(steps, net.edge(layer), np.float32)
        nodes |= {f"synapse{layer}": node, f"neurons{layer}": LIF(shape, *facts, compare=">")}
    return Graph.chain(nodes, steps, arithmetic=Loihi(LOIHI2) if integers else Real())


def engine(net: Network, *, integers: bool) -> Run:
    """spikeport's engine."""
    from spikeport.engine.run import Engine

    ready, x = Engine(graph_of(net, integers=integers)), net.x.numpy()
    x = x.astype(np.uint8) if integers else x
    return lambda: ready.simulate(x).outputs


def onnxruntime(net: Network, *, integers: bool) -> Run:
    """spikeport's export in onnxruntime."""
    import onnxruntime as runtime

    from spikeport.formats import onnx

    options = runtime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    model = onnx.build(graph_of(net, integers=integers)).SerializeToString()
    session, x = runtime.InferenceSession(model, options), net.x.numpy()
    return lambda: session.run(["output"], {"input": x})[0]


def eager(net: Network) -> Run:
    """torch, as one would write it: all steps through a synapse, neurons step by step."""

    def run(x: Tensor = net.x) -> Tensor:
        for layer in range(len(net.weights)):
            sums, v, spikes = net.sums(layer, x.flatten(0, 1)).unflatten(0, x.shape[:2]), 0.0, []
            for now in sums:
                u = v * net.decay + now
                fired = (u > net.edge(layer)).float()
                v = u * (1 - fired)
                spikes.append(fired)
            x = torch.stack(spikes)
        return counted(x)

    return run


def compiled(net: Network) -> Run:
    """The same through torch.compile."""
    run = torch.compile(eager(net))
    return lambda: run(net.x)


def snntorch(net: Network) -> Run:
    """Layer by layer, a step at a time."""
    import snntorch as snn

    parts = [net.synapse(layer) for layer in range(len(net.weights))]
    neurons = [
        snn.Leaky(net.decay, net.edge(layer), reset_mechanism="zero", reset_delay=False) for layer in range(len(parts))
    ]

    def run() -> Tensor:
        states, total = [each.init_leaky() for each in neurons], 0.0
        for now in net.x:
            for layer, (synapse, cell) in enumerate(zip(parts, neurons, strict=True)):
                now, states[layer] = cell(synapse(now), states[layer])
            total = total + now
        return total

    return run


def spikingjelly(net: Network) -> Run:
    """Its multi-step mode: all steps of a layer at once."""
    from spikingjelly.activation_based import functional, neuron

    def cell(layer: int) -> nn.Module:
        facts = {"v_threshold": net.edge(layer), "v_reset": 0.0, "step_mode": "m"}
        return neuron.LIFNode(2.0, False, **facts) if net.decay == 0.5 else neuron.IFNode(**facts)

    layers = [(net.synapse(layer), cell(layer)) for layer in range(len(net.weights))]
    whole = nn.ModuleList([part for pair in layers for part in pair])

    def run() -> Tensor:
        functional.reset_net(whole)
        x = net.x
        for synapse, cell in layers:
            x = cell(synapse(x.flatten(0, 1)).unflatten(0, x.shape[:2]))
        return counted(x)

    return run


def norse(net: Network) -> Run:
    """Its boxed neurons, v + (x - v) / 2, so that inputs are doubled; a step at a time."""
    from norse.torch.functional.lif_box import LIFBoxFeedForwardState, LIFBoxParameters, lif_box_feed_forward_step

    if net.decay != 0.5:
        raise NotImplementedError("its neurons leak as much as they take")
    parts = [net.synapse(layer) for layer in range(len(net.weights))]
    for part in parts:
        part.weight.mul_(2)
    facts = [
        LIFBoxParameters(tau_mem_inv=torch.tensor(0.5), v_th=torch.tensor(net.edge(layer)))
        for layer in range(len(parts))
    ]

    def run() -> Tensor:
        states: list[Any] = [LIFBoxFeedForwardState(torch.tensor(0.0))] * len(parts)
        total: Any = 0.0
        for now in net.x:
            for layer, synapse in enumerate(parts):
                now, states[layer] = lif_box_feed_forward_step(synapse(now), states[layer], facts[layer], dt=1.0)
            total = total + now
        return total

    return run


def sinabs(net: Network) -> Run:
    """Its layers over [B, T, ...]."""
    import sinabs.layers as layers
    from sinabs.activation import MembraneReset, SingleSpike

    def cell(layer: int) -> nn.Module:
        facts = {"spike_threshold": torch.tensor(net.edge(layer)), "spike_fn": SingleSpike, "reset_fn": MembraneReset()}
        return layers.LIF(1 / math.log(2), norm_input=False, **facts) if net.decay == 0.5 else layers.IAF(**facts)

    parts = [(net.synapse(layer), cell(layer)) for layer in range(len(net.weights))]
    entering = net.x.transpose(0, 1).contiguous()

    def run() -> Tensor:
        x = entering
        for synapse, neurons in parts:
            neurons.reset_states()
            x = neurons(synapse(x.flatten(0, 1)).unflatten(0, x.shape[:2]))
        return x.sum(1)

    return run


def nengo_loihi(net: Network) -> Run:
    """Its emulator of Loihi 1 in a Python of its own, which takes this process's place (`nengo_peer.py`)."""
    from spikeport.graph import LOIHI1, Loihi
    from spikeport_targets.nengo_loihi.child import ENVIRONMENT
    from spikeport_targets.nengo_loihi.lowering import lower

    python, script = ENVIRONMENT.interpreter(), Path(__file__).with_name("nengo_peer.py")
    if python is None:
        raise ImportError(f"not installed: {ENVIRONMENT.command}")
    if net.weights[0].dim() > 2:
        raise NotImplementedError("its synapses are unrolled, here 19 million, which takes minutes")
    graph, folder = graph_of(net, integers=True).with_(arithmetic=Loihi(LOIHI1)), Path(tempfile.mkdtemp()) / "plan"
    lower(graph, net.x.transpose(0, 1).numpy().astype(np.int64), membranes=lambda name: False).write(folder)
    os.execv(python, [str(python), "-I", "-B", str(script), str(folder)])


TOOLS: dict[str, Callable[[Network], Run]] = {
    "engine, integers": lambda net: engine(net, integers=True),
    "engine, float32": lambda net: engine(net, integers=False),
    "onnxruntime, integers": lambda net: onnxruntime(net, integers=True),
    "onnxruntime, float32": lambda net: onnxruntime(net, integers=False),
    "torch, eager": eager,
    "torch, compiled": compiled,
    "SpikingJelly": spikingjelly,
    "snnTorch": snntorch,
    "Norse": norse,
    "sinabs": sinabs,
    "nengo-loihi": nengo_loihi,
}


def main(tool: str, facts: str) -> None:
    """Say the output's hash and share, then time one run for each line that comes."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    net = network(**json.loads(facts))
    with torch.inference_mode():
        try:
            run = TOOLS[tool](net)
            output = np.asarray(run()).astype(np.int64)
        except (ImportError, NotImplementedError) as error:
            print(json.dumps({"missing": str(error)}), flush=True)
            return
        told = hashlib.sha256(np.ascontiguousarray(output)).hexdigest()
        print(json.dumps({"output": told, "rate": float(output.mean() / len(net.x))}), flush=True)
        timed(run)


if __name__ == "__main__":
    main(*sys.argv[1:])
