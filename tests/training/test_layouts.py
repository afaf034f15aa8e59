"""The compiled loops give what torch's operations give, however the numbers lie in memory."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interpreted import MISSING, interpreted
from spikeport.training import PLIF, DsAtgo, Fixed, MpdAgl, fused

LAYOUTS = ("plain", "channels_last", "repeated", "every second", "transposed", "one step", "padded")


def laid_out(layout, steps, batch, channels, side, dtype, generator):
    """[T, B, C, H, W] in some order of memory."""

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float32).to(dtype)

    shape = (steps, batch, channels, side, side)
    if layout == "channels_last":
        flat = normal(steps * batch, channels, side, side).to(memory_format=torch.channels_last)
        return flat.reshape(shape)
    if layout == "repeated":
        return normal(*shape[1:]).expand(shape)
    if layout == "every second":
        return normal(steps * 2, *shape[1:])[::2]
    if layout == "transposed":
        return normal(batch, steps, *shape[2:]).transpose(0, 1)
    if layout == "one step":
        return normal(1, *shape[1:])
    if layout == "padded":
        return normal(*shape[:-1], side + 3)[..., 1 : side + 1]
    return normal(*shape)


@given(
    layout=st.sampled_from(LAYOUTS),
    upstream=st.sampled_from(LAYOUTS),
    steps=st.integers(1, 4),
    batch=st.integers(1, 3),
    channels=st.integers(1, 5),
    side=st.integers(1, 6),
    reset=st.sampled_from(["zero", "subtract"]),
    detach=st.booleans(),
    method=st.sampled_from([DsAtgo(), MpdAgl(), Fixed(threshold=0.25)]),
    double=st.booleans(),
    seed=st.integers(0, 999),
)
def test_compiled_loops_equal_torchs_operations(
    layout, upstream, steps, batch, channels, side, reset, detach, method, double, seed
):
    steps = 1 if "one step" in (layout, upstream) else steps
    dtype = torch.float64 if double else torch.float32
    generator = torch.Generator().manual_seed(seed)
    x = laid_out(layout, steps, batch, channels, side, dtype, generator)
    grad = laid_out(upstream, steps, batch, channels, side, dtype, generator)
    results = []
    for compiled in (True, False):
        with pytest.MonkeyPatch.context() as patch:
            if not compiled:
                patch.setattr(fused, "applies", lambda *_: False)
            neuron = PLIF(method, steps, reset=reset, detach_reset=detach).to(dtype)
            given_x = x.detach().requires_grad_()
            spikes = neuron(given_x)
            spikes.backward(grad)
            results.append((spikes.detach(), given_x.grad, neuron.w.grad, neuron.threshold))
    (spikes, *ours), (expected, *theirs) = results
    assert torch.equal(spikes, expected)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9 if double else 2e-4, atol=1e-11 if double else 2e-4)


@pytest.mark.skipif(bool(MISSING), reason=MISSING or "there")
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("method", [DsAtgo(), DsAtgo(per_channel=True), Fixed(threshold=0.25)])
def test_a_gpus_kernels_equal_torchs_operations(layout, dtype, method, monkeypatch):
    steps, generator = 1 if layout == "one step" else 3, torch.Generator().manual_seed(3)
    x, grad = (laid_out(each, steps, 3, 4, 5, dtype, generator) for each in (layout, "plain"))
    monkeypatch.setattr(fused, "applies", lambda *_: False)
    results = []
    for kernels in ("triton", "plain"):
        monkeypatch.setenv("SPIKEPORT_KERNELS", kernels)
        neuron = PLIF(method, steps, channels=4, reset="subtract")
        given_x = x.detach().requires_grad_()
        with interpreted():
            spikes = neuron(given_x)
            spikes.backward(grad)
        results.append((spikes.detach(), given_x.grad.float(), neuron.w.grad, neuron.threshold))
    (spikes, *ours), (expected, *theirs) = results
    assert torch.equal(spikes, expected)
    assert spikes.dtype == dtype
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(
            a, b, rtol=1e-5 if dtype == torch.float32 else 2**-7, atol=1e-5
        )  # the interpreter cuts


def test_statistics_keep_their_digits_where_the_mean_is_large():
    """Single precision, mean 100 and spread 0.01: a plain sum of squares would lose the spread altogether."""
    torch.manual_seed(2)
    x = 100 + 0.01 * torch.randn(2, 4, 50_000)
    neuron = PLIF(DsAtgo(momentum=1.0), 2, decay=0.2)
    neuron(x)
    first = x[0].double()
    assert float(neuron.threshold[0]) == pytest.approx(float(first.mean() + first.std()), abs=2e-5)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_number_of_threads_changes_no_spike(threads):
    """A layer large enough to be shared among threads."""
    before = torch.get_num_threads()
    torch.manual_seed(1)
    x = torch.randn(3, 4, 8, 40, 41, dtype=torch.float64)
    results = []
    try:
        for count in (1, threads):
            torch.set_num_threads(count)
            neuron = PLIF(DsAtgo(), 3).double()
            given_x = x.clone().requires_grad_()
            spikes = neuron(given_x)
            (spikes * x).sum().backward()
            results.append((spikes.detach(), given_x.grad, neuron.w.grad))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(results[0][0], results[1][0])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_copies_of_a_network_read_their_own_norm():
    """MPD-AGL's width follows the copy's gamma, not the original's."""
    import copy

    from spikeport.training.networks import build

    net = build("conv", input_shape=(1, 8, 8), classes=10, timesteps=2, train_with="mpd-agl")
    other = copy.deepcopy(net)
    with torch.no_grad():
        other.conv1.norm.weight.mul_(3)
    assert net.conv1.neuron.surrogate_widths()[0] == 1.0
    assert other.conv1.neuron.surrogate_widths()[0] == 3.0
    assert all(not name.startswith("conv1.neuron.norm") for name in other.state_dict())


@pytest.mark.skipif(bool(MISSING), reason=MISSING or "there")
@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_a_gpus_kernels_go_back_over_more_steps_than_registers_hold(reset, monkeypatch):
    """35 steps are two blocks and three steps; the trained thresholds have a gradient at each."""
    monkeypatch.setattr(fused, "applies", lambda *_: False)
    generator = torch.Generator().manual_seed(5)
    x, grad = torch.randn(2, 35, 3, 7, dtype=torch.float64, generator=generator)
    results = []
    for kernels in ("triton", "plain"):
        monkeypatch.setenv("SPIKEPORT_KERNELS", kernels)
        neuron = PLIF(Fixed(threshold=0.4), 35, decay=0.7, reset=reset, train_threshold=True).double()
        given_x = x.clone().requires_grad_()
        with interpreted():
            spikes = neuron(given_x)
            spikes.backward(grad)
        results.append((spikes.detach(), given_x.grad, neuron.w.grad, neuron.threshold.grad))
    (spikes, *ours), (expected, *theirs) = results
    assert torch.equal(spikes, expected)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
        assert a.count_nonzero() > 0.2 * a.numel()
