"""Any way of writing a network: residuals, reshapes, functional layers, shared parts. Each is proved in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Conv, Flatten, Linear, Norm, Pool, Readout, Scale
from spikeport.tracing import capture, register_neuron
from spikeport.training import PLIF, Repeat, method

T = 3
FIXED = method("fixed", threshold=0.3)


def plif():
    return PLIF(FIXED, T)


class Block(nn.Module):
    """Stem, then whatever ``joined`` does with the stem's spikes and a branch, then a head. Plain torch layers."""

    def __init__(self, joined, channels=4):
        super().__init__()
        self.joined = joined
        self.repeat = Repeat(T)
        self.stem, self.stem_lif = nn.Conv2d(2, channels, 3, padding=1), plif()
        self.branch, self.branch_lif = nn.Conv2d(channels, channels, 3, padding=1), plif()
        self.fc = nn.LazyLinear(5)

    def over(self, layer, x):
        return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def forward(self, x):
        a = self.stem_lif(self.over(self.stem, self.repeat(x)))
        b = self.branch_lif(self.over(self.branch, a))
        return self.fc(self.joined(self, a, b).flatten(2)).mean(0)


def built(joined):
    torch.manual_seed(0)
    module = Block(joined)
    with torch.no_grad():
        module(torch.zeros(1, 2, 6, 6))
    return module.eval()


def fired(graph):
    proof = graph.provenance["verified"]
    assert proof["spikes"] > 0
    assert not proof["silent"]
    return graph


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
        (lambda m, a, b: a * b, "SEW AND"),
        (lambda m, a, b: a * (1 - b), "SEW AND"),
        (lambda m, a, b: torch.cat([a, b], 2), "joins channels"),
        (lambda m, a, b: F.relu(a), "relu"),
        (lambda m, a, b: F.max_pool2d(a.flatten(0, 1), 2).unflatten(0, a.shape[:2]), "max_pool2d"),
        (lambda m, a, b: (a > 0.5).float(), "gt"),
        (lambda m, a, b: a[:, :, :2], "selects a part"),
        (lambda m, a, b: a.transpose(0, 1), "transpose"),
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
    assert "test_any_module.py line" in str(caught.value)


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


class Shared(nn.Module):
    """One convolution and one neuron layer, used twice."""

    def __init__(self):
        super().__init__()
        self.repeat, self.lif, self.fc = Repeat(T), plif(), nn.Linear(36 * 2, 3)
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def once(self, x):
        return self.lif(self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2]))

    def forward(self, x):
        return self.fc(self.once(self.once(self.repeat(x))).flatten(2)).mean(0)


def test_a_submodule_used_twice_is_two_nodes_with_the_same_weights():
    torch.manual_seed(0)
    graph = fired(capture(Shared().eval(), (2, 6, 6)))
    assert graph.order == ("input", "conv", "lif", "conv#2", "lif#2", "flatten", "fc", "readout")
    np.testing.assert_array_equal(graph["conv"].weight, graph["conv#2"].weight)


class Norms(nn.Module):
    """A batch norm before the layer, at a padded border; one behind it; one over features."""

    def __init__(self, first):
        super().__init__()
        self.first = first
        self.repeat, self.lif1, self.lif2 = Repeat(T), plif(), plif()
        self.before, self.after, self.flat = nn.BatchNorm2d(3), nn.BatchNorm2d(4), nn.BatchNorm1d(8)
        self.conv0, self.conv = nn.Conv2d(2, 3, 1), nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.fc, self.lif3, self.out = nn.Linear(4 * 36, 8), plif(), nn.Linear(8, 3)
        for norm in (self.before, self.after, self.flat):
            norm.running_mean.uniform_(-0.5, 0.5)
            norm.running_var.uniform_(0.3, 1.5)
            norm.weight.data.uniform_(-1.5, 1.5)
            norm.bias.data.uniform_(-0.7, 0.7)

    def forward(self, x):
        steps = (T, x.shape[0])
        x = self.repeat(x).flatten(0, 1)
        x = self.conv0(x)
        if not self.first:
            x = self.lif1(x.unflatten(0, steps)).flatten(0, 1)
        x = self.after(self.conv(self.before(x)))
        x = self.lif2(x.unflatten(0, steps)).flatten(0, 1)
        x = self.lif3(self.flat(self.fc(x.flatten(1))).unflatten(0, steps))
        return self.out(x).sum(0) / T


@pytest.mark.parametrize("first", [True, False])
def test_batch_norm_before_and_after_the_layer(first):
    torch.manual_seed(1)
    graph = fired(capture(Norms(first).eval(), (2, 6, 6)))
    assert not graph.nodes_of(Norm)


