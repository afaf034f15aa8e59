"""Winograd's convolutions are torch's: values, both gradients, and the digits that single precision keeps."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from spikeport.train import winograd
from spikeport.train.layers import Conv2d
from spikeport.train.loop import Training, fit
from spikeport.train.parts import Part
from spikeport.train.recipe import parse
from spikeport_models import datasets
from spikeport_models.networks import build
from tiny_training import TINY

UNIT = {torch.float32: 32, torch.float64: 16}  # channels come in multiples of two vectors


def case(dtype, maps, entering, leaving, size, padding, seed=0):
    """Input, kernel and gradient of the output, channels-last."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=dtype).to(memory_format=torch.channels_last)

    down, across = (side + 2 * padding - 2 for side in size)
    unit = UNIT[dtype]
    return (
        normal(maps, entering * unit, *size), normal(leaving * unit, entering * unit, 3, 3),
        normal(maps, leaving * unit, down, across),
    )  # fmt: skip


def all_three(convolution, x, weight, grad, padding):
    """Output, gradient of the input and of the kernel."""
    x, weight = x.detach().requires_grad_(), weight.detach().requires_grad_()
    y = convolution(x, weight, padding)
    return [y.detach(), *torch.autograd.grad(y, (x, weight), grad)]


def direct(x, weight, padding):
    return F.conv2d(x, weight, padding=padding)


@settings(deadline=None)
@given(
    maps=st.integers(1, 3), entering=st.integers(1, 3), leaving=st.integers(1, 3), height=st.integers(1, 9),
    width=st.integers(1, 9), padding=st.integers(0, 1), seed=st.integers(0, 999),
)  # fmt: skip
def test_the_convolution_and_its_gradients_are_torchs(maps, entering, leaving, height, width, padding, seed):
    """In double precision, where an error in the equations has nowhere to hide; odd sides, single rows and maps."""
    size = (height + 2 * (1 - padding), width + 2 * (1 - padding))  # without padding a kernel needs three rows
    numbers = case(torch.float64, maps, entering, leaving, size, padding, seed)
    ours, theirs = (all_three(some, *numbers, padding) for some in (winograd.convolved, direct))
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_many_blocks_of_tiles_are_one_convolution():
    """More tiles than a block holds, and a last block that is not full."""
    numbers = case(torch.float64, 5, 1, 2, (17, 23), 1)
    assert 2 * winograd.BLOCK < 5 * 9 * 12
    for a, b in zip(*(all_three(some, *numbers, 1) for some in (winograd.convolved, direct)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("spikes", [False, True])
@pytest.mark.parametrize(("maps", "wide", "side"), [(16, 4, 16), (4, 16, 8), (4, 2, 32)])
def test_single_precision_keeps_the_digits_of_a_direct_convolution(maps, wide, side, spikes):
    """Errors against double precision, root mean square and largest, are at most so many times torch's.

    The kernel's gradient sums fewest numbers, so that the roundings of the transforms weigh most.
    """
    most = {"output": 1.5, "input": 1.5, "kernel": 3.0}
    x, weight, grad = case(torch.float32, maps, wide, wide, (side, side), 1)
    x = (x > 0.8).float() if spikes else x
    exact = all_three(direct, x.double(), weight.double(), grad.double(), 1)
    for name, ours, theirs, right in zip(
        most, all_three(winograd.convolved, x, weight, grad, 1),
        all_three(direct, x, weight, grad, 1), exact, strict=True,
    ):  # fmt: skip
        off, peer = ours.double() - right, theirs.double() - right
        assert 0 < off.norm() <= most[name] * peer.norm(), name
        assert off.abs().max() <= most[name] * peer.abs().max(), name


def test_any_order_in_memory():
    """Input, kernel and gradient that lie elsewhere than channels-last: slices, expanded and plain."""
    x, weight, grad = case(torch.float64, 2, 1, 2, (6, 5), 1)
    wide = torch.zeros(2, 16, 6, 7, dtype=torch.float64)
    wide[..., 1:6] = x
    layouts = [
        (wide[..., 1:6], weight.contiguous(), grad.contiguous()),
        (x, weight, grad[:1, :1, :1, :1].expand_as(grad)),
    ]
    for numbers in layouts:
        for a, b in zip(*(all_three(some, *numbers, 1) for some in (winograd.convolved, direct)), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("wants", [(True, False), (False, True)])
def test_only_the_wanted_gradients_are_computed(wants, monkeypatch):
    done = []
    for name in ("_convolve", "_correlate"):
        own = getattr(winograd, name)
        monkeypatch.setattr(winograd, name, lambda *a, own=own, name=name: done.append(name) or own(*a))
    x, weight, grad = case(torch.float64, 1, 1, 1, (4, 4), 1)
    winograd.convolved(x.requires_grad_(wants[0]), weight.requires_grad_(wants[1]), 1).backward(grad)
    assert done == ["_convolve", "_convolve" if wants[0] else "_correlate"]
    assert (x.grad is not None, weight.grad is not None) == wants


def test_gradients_of_gradients():
    """By torch's own operations."""
    x, weight, _ = case(torch.float64, 1, 1, 1, (3, 4), 1)
    x, weight = x[:, :, :2].requires_grad_(), weight.requires_grad_()
    found = []
    for convolution in (winograd.convolved, direct):
        (g,) = torch.autograd.grad(convolution(x, weight, 1).square().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(g.square().sum(), (x, weight)))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.fixture
def threads():
    """Sets the number of threads; put back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("several", [1, 2, 3, 5])
def test_neither_a_rerun_nor_the_number_of_threads_changes_a_bit(several, threads):
    """Five threads are more than there are pairs of panels of inputs: the kernel's gradient is split both ways."""
    numbers, found = case(torch.float32, 3, 3, 2, (31, 33), 1), []
    for count in (1, several, several):
        threads(count)
        found.append(all_three(winograd.convolved, *numbers, 1))
    for again in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], again, strict=True))


