"""Modules with several results: named ones and trains of spikes are all outputs of the graph, proved as one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

import spikeport
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import Peak, Readout, Scale
from spikeport.tracing import capture

snn = pytest.importorskip("snntorch")
T = 4


class Heads(nn.Module):
    """A layer whose spikes go to two heads; ``end`` makes the results of all that was recorded."""

    def __init__(self, end):
        super().__init__()
        self.end = end
        self.fc, self.lif = nn.Linear(6, 12), snn.Leaky(beta=0.9, threshold=0.3)
        self.one, self.side = nn.Linear(12, 3), nn.Linear(12, 2)
        self.out = snn.Leaky(beta=0.8, threshold=0.2)

    def forward(self, x):
        mem, last, record = self.lif.init_leaky(), self.out.init_leaky(), ([], [], [], [])
        for _ in range(T):
            spikes, mem = self.lif(self.fc(x), mem)
            fired, last = self.out(self.one(spikes), last)
            for steps, value in zip(record, (fired, self.side(spikes), spikes, last), strict=True):
                steps.append(value)
        return self.end(*map(torch.stack, record))


def results(net, x):
    """What the module returns, spikes counted over time and other blocks as their mean."""
    returned = net(x)
    values = list(returned.values()) if isinstance(returned, dict) else list(returned)
    counts = [bool(((v == 0) | (v == 1)).all()) for v in values]
    return [
        (v if v.ndim == 2 else v.sum(0) if c else v.mean(0)).detach().numpy()
        for v, c in zip(values, counts, strict=True)
    ]


ENDS = {
    "keys": (lambda fired, side, hidden, mem: {"class": fired, "angle": side}, ("class", "angle"), [Scale, Readout]),
    "a layer that leads on": (
        lambda fired, side, hidden, mem: {"first": hidden, "class": fired},
        ("first", "class"),
        [Scale, Scale],
    ),
    "trains": (lambda fired, side, hidden, mem: (fired, hidden), ("output0", "output1"), [Scale, Scale]),
    "sums": (lambda fired, side, hidden, mem: {"a": fired.sum(0), "b": side.mean(0)}, ("a", "b"), [Readout, Readout]),
    "highest": (lambda fired, side, hidden, mem: {"a": side.amax(0), "b": fired}, ("a", "b"), [Peak, Scale]),
}


@pytest.mark.parametrize("what", ENDS)
def test_all_results_are_outputs(what):
    torch.manual_seed(0)
    end, names, kinds = ENDS[what]
    net = Heads(end)
    graph = capture(net, (6,))
    assert graph.outputs == names
    assert [type(graph[name]) for name in graph.outputs] == kinds
    x = torch.randn(10, 6)
    record = simulate(graph, x.numpy())
    ours = [record.outputs, *record.further.values()]
    for mine, theirs in zip(ours, results(net, x), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


def test_a_module_with_several_outputs_runs_as_one_beside_its_graph():
    torch.manual_seed(0)
    net, x = Heads(ENDS["keys"][0]), np.random.default_rng(0).normal(size=(10, 6)).astype(np.float32)
    compared = spikeport.compare((net, (6,)), capture(net, (6,)), data=x)
    assert compared.parity.spike_mismatches == 0
    assert compared.parity.max_abs_output_difference < 1e-5


class Pair(NamedTuple):
    """A tuple whose places have names."""

    classes: torch.Tensor
    angle: torch.Tensor


@dataclass
class Parts:
    """A result with what is none."""

    classes: torch.Tensor
    angle: torch.Tensor
    steps: int = T


@pytest.mark.parametrize("kind", [Pair, Parts])
def test_fields_of_results_name_the_outputs(kind):
    torch.manual_seed(0)
    net = Heads(lambda fired, side, hidden, mem: kind(fired.sum(0), side.mean(0)))
    graph = capture(net, (6,))
    assert graph.outputs == ("classes", "angle")
    x = torch.randn(10, 6)
    record = simulate(graph, x.numpy())
    for name, mine in zip(graph.outputs, (record.outputs, *record.further.values()), strict=True):
        np.testing.assert_allclose(mine, getattr(net(x), name).detach().numpy(), atol=1e-5)


def test_a_place_of_a_tuple_with_names_is_chosen_by_number_or_name():
    torch.manual_seed(0)
    net = Heads(lambda fired, side, hidden, mem: Pair(fired.sum(0), side.mean(0)))
    one, other = capture(net, (6,), output=1), capture(net, (6,), output="angle")
    assert one.shapes[one.output] == other.shapes[other.output] == (2,)


def test_results_in_a_result_are_named_by_both_keys():
    torch.manual_seed(0)
    net = Heads(lambda fired, side, hidden, mem: {"task": {"a": fired, "b": side.mean(0)}, "steps": {"T": T}})
    assert capture(net, (6,)).outputs == ("task.a", "task.b")


@pytest.mark.parametrize(
    "end",
    [
        lambda fired, side, hidden, mem: (fired, mem),
        lambda fired, side, hidden, mem: list(fired),
        lambda fired, side, hidden, mem: {"class": fired, "size": torch.tanh(side)},
    ],
)
def test_recorded_membranes_steps_and_what_cannot_be_are_asked_for(end):
    """Membranes beside spikes may be a record, a list its steps; of a key that cannot be the reason is said."""
    with pytest.raises(SpikeportError, match="say which result counts") as caught:
        capture(Heads(end), (6,))
    assert caught.value.code == "SP385"
    advice = "leave out those" if isinstance(end(*[torch.zeros(1, 1, 1)] * 4), dict) else "return a dict"
    assert advice in str(caught.value)


@pytest.mark.parametrize(
    ("spikes_at", "end"), [(0, lambda s, side, h, mem: (s, mem)), (1, lambda s, side, h, mem: (mem, s))]
)
def test_a_refusal_says_which_result_is_spikes_and_how_to_take_it(spikes_at, end):
    net = Heads(end)
    with pytest.raises(SpikeportError, match=f"{spikes_at}: spikes") as caught:
        capture(net, (6,))
    assert f"output={spikes_at})" in caught.value.findings[0].mend
    graph = capture(net, (6,), output=spikes_at)
    x = torch.randn(10, 6)
    np.testing.assert_array_equal(simulate(graph, x.numpy()).outputs, net(x)[spikes_at].sum(0).detach().numpy())
