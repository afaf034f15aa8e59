"""Losses, learned widths, masks and the readout, from their formulas."""

import math

import pytest
import torch
import torch.nn.functional as F

from spikeport.findings import SpikeportError
from spikeport.training import LIF, PLIF, DsAtgo, Fixed, Lsg, Masked, MpdAgl, Psg, Readout, TdBatchNorm, method
from spikeport.training.loop import train_step
from spikeport.training.losses import cross_entropy, near_threshold, tet
from spikeport.training.recipe import parse
from spikeport.training.surrogates import SHAPES, slope
from tiny_training import TINY, blobs, network


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("width", [0.3, 1.0, 2.5])
def test_every_surrogate_has_area_one_and_height_one_over_width(shape, width):
    k = torch.tensor(width).double()
    d = torch.linspace(-2000, 2000, 8_000_001, dtype=torch.float64)
    area = float(slope(d, k, shape).sum() * (d[1] - d[0]))
    assert area == pytest.approx(1.0, abs=2e-3)  # a rectangle's edge may fall between two points
    assert float(slope(torch.zeros(1).double(), k, shape)) == pytest.approx(1 / width)


def test_the_rectangle_is_open():
    k = torch.tensor(1.0)
    assert slope(torch.tensor([-0.5, -0.49, 0.49, 0.5]), k).tolist() == [0, 1, 1, 0]


def test_tet_with_no_share_is_the_mean_of_the_steps():
    torch.manual_seed(0)
    steps, y = torch.randn(3, 5, 4), torch.tensor([0, 1, 2, 3, 0])
    each = torch.stack([F.cross_entropy(step, y) for step in steps]).mean()
    assert float(tet(steps, y, share=0)) == pytest.approx(float(each), rel=1e-6)
    pull = ((steps - 1) ** 2).mean()
    assert float(tet(steps, y, share=0.3)) == pytest.approx(0.7 * float(each) + 0.3 * float(pull), rel=1e-6)


def test_label_smoothing_mixes_with_the_uniform_distribution():
    logits, y = torch.randn(6, 4), torch.tensor([0, 1, 2, 3, 0, 1])
    log = logits.log_softmax(1)
    right = log[torch.arange(6), y]
    expected = -(0.9 * right + 0.1 * log.mean(1)).mean()
    assert float(cross_entropy(logits, y, smoothing=0.1)) == pytest.approx(float(expected), rel=1e-6)


def test_the_expected_share_near_the_threshold_is_the_measured_one():
    """Independent Gaussian currents and thresholds out of reach, so that no reset disturbs the closed form."""
    torch.manual_seed(1)
    norm = TdBatchNorm(1, MpdAgl(threshold=1.5))
    with torch.no_grad():
        norm.bias.fill_(0.2)
        norm.weight.fill_(0.6)
    neuron = LIF(Fixed(threshold=1.5, width=2.0), 3, decay=0.4, norm=norm)
    stack = torch.nn.Sequential(norm, neuron)
    x = 0.2 + 0.9 * torch.randn(3, 200_000)
    v, shares = torch.zeros(200_000), []
    for current in x:
        u = 0.4 * v + current
        shares.append(float(((u - 1.5).abs() < 1.0).float().mean()))
        v = u
    assert float(near_threshold(stack).detach()) == pytest.approx(sum(shares) / 3, abs=3e-3)
    near_threshold(stack).backward()
    assert float(norm.weight.grad) != 0
    assert float(near_threshold(torch.nn.Linear(2, 2))) == 0


@pytest.mark.parametrize("options", [{}, {"width_from": "threshold"}, {"per_channel": True}], ids=str)
def test_near_adaptive_thresholds_the_width_is_the_one_of_the_gradient(options):
    """Two channels of unlike spread, no resets; the width follows the spread, and is far from its start value 1."""
    torch.manual_seed(5)
    method_here = DsAtgo(**options)
    norm = TdBatchNorm(2, method_here)
    neuron = PLIF(method_here, 3, norm=norm, decay=0.4, channels=2)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.2, 0.4]))
        norm.bias.copy_(torch.tensor([-0.1, 0.1]))
        neuron.threshold.fill_(0.35)
    v, shares = torch.zeros(2, 300_000), []
    for _ in range(3):
        u = 0.4 * v + norm.bias.detach()[:, None] + norm.weight.detach()[:, None] * torch.randn(2, 300_000)
        std = u.std(1, keepdim=True) if options.get("per_channel") else u.std()
        width = 1 + torch.tanh((0.35 if "width_from" in options else std) - torch.tensor(1.0))
        shares.append(float(((u - 0.35).abs() < width / 2).float().mean()))
        v = u
    share = near_threshold(torch.nn.Sequential(norm, neuron))
    assert float(share.detach()) == pytest.approx(sum(shares) / 3, abs=3e-3)


def test_lsg_has_one_width_for_all_steps():
    widths = Lsg().widths(torch.full((3,), 0.5), torch.tensor(0.2), torch.ones(4))
    assert widths.tolist() == pytest.approx([2 * 0.5 * math.sqrt(1.04)] * 3)


