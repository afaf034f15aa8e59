"""An integer graph as a trainable module: the forward pass computes the engine's integers, bit for bit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spikeport.findings import fail
from spikeport.graph import (
    DECAY_ONE,
    LIF,
    STATE_SHIFT,
    Array,
    Conv,
    CubaLIF,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Loihi,
    Node,
    Pool,
    Readout,
    Scale,
    Synapse,
    over_neurons,
    schedule_over_neurons,
)
from spikeport.quantisation.mantissa import Mantissa

SUM_ONE = float(1 << STATE_SHIFT)  #: membrane units in one unit of a sum


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
        self.source = graph
        profile = graph.arithmetic.profile
        self.top = 2 ** (profile.weight_bits - 1)
        self.bias_largest = 2 ** (profile.bias_bits - 1) - 1
        self.bias_exponents = profile.bias_exponent
        self.state_top = 2.0 ** (profile.state_bits - 1) - 1  # largest membrane
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
        found: list[dict[str, Any]] = []
        for name, node in self.source.nodes.items():
            if isinstance(node, Synapse):
                found.append({"params": [self.weights[self.keys[name]]], "lr": rate * self.tops[name][1]})
            elif isinstance(node, LIF):
                size = float(np.median(node.threshold)) * SUM_ONE
                found.append({"params": [self.biases[self.keys[name]]], "lr": bias_rate * size})
            elif isinstance(node, Readout):
                # one unit of the output, so that a rate is a share of a logit
                size = 1.0 / (float(node.unit) * max(1, int(np.abs(node.weight).sum())))
                found.append({"params": [self.biases[self.keys[name]]], "lr": bias_rate * size})
        return found

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
        held = on_grid(value / grain).mul(grain).clamp(-largest, largest)
        return torch.where(self.fits[name], held, on_grid(value))

    def _grain(self, bias: Tensor) -> Tensor:
        """The smallest power of two with which each bias fits its mantissa."""
        need = (bias.abs() / self.bias_largest).clamp(min=1.0).log2().ceil()
        grain: Tensor = need.clamp(*self.bias_exponents).exp2()
        return grain

    def forward(self, samples: Tensor) -> Tensor:
        """Outputs in real units, [B, *output]; ``samples`` as the graph takes them, in real units."""
        return self.run(samples)[0]

    def run(self, samples: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Outputs in real units, and every layer's spikes as zeros and ones [T, B, *neurons]."""
        graph = self.source
        node = graph[graph.input]
        assert isinstance(node, Input)
        whole = (samples.double() / float(node.unit)).round().float()
        values: dict[str, Tensor] = {graph.input: whole if node.coding == "events" else whole.unsqueeze(0)}
        spikes: dict[str, Tensor] = {}
        for name in graph.order:
            if name == graph.input:
                continue
            x = _added(name, graph, values)
            values[name] = self._node(name, graph[name], x)
            if isinstance(graph[name], LIF):
                spikes[name] = values[name]
        last = graph[graph.output]
        output = values[graph.output]
        return (output if isinstance(last, Readout) else output.sum(0)), spikes

    def _node(self, name: str, node: Node, x: Tensor) -> Tensor:
        steps = self.source.timesteps
        if isinstance(node, Synapse):
            return _scaled(_product(node, x, self.mantissas(name)), node.exponent)
        if isinstance(node, LIF):
            return _fire(node, x, self.bias(name), steps, self.state_top)
        if isinstance(node, Readout):
            weight = _floats(node.weight).double().reshape(-1, *(1,) * (x.ndim - 1))
            spread = _spread(self.bias(name).double(), node.shape)
            whole = (weight * (x.double() * SUM_ONE + spread)).sum(0)
            return (whole * float(node.unit)).float()
        if isinstance(node, Delay):
            wide = x.expand(steps, *x.shape[1:])
            return torch.cat([torch.zeros_like(wide[: node.steps]), wide])[:steps]
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
    held = Mantissa(int(bits), facts.get("signs", {}).get(name, "mixed"))
    return held.low, held.high


def _floats(value: Array) -> Tensor:
    return torch.as_tensor(np.array(value, dtype=np.float32))


def _spread(value: Tensor, shape: tuple[int, ...]) -> Tensor:
    return value.reshape(-1, *(1,) * (len(shape) - 1)) if value.ndim == 1 else value


def _added(name: str, graph: Graph, values: Mapping[str, Tensor]) -> Tensor:
    first, *others = (values[source] for source in graph.sources(name))
    for other in others:
        first = first + other
    return first


