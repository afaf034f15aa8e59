"""Any way of writing a network: residuals, reshapes, functional layers. Each is proved in float64, or refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spikeport.findings import SpikeportError
from spikeport.graph import Flatten, Norm, Pool, Scale
from spikeport.tracing import capture
from spikeport.training import Repeat
from traced import Block, T, built, fired, plif


def inplace(_m, a, b):
    b += a
    return b


def inplace_method(_m, a, b):
    return b.add_(a)


@pytest.mark.parametrize(
    "joined",
    [
        lambda m, a, b: a + b,
        inplace,
        inplace_method,
        lambda m, a, b: torch.add(a, b),
        lambda m, a, b: a.add(b),
        lambda m, a, b: sum([a, b]),
        lambda m, a, b: b + a + torch.zeros_like(a),
    ],
)
def test_a_residual_add_however_written_is_two_edges(joined):
    graph = fired(capture(built(joined), (2, 6, 6)))
    assert set(graph.sources("flatten")) == {"stem_lif", "branch_lif"}
    assert not graph.nodes_of(Scale)


@pytest.mark.parametrize(
    ("joined", "factors"),
    [
        (lambda m, a, b: a + a, [2]),
        (lambda m, a, b: a + b + a, [2]),
        (lambda m, a, b: a - b, [-1]),
        (lambda m, a, b: torch.sub(a, b, alpha=3), [-3]),
        (lambda m, a, b: a * 0.5 + b, [0.5]),
        (lambda m, a, b: b / 4 + 2 * a, [0.25, 2]),
        (lambda m, a, b: -b, [-1]),
    ],
)
def test_repeated_edges_and_constants_are_kept_as_scales(joined, factors):
    graph = fired(capture(built(joined), (2, 6, 6)))
    assert sorted(float(node.factor) for node in graph.nodes_of(Scale).values()) == sorted(factors)


@pytest.mark.parametrize("joined", [lambda m, a, b: a + 1.0, lambda m, a, b: 1 - b, lambda m, a, b: 0.5 + a - 0.25 + b])
def test_added_constants_are_kept(joined):
    graph = fired(capture(built(joined), (2, 6, 6), fold=False))
    assert graph.nodes_of(Norm)
    fired(capture(built(joined), (2, 6, 6)))


@pytest.mark.parametrize(
    ("joined", "word"),
    [
        (lambda m, a, b: F.avg_pool2d(a.flatten(0, 1), 3, 1, 1).unflatten(0, a.shape[:2]) ** 2, "neither of which"),
        (lambda m, a, b: F.relu(a - 0.5), "relu"),
        (lambda m, a, b: (a == 0.5).float(), "eq"),
        (lambda m, a, b: a[:, [0]], "selects a part"),
        (lambda m, a, b: a.transpose(0, 1), "over the batch"),
        (lambda m, a, b: torch.roll(a, 1, 0), "roll"),
        (lambda m, a, b: a + a[0], "time layouts"),
        (lambda m, a, b: torch.dropout(a, 0.5, True), "drops values"),
    ],
)
def test_what_a_graph_cannot_hold_is_refused_by_name(joined, word):
    module = Block(joined)
    module.fc = nn.LazyLinear(5)
    with torch.no_grad():
        module(torch.zeros(2, 2, 6, 6))
    with pytest.raises(SpikeportError) as caught:
        capture(module.eval(), (2, 6, 6))
    assert caught.value.code == "SP380"
    assert word in str(caught.value)
    assert any(f"{file}.py line" in str(caught.value) for file in ("test_any_module", "traced"))


@pytest.mark.parametrize(
    ("joined", "kind"),
    [
        (lambda m, a, b: F.avg_pool2d(b.flatten(0, 1), 2).unflatten(0, b.shape[:2]), Pool),
        (lambda m, a, b: F.adaptive_avg_pool2d(b.flatten(0, 1), 3).unflatten(0, b.shape[:2]), Pool),
        (lambda m, a, b: b.mean((3, 4)), Pool),
        (lambda m, a, b: b.mean((-2, -1), keepdim=True), Pool),
        (lambda m, a, b: b.sum(dim=(3, 4)), Pool),
        (lambda m, a, b: torch.flatten(b, 2), Flatten),
        (lambda m, a, b: b.reshape(b.shape[0], b.shape[1], -1), Flatten),
        (lambda m, a, b: b.view(*b.shape[:2], -1), Flatten),
        (lambda m, a, b: F.dropout(b, 0.5, m.training), Flatten),
        (lambda m, a, b: nn.Identity()(b).contiguous().clone(), Flatten),
        (lambda m, a, b: torch.stack([step for step in b]), Flatten),  # noqa: C416  (iterates over time)
        (lambda m, a, b: torch.stack([b[0], b[1], b[-1]]), Flatten),
        (lambda m, a, b: torch.cat([b[t].unsqueeze(0) for t in range(3)]), Flatten),
    ],
)
def test_functional_layers_and_reshapes(joined, kind):
    graph = fired(capture(built(joined), (2, 6, 6)))
    assert graph.nodes_of(kind)


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.repeat, self.fc, self.lif = Repeat(T), nn.Linear(4, 4), plif()

    def forward(self, x):
        y = self.lif(self.fc(self.repeat(x)))
        return y.mean(0) if y.sum() > 0 else y.sum(0)


def test_a_branch_on_values_is_refused():
    with pytest.raises(SpikeportError) as caught:
        capture(Branches(), (4,))
    assert "SP381" in {finding.code for finding in caught.value.findings}


class Square(torch.autograd.Function):
    """Hides what it does from every tracer."""

    @staticmethod
    def forward(ctx, x):
        return torch.from_numpy(np.square(x.detach().numpy()))


class Hidden(nn.Module):
    def __init__(self, act):
        super().__init__()
        self.act = act
        self.repeat, self.fc, self.lif, self.out = Repeat(T), nn.Linear(4, 4), plif(), nn.Linear(4, 2)

    def forward(self, x):
        return self.out(self.lif(self.fc(self.repeat(x)) + self.act(self.fc(self.repeat(x))))).mean(0)


def test_values_that_take_another_way_are_noticed():
    with pytest.raises(SpikeportError):
        capture(Hidden(Square.apply), (4,))


def test_a_fixed_random_constant_of_batch_shape_is_noticed():
    with pytest.raises(SpikeportError) as caught:
        capture(Hidden(lambda y: torch.rand(T, y.shape[1], 4)), (4,))
    assert "combines with random numbers, test_any_module.py line" in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "says"),
    [
        (torch.zeros(4, 2, 5), r"x\.shape\[2:\]"),
        ((0,), "whole numbers above zero"),
        ((2.5,), "whole numbers above zero"),
    ],
)
def test_samples_are_no_shape(shape, says):
    with pytest.raises(SpikeportError, match=says) as caught:
        capture(nn.Linear(5, 5), shape, timesteps=4)
    assert caught.value.code == "SP386"


@pytest.mark.parametrize(("shape", "code"), [((3,), "SP386"), ((2, 6), "SP386"), ((), "SP386")])
def test_a_wrong_input_shape_is_one_error(shape, code):
    with pytest.raises(SpikeportError) as caught:
        capture(built(lambda m, a, b: a), shape)
    assert caught.value.code == code


def test_no_neuron_at_all_is_one_error():
    with pytest.raises(SpikeportError) as caught:
        capture(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), (4,))
    assert "no neuron" in str(caught.value)


def test_nan_weights_are_one_error():
    module = built(lambda m, a, b: a)
    module.stem.weight.data[0] = float("nan")
    with pytest.raises(SpikeportError) as caught:
        capture(module, (2, 6, 6))
    assert caught.value.code == "SP114"


def view_changed(_m, a, b):
    other = b.flatten(2)
    b += a
    return other


def convolved_view_changed(m, a, b):
    """The convolution's own result is changed through its view, but nobody looks at it any more."""
    y = m.over(m.branch, b)
    y += a
    return y


def test_a_tensor_changed_behind_a_views_back_is_refused():
    with pytest.raises(SpikeportError) as caught:
        capture(built(view_changed), (2, 6, 6))
    assert "another view" in str(caught.value)


def test_a_view_that_nobody_else_holds_may_change():
    fired(capture(built(convolved_view_changed), (2, 6, 6)))
