"""An integer graph as a trainable module: the forward pass computes the engine's integers, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikeport import graph as nodes
from spikeport.engine import operations
from spikeport.findings import fail, raise_errors
from spikeport.graph import LIF, Array, Graph, Loihi, Node, Readout, Synapse, over_neurons
from spikeport.graph.hosted import by_host
from spikeport.quantisation.mantissa import Mantissa
from spikeport.target import plain_output
from spikeport.training.ends import at_ends
from spikeport.training.integer_neurons import SUM_ONE, fire, spread


def on_grid(value: Tensor) -> Tensor:
    """Rounded to whole numbers (ties to even); the gradient passes unchanged."""
    return value + (value.round() - value).detach()


class IntegerNet(nn.Module):
    """The graph with its mantissas and biases as parameters, in units of their own integers.

    Whole numbers are held in float32: sums stay below 2**24, where they are exact; membranes are computed in float64.
    ``start`` gives weights before rounding, from which training can tip them either way.
    Raises SP430 for a graph that is not in Loihi arithmetic, or feeds back on itself.
    """

    def __init__(self, graph: Graph, start: Mapping[str, Array] | None = None) -> None:
        super().__init__()
        if not isinstance(graph.arithmetic, Loihi) or graph.recurrent:
            what = "feeds back on itself" if graph.recurrent else "holds real numbers"
            fail(
                "SP430",
                f"the graph {what}",
                why="fine-tuning runs all steps of a layer at once, in integers.",
                mend="quantise it first" if not graph.recurrent else "fine-tune the real network instead",
            )
        raise_errors(plain_output(graph, "fine-tuning"))
        if graph.arithmetic.profile.neuron != "loihi":
            what = f"the profile {graph.arithmetic.profile.name!r} has other neurons than Loihi's"
            fail("SP430", what, why="they have no surrogate here.", mend="fine-tune the real network instead")
        often = [name for name, node in graph.nodes_of(LIF).items() if node.most_spikes > 1]
        if often:
            what = f"neurons of {', '.join(map(repr, often))} fire several times a step"
            fail("SP430", what, why="their spikes have no surrogate here.", mend="fine-tune the real network instead")
        if ends := [name for name, node in graph.nodes_of(LIF).items() if node.lower_bound is not None]:
            what = f"membranes of {', '.join(map(repr, ends))} have a lower bound"
            fail("SP430", what, why="its surrogate has none.", mend="fine-tune the real network instead")
        self.source = graph
        profile = graph.arithmetic.profile
        self.top = 2 ** (profile.weight_bits - 1)
        self.bias_largest = 2 ** (profile.bias_bits - 1) - 1
        self.bias_exponents = profile.bias_exponent
        self.profile = profile
        self.weights = nn.ParameterDict()
        self.biases = nn.ParameterDict()
        self.tops: dict[str, tuple[int, int]] = {}
        self.fits: dict[str, Tensor] = {}  # which biases came within the format; others stay as fine as they are
        for index, (name, node) in enumerate(graph.nodes.items()):
            key = f"n{index}"  # a parameter's name may hold no dot
            if isinstance(node, Synapse):
                self.tops[name] = low, high = _bounds(graph, name, node, self.top)
                weight = node.weight if start is None else np.clip(start[name], low, high)
                self.weights[key] = nn.Parameter(_floats(weight))
            elif isinstance(node, LIF | Readout):
                bias = self.biases[key] = nn.Parameter(_floats(node.bias))
                if isinstance(node, LIF):
                    grain = self._grain(bias.detach())
                    self.fits[name] = bias.detach() % grain == 0
        self.keys = {name: f"n{index}" for index, name in enumerate(graph.nodes)}

    def groups(self, rate: float, bias_rate: float) -> list[dict[str, Any]]:
        """Parameter groups for an optimiser: rates relative to the largest mantissa, and to the layer's threshold."""
        groups: list[dict[str, Any]] = []
        for name, node in self.source.nodes.items():
            if isinstance(node, Synapse):
                groups.append({"params": [self.weights[self.keys[name]]], "lr": rate * self.tops[name][1]})
            elif isinstance(node, LIF):
                size = float(np.median(node.threshold)) * SUM_ONE
                groups.append({"params": [self.biases[self.keys[name]]], "lr": bias_rate * size})
            elif isinstance(node, Readout):
                # one unit of the output, so that a rate is a share of a logit
                size = 1.0 / (float(node.unit) * max(1, int(np.abs(node.weight).sum(0).max())))
                groups.append({"params": [self.biases[self.keys[name]]], "lr": bias_rate * size})
        return groups

    def mantissas(self, name: str) -> Tensor:
        """The weights of a synapse as they are deployed."""
        low, high = self.tops[name]
        return on_grid(self.weights[self.keys[name]]).clamp(low, high)

    def bias(self, name: str) -> Tensor:
        """The bias of a layer as it is deployed, in membrane units."""
        value = self.biases[self.keys[name]]
        if name not in self.fits:
            return on_grid(value)
        grain = self._grain(value.detach())
        largest = self.bias_largest * grain
        deployed = on_grid(value / grain).mul(grain).clamp(-largest, largest)
        return torch.where(self.fits[name], deployed, on_grid(value))

    def _grain(self, bias: Tensor) -> Tensor:
        """The smallest power of two with which each bias fits its mantissa."""
        need = (bias.abs() / self.bias_largest).clamp(min=1.0).log2().ceil()
        grain: Tensor = need.clamp(*self.bias_exponents).exp2()
        return grain

    def forward(self, samples: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Outputs in real units, [B, *output]; ``samples`` as the graph takes them, in real units.

        Samples of ``lengths`` [B] are read out at their own last steps.
        """
        return self.run(samples, lengths)[0]

    def run(self, samples: Tensor, lengths: Tensor | None = None) -> tuple[Tensor, dict[str, Tensor]]:
        """Outputs in real units, and every layer's spikes as zeros and ones [T, B, *neurons]."""
        graph = self.source
        whole = (samples.double() / float(graph.entry.unit)).round().float()
        values: dict[str, Tensor] = {graph.input: whole if graph.entry.coding == "events" else whole.unsqueeze(0)}
        spikes: dict[str, Tensor] = {}
        ends = torch.full((values[graph.input].shape[1],), graph.timesteps) if lengths is None else lengths
        for name in graph.order:
            if name == graph.input:
                continue
            x, *others = (reduce(add, (values[source] for source in group)) for group in graph.operands(name))
            node = graph[name]
            if isinstance(node, nodes.Operation):
                values[name] = operations.prepare(node, x.dtype)(x, *others)
            else:
                values[name] = self._node(name, node, x, ends)
            if isinstance(graph[name], LIF):
                spikes[name] = values[name]
        last = graph[graph.output]
        output = values[graph.output]
        if isinstance(last, Readout):
            return output, spikes
        return at_ends(torch.ones(graph.timesteps), output, ends), spikes

    def _node(self, name: str, node: Node, x: Tensor, ends: Tensor) -> Tensor:
        steps = self.source.timesteps
        if isinstance(node, Synapse):
            mantissas, exponent = self.mantissas(name), node.exponent
            if self.profile.weight_shift == "each" and exponent < 0 and not by_host(self.source, name):
                mantissas, exponent = _scaled(mantissas, exponent), 0
            return _scaled(_product(node, x, mantissas), exponent)
        if isinstance(node, LIF):
            return fire(node, x.expand(steps, *x.shape[1:]), self.bias(name), self.profile)
        if isinstance(node, Readout):
            entering = x.double() * SUM_ONE + spread(self.bias(name).double(), node.shape)
            weight = _floats(nodes.schedule_over_neurons(node.weight, node.shape)).double()
            whole = at_ends(weight, entering.expand(steps, *entering.shape[1:]), ends)
            return (whole * float(node.unit)).float()
        if isinstance(node, nodes.Delay):
            every = x.expand(steps, *x.shape[1:])
            return torch.cat([torch.zeros_like(every[: node.steps]), every])[:steps]
        return _plumbing(node, x)

    def graph(self) -> Graph:
        """The graph with the trained mantissas and biases."""
        changes: dict[str, Node] = {}
        with torch.no_grad():
            for name, node in self.source.nodes.items():
                if isinstance(node, Synapse):
                    changes[name] = node.with_(weight=self.mantissas(name).numpy().astype(node.weight.dtype))
                elif isinstance(node, LIF | Readout):
                    changes[name] = node.with_(bias=self.bias(name).numpy().astype(node.bias.dtype))
        return self.source.replace(changes)


def _bounds(graph: Graph, name: str, node: Synapse, top: int) -> tuple[int, int]:
    """The mantissas a synapse may hold: the bits and the sign mode it was quantised to."""
    facts = graph.provenance.get("quantised", {})
    bits = facts.get("weight_bits", {}).get(name) if isinstance(facts, Mapping) else None
    if bits is None:
        return -top, top - 1
    mantissa = Mantissa(int(bits), facts.get("signs", {}).get(name, "mixed"))
    return mantissa.low, mantissa.high


def _floats(value: Array) -> Tensor:
    return torch.as_tensor(np.array(value, dtype=np.float32))


def _product(node: Synapse, x: Tensor, weight: Tensor) -> Tensor:
    flat = x.flatten(0, 1)
    if isinstance(node, nodes.Linear):
        y = F.linear(flat, weight)
    else:
        assert isinstance(node, nodes.Conv)
        convolve = F.conv2d if weight.ndim == 4 else F.conv1d
        y = convolve(flat, weight, None, node.stride, node.padding, node.dilation, node.groups)
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _scaled(sums: Tensor, exponent: int) -> Tensor:
    """Sums times 2**exponent, rounded towards minus infinity; the gradient as without rounding."""
    exact = sums * 2.0**exponent
    return exact if exponent >= 0 else exact + (exact.floor() - exact).detach()


def _plumbing(node: Node, x: Tensor) -> Tensor:
    if isinstance(node, nodes.Flatten):
        return x.flatten(2)
    if isinstance(node, nodes.Scale):
        return x * _floats(over_neurons(node.factor, tuple(x.shape[2:])))
    assert isinstance(node, nodes.Pool)
    sides = [side for padding in reversed(node.padding) for side in (padding, padding)]
    flat = F.pad(x.flatten(0, 1), sides)  # torch's own pools refuse a padding of more than half a window
    if len(node.kernel) > 1:
        average = F.avg_pool2d if len(node.kernel) == 2 else F.avg_pool3d
        y = average(flat, node.kernel, node.stride, divisor_override=1)
    else:
        kernel, stride = (1, *node.kernel), (1, *node.stride)
        y = F.avg_pool2d(flat.unsqueeze(-2), kernel, stride, divisor_override=1).squeeze(-2)
    return y.reshape(*x.shape[:2], *y.shape[1:])