def test_a_norm_that_a_user_forgot_to_freeze_is_refused():
    module = nn.Sequential(
        Repeat(T), nn.Flatten(0, 1), nn.BatchNorm2d(2, track_running_stats=False), nn.Unflatten(0, (T, 2)), plif()
    )
    with pytest.raises(SpikeportError) as caught:
        capture(module, (2, 4, 4))
    assert "statistics of the batch" in str(caught.value)


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
    assert "SP381" in {found.code for found in caught.value.findings}


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
    assert "varies over time or batch" in str(caught.value)


class Mine(nn.Module):
    """u = 0.5 u + x; fires above 1; resets to -0.1."""

    def __init__(self, threshold=1.0):
        super().__init__()
        self.threshold = threshold

    def forward(self, x):
        v, spikes = torch.zeros_like(x[0]), []
        for step in x:
            u = 0.5 * v + step
            spikes.append((u > self.threshold).to(x.dtype))
            v = torch.where(u > self.threshold, torch.full_like(u, -0.1), u)
        return torch.stack(spikes)


def network(neuron):
    torch.manual_seed(0)
    return nn.Sequential(Repeat(T), nn.Linear(4, 16), neuron, nn.Linear(16, 3))


def test_a_neuron_of_ones_own_is_registered_with_a_converter_and_proved():
    register_neuron(
        Mine,
        lambda module, shape, steps: LIF(
            shape,
            decay=np.asarray(0.5),
            threshold=np.full(steps, module.threshold),
            reset="value",
            reset_value=np.asarray(-0.1),
            compare=">",
        ),
    )
    graph = fired(capture(network(Mine()), (4,)))
    assert isinstance(graph["2"], LIF)
    assert isinstance(graph["readout"], Readout)
    np.testing.assert_array_equal(graph["readout"].weight, np.full(T, 1 / T, np.float32))


def test_a_wrong_converter_is_found_out():
    class Liar(Mine):
        def forward(self, x):
            return super().forward(x)

    register_neuron(Liar, lambda module, shape, steps: LIF(shape, np.asarray(0.4), np.full(steps, 1.0), compare=">"))
    with pytest.raises(SpikeportError) as caught:
        capture(network(Liar()), (4,))
    assert caught.value.code == "SP382"
    assert "'2'" in str(caught.value)
    assert "verified" not in capture(network(Liar()), (4,), verify=False).provenance  # told not to look


def test_a_subclass_with_its_own_forward_is_another_neuron():
    register_neuron(Mine, lambda m, shape, steps: LIF(shape, np.asarray(0.5), np.full(steps, m.threshold), compare=">"))

    class Noisy(Mine):
        def forward(self, x):
            return super().forward(x + torch.rand_like(x))

    with pytest.raises(SpikeportError) as caught:
        capture(network(Noisy()), (4,))
    assert "'2' (Noisy)" in str(caught.value)


def test_a_sum_over_time_may_come_before_the_last_layer():
    torch.manual_seed(0)

    class Early(nn.Module):
        def __init__(self):
            super().__init__()
            self.repeat, self.fc, self.lif, self.out = Repeat(T), nn.Linear(4, 8), plif(), nn.Linear(8, 2)

        def forward(self, x):
            return self.out(self.lif(self.fc(self.repeat(x))).sum(0)) * 0.5

    graph = fired(capture(Early(), (4,)))
    assert isinstance(graph["out"], Linear)
    np.testing.assert_array_equal(graph["readout"].weight, np.full(T, 0.5, np.float32))


def test_convolutions_of_every_form():
    torch.manual_seed(0)
    net = nn.Sequential(
        Repeat(T),
        nn.Flatten(0, 1),
        nn.Conv2d(4, 8, (3, 2), stride=(1, 2), padding=(1, 0), dilation=(2, 1), groups=2),
        nn.Conv2d(8, 8, 3, padding="same", groups=8),
        nn.Unflatten(0, (T, -1)),
        plif(),
        nn.Flatten(2),
        nn.Linear(8 * 5 * 4, 3),
    )
    graph = fired(capture(net, (4, 7, 8)))
    assert graph["2"].groups == 2
    assert len(graph.nodes_of(Conv)) == 2


def test_one_dimension():
    torch.manual_seed(0)
    net = nn.Sequential(
        Repeat(T),
        nn.Flatten(0, 1),
        nn.Conv1d(2, 4, 3, padding=1),
        nn.BatchNorm1d(4),
        nn.AvgPool1d(2),
        nn.Unflatten(0, (T, -1)),
        plif(),
        nn.Flatten(2),
        nn.Linear(16, 3),
    )
    fired(capture(net, (2, 8)))


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
