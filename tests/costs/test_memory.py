"""The memory-aware model: accesses between the published sizes, and SpikingJelly's figure for the same network."""

from __future__ import annotations

import warnings
from importlib import import_module

import numpy as np
import pytest
import torch

from spikeport.costs import estimate, find
from spikeport.costs.memory import access
from spikeport.engine import simulate
from spikeport.graph import LIF, Conv, Graph, Input, Linear
from spikeport.target import Request

MODEL = "lemaire2022-memory"
T = 4


@pytest.mark.parametrize(("size", "joule"), [(8, 10e-12), (32, 20e-12), (1024, 100e-12), (20, 15e-12), (4, 5e-12)])
def test_an_access_costs_what_is_published_and_lies_on_lines_between(size, joule):
    """64 bits an access: half of it for a word of 32; the other reading takes all of it for a word."""
    energy = access(find(MODEL), size * 1024)
    assert energy.nominal == energy.low == pytest.approx(joule / 2)
    assert energy.high == pytest.approx(joule)


def test_a_larger_memory_costs_more_beyond_the_last_size():
    per_byte = 80e-12 / (992 * 1024)
    assert access(find(MODEL), 2 * 2**20).high == pytest.approx(100e-12 + per_byte * 2**20)


def peers():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return tuple(import_module(f"spikingjelly.activation_based.{name}") for name in ("op_counter", "neuron"))
        except ImportError as error:
            pytest.skip(f"spikingjelly is not installed: {error}")


def theirs(layers, x):
    """SpikingJelly's estimate of torch layers, each followed by its LIF, for x [T, 1, ...], a step at a time."""
    counter, neuron = peers()
    modules = []
    for layer in layers:
        modules += [layer, neuron.LIFNode(tau=2.0, decay_input=False, v_threshold=1.0, v_reset=0.0, step_mode="s")]
    net = torch.nn.Sequential(*modules).eval()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        profiler = counter.LemaireEnergyProfiler()
        profiler.bind_model(net)
        with profiler:
            for step in x:
                net(step)
    return profiler.get_report()


def lif(*shape):
    return LIF(shape, decay=np.float32(0.5), threshold=np.ones(T, np.float32))


def test_spikingjelly_estimates_the_same_for_a_dense_network():
    torch.manual_seed(0)
    layers = [torch.nn.Linear(30, 40, bias=False), torch.nn.Linear(40, 10, bias=False)]
    for layer in layers:
        layer.weight.data = layer.weight.data.abs() * 4
    x = (torch.rand(T, 1, 30) < 0.3).float()
    report = theirs(layers, x)
    a, b = (layer.weight.detach().numpy() for layer in layers)
    graph = Graph.chain(
        {"input": Input((30,), "events"), "a": Linear(a), "one": lif(40), "b": Linear(b), "two": lif(10)}, T
    )
    record = simulate(graph, x.numpy(), Request(events=True))
    assert record.spike_counts["two"].sum() > 0
    ours = estimate(graph, record, [MODEL])[MODEL]
    assert ours.high * 1e12 == pytest.approx(report.total_pj, rel=1e-9)


def test_spikingjelly_estimates_the_same_for_a_pointwise_convolution():
    """A kernel of one tap, since SpikingJelly's count takes no heed of borders."""
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(2, 3, 1, bias=False)
    layer.weight.data = layer.weight.data.abs() * 4
    x = (torch.rand(T, 1, 2, 5, 5) < 0.5).float()
    report = theirs([layer], x)
    graph = Graph.chain(
        {"input": Input((2, 5, 5), "events"), "a": Conv(layer.weight.detach().numpy()), "one": lif(3, 5, 5)}, T
    )
    record = simulate(graph, x.numpy(), Request(events=True))
    assert record.spike_counts["one"].sum() > 0
    ours = estimate(graph, record, [MODEL])[MODEL]
    assert ours.high * 1e12 == pytest.approx(report.total_pj, rel=1e-9)


def test_the_ann_reads_an_input_of_a_matrix_once_by_hand():
    """30 inputs, 40 outputs, words of 4 bytes: 30 reads from a memory of 120 bytes, 1200 weights from one of 4800."""
    graph = Graph.chain({"input": Input((30,)), "a": Linear(np.ones((40, 30), np.float32)), "one": lif(40)}, T)
    record = simulate(graph, np.ones((1, 30), np.float32), Request(events=True))
    model = find(MODEL)
    parts = estimate(graph, record, [MODEL])[f"{MODEL}-ann"].breakdown
    assert parts["input reads"].nominal == pytest.approx(30 * access(model, 120).nominal)
    assert parts["weight reads"].nominal == pytest.approx(1200 * access(model, 4800).nominal)