def _product(node: Synapse, x: Tensor, weight: Tensor) -> Tensor:
    flat = x.flatten(0, 1)
    if isinstance(node, Linear):
        y = F.linear(flat, weight)
    else:
        assert isinstance(node, Conv)
        convolve = F.conv2d if weight.ndim == 4 else F.conv1d
        y = convolve(flat, weight, None, node.stride, node.padding, node.dilation, node.groups)
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _scaled(sums: Tensor, exponent: int) -> Tensor:
    """Sums times 2**exponent, rounded towards minus infinity; the gradient as without rounding."""
    exact = sums * 2.0**exponent
    return exact if exponent >= 0 else exact + (exact.floor() - exact).detach()


def _plumbing(node: Node, x: Tensor) -> Tensor:
    if isinstance(node, Flatten):
        return x.flatten(2)
    if isinstance(node, Scale):
        return x * _floats(over_neurons(node.factor, tuple(x.shape[2:])))
    assert isinstance(node, Pool)
    sides = [side for padding in reversed(node.padding) for side in (padding, padding)]
    flat = F.pad(x.flatten(0, 1), sides)  # torch's own pools refuse a padding of more than half a window
    if len(node.kernel) == 2:
        y = F.avg_pool2d(flat, node.kernel, node.stride, divisor_override=1)
    else:
        kernel, stride = (1, *node.kernel), (1, *node.stride)
        y = F.avg_pool2d(flat.unsqueeze(-2), kernel, stride, divisor_override=1).squeeze(-2)
    return y.reshape(*x.shape[:2], *y.shape[1:])


def _fire(node: LIF, x: Tensor, bias: Tensor, steps: int, top: float) -> Tensor:
    spread = _spread(bias, node.shape)
    wide = x.expand(steps, *x.shape[1:])
    spikes: Tensor = _Fire.apply(wide, spread, node, top)  # type: ignore[no-untyped-call]
    return spikes


class _Fire(torch.autograd.Function):
    """Integer neurons forward; backward through time with a rectangular surrogate as wide as the threshold."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor, node: LIF, top: float) -> Tensor:
        theta = _doubles(schedule_over_neurons(node.threshold, node.shape)).unsqueeze(1) * SUM_ONE
        decay = _doubles(over_neurons(node.decay, node.shape))
        start = _doubles(over_neurons(node.reset_value, node.shape))
        v = torch.zeros(x.shape[1:], dtype=torch.float64)
        current = torch.zeros_like(v)
        spikes, near = [], []
        for t in range(x.shape[0]):
            arriving = x[t].double() * SUM_ONE
            if isinstance(node, CubaLIF):
                leak = _doubles(over_neurons(node.current_decay, node.shape))
                current = torch.trunc(current * leak / DECAY_ONE) + arriving
                arriving = current
            u = (torch.trunc(v * decay / DECAY_ONE) + arriving + bias.double()).clamp_(-top, top)
            fired = u > theta[t]
            near.append(((u - theta[t]).abs() < theta[t] / 2).float() / theta[t].float())
            spikes.append(fired)
            v = _reset(node, u, fired, theta[t], start)
        ctx.node = node
        ctx.bias_shape = bias.shape
        out = torch.stack(spikes)
        ctx.save_for_backward(out, torch.stack(near))
        return out.float()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (grad,) = grads
        spikes, near = ctx.saved_tensors
        node: LIF = ctx.node
        decay = _doubles(over_neurons(node.decay, node.shape)).float() / DECAY_ONE
        held = torch.zeros_like(grad[0])
        current = torch.zeros_like(grad[0])
        entering = torch.empty_like(grad)
        to_bias = torch.zeros_like(grad[0])
        for t in range(grad.shape[0] - 1, -1, -1):
            passed = held if node.reset in ("subtract", "none") else held.masked_fill(spikes[t], 0.0)
            g = grad[t] * near[t] + passed
            to_bias += g
            held = g * decay
            if isinstance(node, CubaLIF):
                leak = _doubles(over_neurons(node.current_decay, node.shape)).float() / DECAY_ONE
                current = g + current * leak
                entering[t] = current * SUM_ONE
            else:
                entering[t] = g * SUM_ONE
        return entering, to_bias.sum(0).sum_to_size(ctx.bias_shape), None, None


def _reset(node: LIF, u: Tensor, fired: Tensor, theta: Tensor, value: Tensor) -> Tensor:
    if node.reset == "zero":
        return u.masked_fill(fired, 0.0)
    if node.reset == "subtract":
        return torch.where(fired, u - theta, u)
    if node.reset == "value":
        return torch.where(fired, value.expand_as(u), u)
    return u


def _doubles(value: Array) -> Tensor:
    return torch.as_tensor(np.array(value, dtype=np.float64))