def test_the_gradient_of_a_learned_width_is_that_of_the_antiderivative():
    """One step, one neuron: spike = F((u - threshold) / k); for the sigmoid, F is known and autograd gives dF/dk."""
    for u in (0.1, 0.45, 0.9):
        neuron = PLIF(Psg(shape="sigmoid"), 1)
        neuron(torch.tensor([[[u]]])).sum().backward()
        k = torch.tensor(1.0, requires_grad=True)
        torch.sigmoid(4 * (u - 0.5) / k).backward()
        assert float(neuron.log_width.grad) == pytest.approx(float(k.grad), rel=1e-5)  # dk / d(log k) = k = 1


@pytest.mark.parametrize("p", [0.0, 0.5, 0.9])
def test_a_mask_drops_its_share_of_slopes(p):
    torch.manual_seed(2)
    x = torch.full((1, 1, 100_000), 0.5, requires_grad=True)
    PLIF(Masked(p=p), 1)(x).sum().backward()
    assert float((x.grad != 0).float().mean()) == pytest.approx(1 - p, abs=0.01)
    assert set(x.grad.unique().tolist()) <= {0.0, 1.0}


def test_a_readout_is_the_weighted_sum_over_time():
    readout = Readout(4)
    x = torch.randn(4, 3, 5)
    assert torch.allclose(readout(x), x.mean(0))
    readout.weight.copy_(torch.tensor([1.0, 0.0, 0.0, -2.0]))
    assert torch.allclose(readout(x), x[0] - 2 * x[3])


@pytest.mark.parametrize("momentum", [0.9, 0.5])
def test_readout_weights_follow_the_accuracy_of_each_step(momentum):
    """f[t] <- m f[t] + (1 - m) acc[t] / sum(acc), by hand; a batch with no right answer says nothing."""
    torch.manual_seed(4)
    recipe = parse({**TINY, "timesteps": 3, "method": "masked", "method_options": {"p": 0.5, "momentum": momentum}})
    module, part, seen = network(recipe), blobs(90), []
    module.readout.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach()))
    optimiser = torch.optim.SGD(module.parameters(), 0.1)
    expected = [1 / 3] * 3
    for _ in range(2):
        train_step(module, part.x, part.y, optimiser, recipe)
        right = [sum(int(row.argmax()) == int(y) for row, y in zip(step, part.y, strict=True)) for step in seen.pop()]
        assert len(set(right)) > 1  # otherwise the weights would stay as they are
        expected = [momentum * f + (1 - momentum) * r / sum(right) for f, r in zip(expected, right, strict=True)]
        assert module.readout.weight.tolist() == pytest.approx(expected, rel=1e-5)
    with torch.no_grad():
        module.classify.weight.zero_()
        module.classify.bias.copy_(torch.tensor([0.0, 0.0, 9.0]))
    none = part.y < 2
    train_step(module, part.x[none], part.y[none], torch.optim.SGD(module.parameters(), 0.1), recipe)
    assert module.readout.weight.tolist() == pytest.approx(expected, rel=1e-5)


def test_unknown_methods_and_options_are_refused():
    for name, options in (("ds-atog", {}), ("fixed", {"f_c": 1})):
        with pytest.raises(Exception, match="SP313"):
            method(name, **options)
    assert method("ds-atgo", f_c=1.2) == DsAtgo(f_c=1.2)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("mpd-agl", "shape", "rectanglar"),
        ("mpd-agl", "width", -1),
        ("ds-atgo", "momentum", 3),
        ("ds-atgo", "momentum", 0),
        ("ds-atgo", "f_c", 0),
        ("ds-atgo", "f_c", float("nan")),
        ("ds-atgo", "f_c", "1"),
        ("ds-atgo", "width_from", "sigm"),
        ("ds-atgo", "per_channel", 2),
        ("lsg", "threshold", 0.0),
        ("masked", "p", 1.0),
        ("masked", "momentum", -0.1),
    ],
)
def test_a_value_that_no_method_can_mean_is_refused_before_anything_trains(name, option, value):
    with pytest.raises(SpikeportError, match=option) as caught:
        parse({**TINY, "method": name, "method_options": {option: value}})
    assert [finding.code for finding in caught.value.findings] == ["SP313"]
    assert caught.value.findings[0].where == f"method {name!r}"


def test_thresholds_a_channel_follow_each_channel():
    torch.manual_seed(3)
    neuron = PLIF(DsAtgo(per_channel=True, momentum=1.0), 2, channels=3)
    spread = torch.tensor([0.1, 1.0, 10.0])
    x = torch.randn(2, 4000, 3) * spread
    rates = neuron(x).mean((0, 1))
    assert neuron.threshold.shape == (2, 3)
    assert (neuron.threshold[0] / spread).tolist() == pytest.approx([1, 1, 1], rel=0.1)
    assert rates.tolist() == pytest.approx([0.16] * 3, abs=0.02)
    with pytest.raises(Exception, match="SP316"):
        PLIF(DsAtgo(per_channel=True), 2)
