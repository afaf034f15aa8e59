"""The networks have the sizes of the published ones."""

import math

import pytest
import torch

from spikeport.findings import SpikeportError
from spikeport.training import DsAtgo
from spikeport.training.networks import Task, build, networks
from spikeport.training.recipe import parse
from spikeport_models.networks.size import size_of
from spikeport_models.networks.spikformer import spikformer

#: synaptic takes events only, and its neurons have one threshold: tests/training/test_synaptic.py
USUAL = [name for name in networks() if name != "synaptic"]
SMALL = {"conv": {}, "mlp": {}, "spikformer": {"channels": 8, "heads": 2}}  #: what makes a network small, else a width


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


def by_hand(blocks, side, classes=1000):
    """MACs and spiking neurons of He et al.'s table 1, basic blocks with 1x1 convolutions where a stage begins."""
    side //= 2
    macs, neurons, inputs = side**2 * 64 * 3 * 7**2, side**2 * 64, 64
    side //= 2
    for stage, (channels, count) in enumerate(zip((64, 128, 256, 512), blocks, strict=True)):
        if stage > 0:
            side //= 2
            macs += side**2 * channels * inputs
            neurons += side**2 * channels  # SEW: the skip's convolution has neurons of its own
        macs += side**2 * channels * 9 * (inputs + (2 * count - 1) * channels)
        neurons += 2 * count * side**2 * channels
        inputs = channels
    return macs + inputs * classes, neurons


@pytest.mark.parametrize(
    ("name", "blocks", "published"), [("sew-resnet18", (2, 2, 2, 2), 1.8e9), ("sew-resnet34", (3, 4, 6, 3), 3.6e9)]
)
def test_sew_resnets_have_the_macs_and_neurons_of_resnets(name, blocks, published):
    """Layer by layer by hand, at 64x64; at 224x224 the same sum is what He et al. print (to two digits, cut)."""
    size = size_of(net(name, (3, 64, 64), 1000, timesteps=1), (3, 64, 64))
    assert (size.macs, sum(size.neurons.values())) == by_hand(blocks, 64)
    assert by_hand(blocks, 224)[0] // 10**8 == published // 10**8


def test_resnet19_with_plain_blocks_has_two_spiking_layers_fewer():
    """Synapses as with SEW; the two skips that have a convolution add their current and spike with the block."""
    size = size_of(net("resnet19", timesteps=1, residual="plain"), (3, 32, 32))
    assert size.parameters == 12_698_260 - 2  # two decays
    assert size.macs == 2_285_373_952
    assert sorted(size.neurons.values()) == [256] + [32_768] * 4 + [65_536] * 6 + [131_072] * 7
    assert sum(size.neurons.values()) == 1_540_352 - 65_536 - 32_768


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


@pytest.mark.parametrize("name", USUAL)
@pytest.mark.parametrize("events", [False, True])
def test_every_network_learns_in_one_step(name, events):
    """Every parameter gets a gradient, and shapes fit, for direct coding and for event frames."""
    torch.manual_seed(1)
    small = SMALL.get(name, {"width": 0.05})
    module = net(name, (2, 32, 32), 7, timesteps=3, method="mpd-agl", events=events, **small)
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
    [
        ("resnet20", {}, "resnet19"),
        ("conv", {"depth": 3}, "no option 'depth'"),
        ("vggsnn", {}, "four 2x2 pools"),
        ("resnet19", {"residual": "and"}, "'sew' or 'plain'"),
        ("resnet19", {"width": -1.0}, "width = -1.0: input should be greater than 0"),
        ("sew-resnet34", {"depth": 50}, "depth = 50: input should be 18 or 34"),
        ("mlp", {"hidden": [0]}, r"hidden\[0\] = 0: input should be greater than or equal to 1"),
        ("mlp", {"hidden": []}, "at least 1 item"),
        ("conv", {"strides": [1, 0]}, r"strides\[1\] = 0"),
        ("conv", {"pool": 9}, "no pixel of"),
        ("conv", {"width": math.inf}, "finite"),
        ("recurrent", {"decay": 1.0}, "decay = 1.0: input should be less than 1"),
        ("recurrent", {"memory": 1.5}, "memory = 1.5: input should be less than or equal to 1"),
        ("synaptic", {"current": 0.0}, "current = 0.0: input should be greater than 0"),
        ("spikformer", {"depth": 0}, "depth = 0"),
        ("spikformer", {"heads": -1}, "heads = -1"),
        ("spikformer", {"ratio": 0}, "ratio = 0"),
    ],
)
def test_what_no_network_has_is_refused(name, options, words):
    with pytest.raises(SpikeportError, match=words) as error:
        net(name, (3, 8, 8), **options)
    assert error.value.code == "SP314"


def test_every_option_that_cannot_be_is_named_before_any_data_are_read():
    fields = {"model": "m", "dataset": "nowhere", "network": "spikformer", "timesteps": 1, "epochs": 1}
    with pytest.raises(SpikeportError) as error:
        parse({**fields, "architecture": {"depth": -1, "heads": 0, "ratoi": 2}})
    assert [finding.code for finding in error.value.findings] == ["SP314"] * 3
    assert "did you mean ratio" in error.value.findings[2].mend


def test_even_kernels_fit_too():
    """A convolution of 4 pixels padded by 1 makes 7 of 8, one of 2 pixels makes 6 of these."""
    assert net("conv", (1, 8, 8), kernels=[4, 2], strides=[1, 1])(torch.zeros(1, 1, 8, 8)).shape == (1, 10)


@pytest.mark.parametrize("name", USUAL)
def test_schedules_can_be_ordinary_parameters(name):
    """A trained schedule gets a gradient at every step, and training does not overwrite it with the batch's."""
    torch.manual_seed(2)
    small = SMALL.get(name, {"width": 0.05})
    module = net(name, (2, 32, 32), 4, timesteps=3, events=True, train_threshold=True, **small)
    module(torch.rand(3, 4, 2, 32, 32)).square().sum().backward()
    schedules = {n: p for n, p in module.named_parameters() if n.endswith(".threshold")}
    assert schedules
    for schedule in schedules.values():
        assert schedule.shape == (3,)
        assert (schedule == 1.0).all()
        assert schedule.grad.abs().sum() > 0


def test_a_spikformer_s_attention_is_its_equation():
    """Zhou et al. 2023, eq. 5-8, one head at a time by einsum: neurons(0.125 * q k^T v), tokens along the last axis."""
    torch.manual_seed(1)
    task = Task((1, 12, 12), 10, 2, DsAtgo())
    attention = spikformer(task, channels=16, heads=2).encoder1.attention.eval()
    x, given = torch.randint(0, 2, (2, 3, 16, 3, 3)).float(), []
    attention.neuron.register_forward_pre_hook(lambda _, entering: given.append(entering[0]))
    with torch.no_grad():
        attention(x)
        q, k, v = (part(x).reshape(2, 3, 2, 8, 9) for part in (attention.q, attention.k, attention.v))
        maps = torch.einsum("tbhdi,tbhdj->tbhij", q, k)
        expected = 0.125 * torch.einsum("tbhij,tbhdj->tbhdi", maps, v)
    assert expected.any()
    assert torch.equal(given[0], expected.reshape(2, 3, 16, 3, 3))
    with pytest.raises(SpikeportError, match="SP314"):
        spikformer(task, channels=20, heads=4)
