"""bfloat16: inputs and outputs are rounded, membranes, statistics and thresholds are not."""

import unittest.mock

import pytest
import torch

from spikeport.training import PLIF, DsAtgo, MpdAgl, TdBatchNorm, fused
from spikeport.training.loop import train_step
from spikeport.training.recipe import parse
from tiny_training import TINY, blobs, network


def stack(method):
    """tdBN and neurons with numbers away from their start values, in float32."""
    norm = TdBatchNorm(16, method)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        norm.weight.mul_(0.5 + torch.rand(16, generator=generator))
        norm.bias.add_(0.3 * torch.randn(16, generator=generator))
    return norm, PLIF(method, 4, norm=norm)


@pytest.mark.parametrize("method", [DsAtgo(), MpdAgl()], ids=["ds-atgo", "mpd-agl"])
def test_the_joined_operation_on_bf16_is_that_on_the_same_numbers_in_float32(method):
    """Spikes, running statistics, thresholds and, but for their own rounding, gradients."""
    torch.manual_seed(2)
    x = (3 + 2 * torch.randn(4, 8, 9, 9, 16)).bfloat16().permute(0, 1, 4, 2, 3)  # channels-last
    weights = torch.randn(x.shape).bfloat16()
    results = []
    for given in (x.clone().requires_grad_(), x.float().requires_grad_()):
        norm, neuron = stack(method)
        with unittest.mock.patch.object(fused, "normalise_and_fire", wraps=fused.normalise_and_fire) as joined:
            spikes = neuron.normalised(given, norm)
        assert joined.called
        assert spikes.dtype == given.dtype
        (spikes * weights.to(spikes.dtype)).sum().backward()
        results.append((spikes, norm, neuron, given.grad))
    (half, norm, neuron, grad), (whole, norm32, neuron32, grad32) = results
    assert torch.equal(half.float(), whole)
    for name in ("running_mean", "running_var"):
        assert torch.equal(getattr(norm, name), getattr(norm32, name))
    assert torch.equal(neuron.threshold, neuron32.threshold)
    for ours, theirs in ((norm.weight, norm32.weight), (norm.bias, norm32.bias), (neuron.w, neuron32.w)):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(grad.float(), grad32, rtol=2**-7, atol=2**-7)
    norm, neuron = stack(method)
    rounded = neuron(norm(x.float()).bfloat16())
    assert not torch.equal(rounded.float(), whole)  # had the normalised current been rounded, spikes would differ


def test_bf16_input_gives_the_spikes_of_the_same_numbers_in_float32():
    """The membrane is not rounded: only input and output of the neurons are bfloat16."""
    torch.manual_seed(2)
    x = torch.randn(4, 8, 16, 9, 9).bfloat16()
    half, whole = PLIF(DsAtgo(), 4), PLIF(DsAtgo(), 4)
    a, b = half(x), whole(x.float())
    assert a.dtype == torch.bfloat16
    assert torch.equal(a.float(), b)
    assert torch.equal(half.threshold, whole.threshold)


def test_a_step_in_bf16_gives_the_joined_operation_bf16_currents():
    recipe = parse({**TINY, "precision": "bf16"})
    module = network(recipe).to(memory_format=torch.channels_last)
    part = blobs(60)
    with unittest.mock.patch.object(fused, "normalise_and_fire", wraps=fused.normalise_and_fire) as joined:
        train_step(module, part.x, part.y, torch.optim.SGD(module.parameters(), 0.1), recipe)
    # The first layer is not among them: its input is the same at each step, and is normalised once.
    calls = [(call.args[0].ndim, call.args[0].dtype) for call in joined.mock_calls if call.args]
    assert calls == [(5, torch.bfloat16), (3, torch.bfloat16)]
