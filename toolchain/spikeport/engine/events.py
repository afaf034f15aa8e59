"""Counts, exactly, what synapses and neurons do while the engine runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from spikeport.engine.neuron import Fired, State, parameter
from spikeport.findings import Finding, fail
from spikeport.graph import LIF, Array, Conv, Graph, Input, Linear, Loihi, Synapse
from spikeport.record import Counts, Events, NeuronEvents, SynapseEvents


def beyond_message(node: Input, graph: Graph, value: Tensor) -> Iterator[Finding]:
    """Raises SP504 where integer input does not fit the bits of a message or the bounds that the graph was made for."""
    assert isinstance(graph.arithmetic, Loihi)
    low, high = int(value.min()), int(value.max())
    if low < node.low or high > node.high:
        fail(
            "SP504",
            f"input spans {low} ... {high} units of {float(node.unit):g}, the graph was made for "
            f"{node.low:g} ... {node.high:g}",
            where=f"node {graph.input!r}",
            mend="scale the input as the calibration data were, or quantise again with data that span it",
        )
    yield from ()


def fan(node: Synapse, shape: Sequence[int], *, effective: bool) -> Tensor:
    """For each input position, how many weights it reaches: float64 [*shape], exact whole numbers.

    ``effective`` leaves out weights that are zero. Borders and strides are exact: it is the transposed convolution of
    ones, that is the gradient of the sum of all outputs.
    """
    weight = torch.as_tensor(np.array(node.weight != 0 if effective else np.ones_like(node.weight))).double()
    with torch.inference_mode(False), torch.enable_grad():
        x = torch.zeros(1, *shape, dtype=torch.float64, requires_grad=True)
        if isinstance(node, Linear):
            y = F.linear(x, weight.clone())
        else:
            assert isinstance(node, Conv)
            convolve = F.conv2d if weight.ndim == 4 else F.conv1d
            y = convolve(x, weight.clone(), None, node.stride, node.padding, node.dilation, node.groups)
        (gradient,) = torch.autograd.grad(y.sum(), x)
    return gradient[0].round()


def of_synapse(node: Synapse, x: Tensor, steps: int) -> SynapseEvents:
    """Events of one synapse whose input is ``x`` [T or 1, B, *shape] (1: the same at every step)."""
    shape = tuple(x.shape[2:])
    nonzero = (x != 0).flatten(2)
    analog = bool((x != x.round()).any()) if x.is_floating_point() else False
    reach = [fan(node, shape, effective=effective).flatten().to(x.device) for effective in (True, False)]
    per_position = nonzero.sum(1).double()  # [T, positions], exact below 2**53

    def count(value: Tensor) -> Counts:
        whole = value.long().expand(steps) if value.shape[0] == 1 else value.long()
        return whole.cpu().numpy().copy()

    graded = ((x != 0) & (x.abs() != 1)).flatten(2).sum(1).double()
    size = torch.zeros_like(per_position) if analog else x.abs().sum(1, dtype=torch.float64).flatten(1)
    dense = torch.full((1,), float(reach[1].sum()) * x.shape[1], dtype=torch.float64)
    return SynapseEvents(
        inputs=count(per_position.sum(1)),
        payload=count(size.sum(1)),
        synops=count(per_position @ reach[0]),
        fanout=count(per_position @ reach[1]),
        graded=count(graded @ reach[1]),
        unary=count(size @ reach[1]),
        dense=count(dense),
        analog=analog,
        constant=x.shape[0] == 1 and steps > 1,
    )


def of_neurons(node: LIF, x: Tensor, fired: Fired, state: State | None) -> NeuronEvents:
    """Events of one neuron layer: a neuron is active in a step if it gets an input, held a state, or has a bias."""
    steps = fired.spikes.shape[0]
    first = torch.zeros_like(fired.after[:1]) if state is None else state.v[None]
    held = torch.cat([first, fired.after[:-1]])
    bias = parameter(node.bias, node, x)
    active = (held != 0) | (x != 0) | (bias != 0)
    batch = int(x.shape[1])
    return NeuronEvents(
        spikes=_per_step(fired.spikes),
        updates=np.full(steps, node.size * batch, dtype=np.int64),
        active=_per_step(active),
    )


def _per_step(mask: Tensor) -> Counts:
    counts: Array = mask.flatten(1).sum(1, dtype=torch.int64).cpu().numpy()
    return counts


def over_time(parts: Sequence[Events]) -> Events:
    """One event record of consecutive steps."""
    first = parts[0]
    if len(parts) == 1:
        return first
    joined: dict[str, Any] = {
        item.name: np.concatenate([getattr(part, item.name) for part in parts])
        for item in fields(first)
        if isinstance(getattr(first, item.name), np.ndarray)
    }
    if isinstance(first, SynapseEvents):
        joined |= {"analog": any(getattr(part, "analog", False) for part in parts), "constant": False}
    return replace(first, **joined)
