"""The networks have the sizes of the published ones."""

import pytest
import torch

from spikeport.findings import SpikeportError
from spikeport_models.networks import NETWORKS, build
from spikeport_models.networks.size import size_of


def net(name, shape=(3, 32, 32), classes=10, timesteps=2, method="ds-atgo", **options):
    return build(name, input_shape=shape, classes=classes, timesteps=timesteps, train_with=method, options=options)


def test_resnet19_has_the_published_size():
    """Both papers' public codes: 12,698,260 parameters, 2,285,373,952 MAC and 1,540,352 neurons in 20 layers."""
    size = size_of(net("resnet19", timesteps=1), (3, 32, 32))
    assert size.parameters == 12_698_260
    assert size.macs == 2_285_373_952
    assert sorted(size.neurons.values()) == [256] + [32_768] * 5 + [65_536] * 7 + [131_072] * 7
    assert sum(size.neurons.values()) == 1_540_352


def test_vggsnn_has_the_published_size():
    """MPD-AGL's code: 9,268,754 parameters, 1,361,654,784 MAC and 921,600 neurons in 8 layers."""
    size = size_of(net("vggsnn", (2, 48, 48), timesteps=1), (2, 48, 48))
    assert size.parameters == 9_268_754
    assert size.macs == 1_361_654_784
    assert list(size.neurons.values()) == [147_456, 294_912, 147_456, 147_456, 73_728, 73_728, 18_432, 18_432]


@pytest.mark.parametrize(
    ("name", "parameters", "layers"), [("sew-resnet18", 11_689_512, 20), ("sew-resnet34", 21_797_672, 36)]
)
def test_sew_resnets_have_the_size_of_resnets(name, parameters, layers):
    """He et al.'s ResNet-18 and -34 for ImageNet (torchvision's counts), plus one decay a spiking layer."""
    with torch.device("meta"):
        module = net(name, (3, 224, 224), 1000)
    assert sum(p.numel() for p in module.parameters()) == parameters + layers
    assert sum(n.endswith(".threshold") for n, _ in module.named_buffers()) == layers


def test_sew_resnet18_has_the_macs_of_resnet18():
    """1.814 GMAC at 224x224 (He et al., table 1: 1.8e9)."""
    size = size_of(net("sew-resnet18", (3, 64, 64), 1000, timesteps=1), (3, 64, 64))
    scaled = (size.macs - 512_000) * (224 / 64) ** 2 + 512_000  # convolutions grow with the area, the last layer not
    assert scaled == 1_814_073_344


@pytest.mark.parametrize("residual", ["sew", "plain"])
def test_what_leaves_the_blocks_of_resnet19(residual):
    """SEW ADD: at most one more each block: 2, 3 and 4 within a stage of three; plain blocks give zeros and ones."""
    torch.manual_seed(0)
    module = net("resnet19", (3, 16, 16), width=0.06, residual=residual)
    top = {}
    for name, part in module.named_children():
        if name.startswith("stage"):
            part.register_forward_hook(lambda _, __, y, name=name: top.__setitem__(name, y.detach()))
    module.train()(torch.randn(8, 3, 16, 16))
    limits = {"sew": [2, 3, 4, 2, 3, 4, 2, 3], "plain": [1] * 8}[residual]
    for (name, y), limit in zip(top.items(), limits, strict=True):
        assert set(y.unique().tolist()) <= set(range(limit + 1)), name
        assert y.max() == limit, name


@pytest.mark.parametrize("name", sorted(NETWORKS))
@pytest.mark.parametrize("events", [False, True])
def test_every_network_learns_in_one_step(name, events):
    """Every parameter gets a gradient, and shapes fit, for direct coding and for event frames."""
    torch.manual_seed(1)
    width = {} if name in ("conv", "mlp") else {"width": 0.05}
    module = net(name, (2, 32, 32), 7, timesteps=3, method="mpd-agl", events=events, **width)
    x = torch.rand(3, 4, 2, 32, 32) if events else torch.rand(4, 2, 32, 32)
    y = module(x)
    assert y.shape == (4, 7)
    y.square().sum().backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in module.parameters())


def test_width_scales_every_layer():
    half, whole = (net("conv", (1, 8, 8), width=w).conv2.synapse.weight for w in (0.5, 1.0))
    assert half.shape == (16, 8, 3, 3)
    assert whole.shape == (32, 16, 3, 3)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [("resnet20", {}, "resnet19"), ("conv", {"depth": 3}, "no option depth"), ("vggsnn", {}, "four 2x2 pools"),
     ("resnet19", {"residual": "and"}, "sew or plain")],
)  # fmt: skip
def test_what_no_network_has_is_refused(name, options, words):
    with pytest.raises(SpikeportError, match=words) as error:
        net(name, (3, 8, 8), **options)
    assert error.value.code == "SP314"


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_schedules_can_be_ordinary_parameters(name):
    """A trained schedule gets a gradient at every step, and training does not overwrite it with the batch's."""
    torch.manual_seed(2)
    width = {} if name in ("conv", "mlp") else {"width": 0.05}
    module = net(name, (2, 32, 32), 4, timesteps=3, events=True, train_threshold=True, **width)
    module(torch.rand(3, 4, 2, 32, 32)).square().sum().backward()
    schedules = {n: p for n, p in module.named_parameters() if n.endswith(".threshold")}
    assert schedules
    for schedule in schedules.values():
        assert schedule.shape == (3,)
        assert (schedule == 1.0).all()
        assert schedule.grad.abs().sum() > 0
