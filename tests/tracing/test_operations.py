"""What people write between layers becomes operations, each proved spike for spike in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spikeport.engine import simulate
from spikeport.graph import (
    LIF,
    Concat,
    Dilate,
    Gate,
    MatMul,
    Maximum,
    Operation,
    Repeat,
    Reshape,
    Slice,
    Sum,
    definition,
)
from spikeport.quantisation.post_training import quantize
from spikeport.target import Request
from spikeport.tracing import capture
from traced import T, built, fired, plif


def frames(function, x):
    """A function of maps [batch, ...] on [T, B, ...]."""
    return function(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def heads(x):
    """[T, B, 4, 6, 6] as two heads of 2 * 6 values at 6 places."""
    return x.unflatten(2, (2, 2)).permute(0, 1, 2, 5, 3, 4).flatten(4)


def kernel(*size):
    """A weight [in, out / groups, 2, 3] of whole numbers, not symmetric."""
    return torch.arange(6.0 * size[0] * size[1]).reshape(*size, 2, 3).remainder(5) - 1


@pytest.mark.parametrize(
    ("joined", "kinds"),
    [
        (lambda m, a, b: torch.cat([a, b, a], 2), {Concat}),
        (lambda m, a, b: torch.cat([a + b, 2 * b], -1), {Concat}),
        (lambda m, a, b: torch.stack([b, a], 3), {Concat, Reshape}),
        (lambda m, a, b: torch.stack([torch.cat([x, y], 1) for x, y in zip(a, b, strict=True)]), {Concat}),
        (lambda m, a, b: a[:, :, 1:3], {Slice}),
        (lambda m, a, b: a[:, :, 2] + b[..., 3, :, :].narrow(2, 0, 6), {Slice}),
        (lambda m, a, b: b.chunk(2, 2)[1] + b.chunk(2, 2)[0], {Slice}),
        (lambda m, a, b: a.sum(2), {Sum}),
        (lambda m, a, b: b.mean((2, 4), keepdim=True), {Sum}),
        (lambda m, a, b: a * b.sum(2, keepdim=True), {Sum, Gate}),
        (lambda m, a, b: b[:, :, :1] * a, {Slice, Gate}),
        (lambda m, a, b: heads(a) * heads(b), {Reshape, Gate}),
        (lambda m, a, b: heads(a) @ heads(b).transpose(-1, -2), {Reshape, MatMul}),
        (lambda m, a, b: torch.matmul(a, b), {MatMul}),
        (lambda m, a, b: frames(lambda x: F.interpolate(x, scale_factor=2), b), {Repeat}),
        (lambda m, a, b: a.mean((3, 4), keepdim=True).expand(-1, -1, -1, 2, 3), {Repeat}),
        (lambda m, a, b: b.repeat_interleave(3, -1), {Repeat}),
        (lambda m, a, b: frames(lambda x: F.adaptive_avg_pool2d(F.adaptive_avg_pool2d(x, 1), 2), b), {Repeat}),
        (lambda m, a, b: frames(lambda x: F.conv_transpose2d(x, kernel(4, 3), None, 2, 1, 1, 2, (1, 2)), b), {Dilate}),
        (lambda m, a, b: frames(lambda x: F.max_pool2d(x, 3, 2, 1), a + b), {Maximum}),
        (lambda m, a, b: frames(lambda x: F.adaptive_max_pool2d(x, 2), a - b), {Maximum}),
        (lambda m, a, b: m.stem_lif(b.unflatten(2, (2, 2)).sum(2)), {Reshape, Sum}),
    ],
)
def test_what_stands_between_layers_is_captured(joined, kinds):
    graph = fired(capture(built(joined), (2, 6, 6)))
    assert {type(node) for node in graph.nodes_of(Operation).values()} == kinds


class Attention(nn.Module):
    """Spikformer's block (queries, keys, values, two products, a scale) or QKFormer's (a gate a token), and an MLP."""

    def __init__(self, kind, width=8):
        super().__init__()
        self.kind = kind
        self.stem, self.stem_lif = nn.Linear(3, width), plif()
        self.layers = nn.ModuleDict({name: nn.Linear(width, width) for name in ("q", "k", "v", "out", "mlp")})
        self.norms = nn.ModuleDict({name: nn.BatchNorm1d(width) for name in self.layers})
        self.neurons = nn.ModuleDict({name: plif() for name in (*self.layers, "attention")})
        self.head = nn.Linear(width, 4)
        for norm in self.norms.values():
            norm.running_var.uniform_(0.1, 0.4)
            norm.bias.data.uniform_(0, 0.3)

    def layer(self, name, x):
        """[T, B, N, C] to spikes: linear, batch normalisation over channels, neurons."""
        y = self.norms[name](self.layers[name](x).flatten(0, 1).transpose(1, 2)).transpose(1, 2)
        return self.neurons[name](y.reshape(x.shape))

    def split(self, x):
        return x.reshape(*x.shape[:3], 2, -1).permute(0, 1, 3, 2, 4)

    def attend(self, x):
        q, k = (self.split(self.layer(name, x)) for name in "qk")
        if self.kind == "qkformer":
            y = self.neurons["attention"](q.sum(-1, keepdim=True)) * k
            return y.transpose(2, 3).flatten(3)
        v = self.split(self.layer("v", x))
        y = (q @ k.transpose(-2, -1) @ v * 0.25).transpose(2, 3).flatten(3)
        return self.neurons["attention"](y)

    def forward(self, x):
        x = self.stem_lif(self.stem(x.unsqueeze(0).repeat(T, 1, 1, 1)))
        x = x + self.layer("out", self.attend(x))
        x = x + self.layer("mlp", x)
        return self.head(x.mean(2)).mean(0)


@pytest.mark.parametrize(
    ("kind", "operations"), [("spikformer", {MatMul, Reshape}), ("qkformer", {Gate, Sum, Reshape})]
)
def test_a_block_of_a_transformer_is_captured_and_quantised_and_every_spike_is_the_definitions(kind, operations):
    torch.manual_seed(1)
    graph = fired(capture(Attention(kind).eval(), (6, 3), timesteps=T, forward="sample"))
    assert {type(node) for node in graph.nodes_of(Operation).values()} >= operations
    x = np.random.default_rng(0).standard_normal((24, 6, 3)).astype(np.float32)
    integers = quantize(graph, x, run=simulate).graph
    truth, record = definition.run(integers, x), simulate(integers, x, Request(trains=True))
    assert np.array_equal(record.outputs, truth.outputs)
    for name in integers.nodes_of(LIF):
        assert truth.spikes(name).any()
        assert np.array_equal(record.trains[name].unpack(), truth.spikes(name))
