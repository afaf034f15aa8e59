"""Maps with a border of their own values, of another size, or pooled over unequal windows, each proved in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spikeport.engine import simulate
from spikeport.engine.run import Engine
from spikeport.findings import SpikeportError
from spikeport.formats import nir, onnx
from spikeport.graph import LIF, Concat, Conv, Maximum, Operation, Pool, Repeat, Reshape, Slice, Sum
from spikeport.quantisation.post_training import quantize
from spikeport.tracing import capture
from spikeport.training import Repeat as Repeated
from traced import T, built, fired, made, plif


def between(change):
    """A module with a change of maps [batch, 4, 6, 6] between its last neurons and its head."""
    return built(lambda m, a, b: change(b.flatten(0, 1)).unflatten(0, b.shape[:2]))


PADDED = {
    "replicate": lambda x: F.pad(x, (1, 2, 3, 0), mode="replicate"),
    "reflect": lambda x: F.pad(x, (1, 2, 3, 0), mode="reflect"),
    "circular": lambda x: F.pad(x, (1, 2, 3, 0), mode="circular"),
    "a module": nn.ReplicationPad2d(1),
    "one axis": lambda x: F.pad(x, (2, 0, 0, 0), mode="circular"),
    "one axis, of three": lambda x: F.pad(x.mean(2), (3, 1), mode="reflect"),
}
RESIZED = {
    "by 1.5": nn.Upsample(scale_factor=1.5, mode="bilinear"),
    "corners": nn.UpsamplingBilinear2d(scale_factor=2),
    "to a size": lambda x: F.interpolate(x, size=(9, 7), mode="bilinear"),
    "smaller": lambda x: F.interpolate(x, size=(4, 3), mode="bilinear", antialias=True),
    "cubic": lambda x: F.interpolate(x, scale_factor=(2, 3), mode="bicubic"),
    "areas": lambda x: F.interpolate(x, size=(4, 5), mode="area"),
    "nearest to no multiple": lambda x: F.interpolate(x, size=(4, 9)),
    "nearest, exact": lambda x: F.interpolate(x, size=(4, 9), mode="nearest-exact"),
    "one axis": lambda x: F.interpolate(x.flatten(2), size=50, mode="linear"),
}
UNEQUAL = {
    "adaptive": nn.AdaptiveAvgPool2d((4, 5)),
    "ceil of more than there is": lambda x: nn.AvgPool2d(3, 2, ceil_mode=True)(x[..., :2]),
    "adaptive, larger": nn.AdaptiveAvgPool2d((4, 9)),
    "ceil": nn.AvgPool2d(4, ceil_mode=True),
    "ceil and a border": nn.AvgPool2d(3, 2, 1, ceil_mode=True),
    "fewer at the border": nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    "another divisor": nn.AvgPool2d(4, 3, 1, ceil_mode=True, divisor_override=5),
    "sums": nn.LPPool2d(1, 4, ceil_mode=True),
}
LARGEST = {
    "ceil": nn.MaxPool2d(4, ceil_mode=True),
    "gaps": nn.MaxPool2d(2, 2, 1, dilation=3),
    "adaptive": nn.AdaptiveMaxPool2d((4, 5)),
}


@pytest.mark.parametrize("change", PADDED.values(), ids=PADDED)
def test_a_border_of_its_own_values_is_moved_values(change):
    graph = fired(capture(between(change), (2, 6, 6)))
    assert set(map(type, graph.nodes_of(Operation).values())) <= {Slice, Repeat, Concat, Sum, Reshape}


@pytest.mark.parametrize("change", {**RESIZED, **UNEQUAL}.values(), ids={**RESIZED, **UNEQUAL})
def test_another_size_is_a_matrix_along_each_axis(change):
    graph = fired(capture(between(change), (2, 6, 6)))
    assert not graph.nodes_of(Pool)
    for conv in list(graph.nodes_of(Conv).values())[2:]:
        assert set(conv.kernel) == {1}


@pytest.mark.parametrize("factor", [2, 3, 4, 5])
@pytest.mark.parametrize("axes", [1, 2])
def test_linear_interpolation_to_a_multiple_is_means_of_repeated_values(factor, axes):
    mode = {1: "linear", 2: "bilinear"}[axes]

    def change(x):
        return F.interpolate(x if axes == 2 else x.flatten(2), scale_factor=factor, mode=mode)

    graph = fired(capture(between(change), (2, 6, 6)))
    assert len(graph.nodes_of(Conv)) == 2
    assert len(graph.nodes_of(Pool)) == 2 - factor % 2


@pytest.mark.parametrize("change", LARGEST.values(), ids=LARGEST)
def test_the_largest_of_spikes_over_any_window_is_neurons_along_each_axis(change):
    assert len(fired(capture(between(change), (2, 6, 6))).nodes_of(LIF)) == 4


class Way(nn.Module):
    """Two convolutions of borders that are not zero, a change of the map between them."""

    def __init__(self, change):
        super().__init__()
        self.repeat, self.change = Repeated(T), change
        self.first, self.lif = nn.Conv2d(2, 4, 3, padding=1, padding_mode="replicate"), plif()
        self.second, self.last = nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"), plif()
        self.head = nn.LazyLinear(5)

    def over(self, layer, x):
        return layer(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def forward(self, x):
        x = self.lif(self.over(self.first, self.repeat(x)))
        x = self.last(self.over(self.second, self.over(self.change, x)))
        return self.head(x.flatten(2)).mean(0)


def whole(change):
    return made(lambda: Way(change))


INTEGERS = {
    "linear": nn.Upsample(scale_factor=2, mode="bilinear"),
    "linear, by three": nn.Upsample(scale_factor=3, mode="bilinear"),
    "circular": nn.CircularPad2d(2),
    "largest": nn.MaxPool2d(4, ceil_mode=True),
}


@pytest.mark.parametrize("change", INTEGERS.values(), ids=INTEGERS)
def test_the_same_in_integers_and_in_files(change, tmp_path):
    x = np.random.default_rng(0).random((12, 2, 6, 6)).astype(np.float32)
    module = whole(change)
    graph = fired(capture(module, (2, 6, 6)))
    with torch.no_grad():
        np.testing.assert_allclose(simulate(graph, x).outputs, module(torch.from_numpy(x)), rtol=1e-4, atol=1e-5)
    integers = quantize(graph, x, run=simulate, steps=()).graph
    outputs = simulate(integers, x).outputs
    assert outputs.any()
    assert np.array_equal(Engine(integers, kernels="plain").simulate(x).outputs, outputs)
    for form, name in ((nir, "a.nir"), (onnx, "a.onnx")):
        form.write(integers, tmp_path / name)
        assert np.array_equal(simulate(form.read(tmp_path / name)[0], x).outputs, outputs)


@pytest.mark.parametrize("change", [UNEQUAL["adaptive"], UNEQUAL["ceil"], RESIZED["corners"]])
def test_a_matrix_along_an_axis_is_a_part_of_the_last_layer_in_integers(change):
    graph = capture(between(change), (2, 6, 6))
    x = np.random.default_rng(0).random((40, 2, 6, 6)).astype(np.float32)
    integers = quantize(graph, x, run=simulate, steps=()).graph
    assert len(integers.nodes_of(Conv)) == 2
    assert (simulate(integers, x).outputs.argmax(1) == simulate(graph, x).outputs.argmax(1)).mean() > 0.8


#: of maps of 6 x 6, windows that reach over the border at one side, with and without a border of their own
OVER = {
    "by two": nn.MaxPool2d(4, ceil_mode=True),
    "with a border": nn.MaxPool2d(3, 2, 1, ceil_mode=True),
    "one axis": nn.MaxPool2d((2, 4), (2, 3), (0, 1), ceil_mode=True),
    "left out where a window would begin outside": nn.MaxPool2d(2, 5, 1, ceil_mode=True),
}


@pytest.mark.parametrize("change", OVER.values(), ids=OVER)
def test_a_maximum_of_values_whose_windows_reach_over_the_border(change):
    """Of values of both signs, so that no 0 may stand beyond the border: the last places are there again."""
    module = whole(lambda x: change(x * 2 - 1.5))
    graph = fired(capture(module, (2, 6, 6)))
    assert len(graph.nodes_of(Maximum)) == 1
    x = np.random.default_rng(0).random((12, 2, 6, 6)).astype(np.float32)
    with torch.no_grad():
        np.testing.assert_allclose(simulate(graph, x).outputs, module(torch.from_numpy(x)), rtol=1e-4, atol=1e-5)


def test_what_no_pool_of_values_can_be_is_refused_once():
    """What is behind it is not refused as well."""
    behind = nn.MaxPool2d(4, ceil_mode=True), nn.ReplicationPad2d(1)
    change = nn.Sequential(nn.MaxPool2d(2, dilation=2), *behind)
    module = whole(lambda x: change(x * 2 - 1))
    with pytest.raises(SpikeportError, match="gaps in its windows") as caught:
        capture(module, (2, 6, 6))
    assert [finding.code for finding in caught.value.findings] == ["SP380"]


def test_a_mode_that_is_no_sum_is_refused():
    with pytest.raises(SpikeportError, match="takes places away"):
        capture(between(lambda x: F.pad(x, (-1, 0, 0, 0), mode="circular")), (2, 6, 6))