@pytest.fixture
def taken(monkeypatch):
    """How often layers went through Winograd's convolution, on a processor said to have AVX512."""
    calls, own = [], winograd.convolved
    monkeypatch.setattr(winograd, "convolved", lambda *a: calls.append(a) or own(*a))
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    return calls


def layer(entering=256, leaving=256, **options):
    options = {"kernel_size": 3, "padding": 1, "bias": False, **options}
    return Conv2d(entering, leaving, **options).to(memory_format=torch.channels_last)


def maps(channels=256, side=16, steps=2, batch=4):
    x = torch.rand(steps * batch, channels, side, side).to(memory_format=torch.channels_last)
    return x.unflatten(0, (steps, batch))


def test_a_wide_layer_in_training_takes_it(taken):
    conv, x = layer(), maps()
    y = conv(x)
    torch.testing.assert_close(y[0], F.conv2d(x[0], conv.weight, padding=1), rtol=1e-4, atol=1e-5)
    assert len(taken) == 1
    assert y.shape == (2, 4, 256, 16, 16)


def test_a_repeated_frame_is_convolved_once(taken):
    frame = torch.rand(16, 256, 16, 16).to(memory_format=torch.channels_last)
    y = layer()(frame.expand(3, *frame.shape))
    assert [given[0].shape for given in taken] == [frame.shape]
    assert y.stride(0) == 0


@pytest.mark.parametrize(
    ("conv", "x"),
    [
        (layer(stride=2), maps()), (layer(kernel_size=1, padding=0), maps()), (layer(dilation=2, padding=2), maps()),
        (layer(groups=2), maps()), (layer(bias=True), maps()), (layer(padding_mode="circular"), maps()),
        (layer(padding="same"), maps()), (layer(3), maps(3)), (layer(250), maps(250)), (layer(32, 32), maps(32)),
        (layer(), maps(side=3)), (layer(), maps(batch=1, side=4)), (layer(), maps().contiguous()),
        (layer().double(), maps().double()),
    ],
    ids=["stride", "1x1", "dilation", "groups", "bias", "circular", "same", "few channels", "odd channels",
         "narrow", "3x3 maps", "few tiles", "channels first", "double"],
)  # fmt: skip
def test_the_rest_stays_with_torch(conv, x, taken):
    conv(x)
    assert not taken


def test_evaluation_bf16_and_the_switch_stay_with_torch(taken, monkeypatch):
    conv, x = layer(), maps()
    with torch.no_grad():
        conv(x)
    with torch.autocast("cpu", torch.bfloat16):
        conv(x)
    copy.deepcopy(conv).requires_grad_(False)(x)
    monkeypatch.setenv("SPIKEPORT_KERNELS", "plain")
    conv(x)
    monkeypatch.delenv("SPIKEPORT_KERNELS")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    conv(x)
    assert not taken


def test_the_compiler_traces_torchs_convolution(taken):
    conv, x = layer(), maps()
    y = torch.compile(conv, backend="aot_eager", fullgraph=True)(x)
    assert not taken
    torch.testing.assert_close(y, conv(x), rtol=1e-4, atol=1e-5)


def test_a_short_training_on_digits_learns_either_way(monkeypatch, threads):
    """Two layers of 32 channels, where the rule would not choose it; of 100 images, seeds differ by some."""
    threads(1)  # layers this small do not repay more
    calls, own, reached = [], winograd.convolved, []
    monkeypatch.setattr(winograd, "convolved", lambda *a: calls.append(a) or own(*a))
    recipe = parse({**TINY, "architecture": {"channels": [32, 32], "strides": [1, 1], "hidden": 32}})
    parts = [(datasets.load("digits", split), count) for split, count in (("train", 300), ("val", 100))]
    trained, checked = (Part.of(data.x[:count], data.y[:count], data.coding) for data, count in parts)
    for rule in (winograd.possible, lambda *_: False):
        monkeypatch.setattr(winograd, "applies", rule)
        torch.manual_seed(0)
        module = build("conv", input_shape=(1, 8, 8), classes=10, timesteps=2, train_with="ds-atgo",
                       options=recipe.architecture).to(memory_format=torch.channels_last)  # fmt: skip
        reached.append(fit(Training.begin(module, recipe, len(trained)), trained, checked).val_accuracy)
    assert len(calls) == 6 * (15 + 1)  # one layer, in the steps and the evaluation of six epochs
    assert min(reached) > 0.75
    assert abs(reached[0] - reached[1]) <= 0.1
