"""bfloat16: inputs and outputs are rounded, membranes, statistics and thresholds are not; "auto" is resolved early."""

import contextlib
import tomllib
import unittest.mock

import pytest
import torch

from spikeport.findings import SpikeportError
from spikeport.training import PLIF, DsAtgo, MpdAgl, TdBatchNorm, checkpoint, fused, shipped
from spikeport.training.loop import train_step
from spikeport.training.precision import fastest
from spikeport.training.recipe import parse
from spikeport.verbs.train import train
from tiny_training import SHORT, TINY, blobs, network


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
    for leaf in (x.clone().requires_grad_(), x.float().requires_grad_()):
        norm, neuron = stack(method)
        with unittest.mock.patch.object(fused, "normalise_and_fire", wraps=fused.normalise_and_fire) as joined:
            spikes = neuron.normalised(leaf, norm)
        assert joined.called
        assert spikes.dtype == leaf.dtype
        (spikes * weights.to(spikes.dtype)).sum().backward()
        results.append((spikes, norm, neuron, leaf.grad))
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
    # The first layer is among them: its input is the same at each step.
    calls = [(call.args[0].ndim, call.args[0].dtype) for call in joined.mock_calls if call.args]
    assert calls == [(5, torch.bfloat16), (5, torch.bfloat16), (3, torch.bfloat16)]


@pytest.fixture
def processor(monkeypatch):
    """A processor that has instructions for bfloat16, or has none."""

    def has(bf16):
        monkeypatch.setattr("platform.machine", lambda: "x86_64")
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)

    return has


AUTO = {**SHORT, "epochs": 1, "precision": "auto"}


@pytest.mark.parametrize(("bf16", "word"), [(True, "bf16"), (False, "float32")])
def test_auto_is_what_the_processor_has_and_no_file_holds_the_word(bf16, word, processor, tmp_path):
    processor(bf16)
    assert parse({**TINY, "precision": "auto"}).precision == word
    trained = train("digits", out=tmp_path, overrides=AUTO)
    assert f'\nprecision = "{word}"\n' in (tmp_path / "recipe.toml").read_text()
    for name in ("best", "last"):
        assert checkpoint.read(tmp_path / f"{name}.safetensors")[1]["recipe"]["precision"] == word
    assert trained.metadata["recipe"]["precision"] == word
    assert all(b"auto" not in path.read_bytes() for path in tmp_path.iterdir() if path.suffix != ".png")


def test_a_training_that_goes_on_keeps_its_precision_and_says_so_elsewhere(processor, tmp_path, capsys):
    """The folder holds the word: with "auto" it goes on in that, with another word it is refused."""
    processor(True)
    train("digits", out=tmp_path, overrides=AUTO)
    train("digits", out=tmp_path, overrides=AUTO, go_on=True)
    err = capsys.readouterr().err
    assert "precision = auto" not in err
    assert "SP326" not in err
    processor(False)
    train("digits", out=tmp_path, overrides=AUTO, go_on=True)
    err = capsys.readouterr().err
    assert "goes on in bf16, as it began; begun on this machine it would be float32" in err
    assert "SP326 precision = bf16 on cpu, which has no instructions" in err
    assert '\nprecision = "bf16"\n' in (tmp_path / "recipe.toml").read_text()
    with pytest.raises(SpikeportError, match="another recipe: precision") as error:
        train("digits", out=tmp_path, overrides={**AUTO, "precision": "float32"}, go_on=True)
    assert error.value.code == "SP318"


def test_a_training_that_starts_over_on_another_processor_is_refused(processor, tmp_path):
    processor(True)
    train("digits", out=tmp_path, overrides=AUTO)
    processor(False)
    with pytest.raises(SpikeportError, match=r"precision 'bf16' \(now 'float32'\)") as error:
        train("digits", out=tmp_path, overrides=AUTO)
    assert error.value.code == "SP320"


@pytest.mark.parametrize(("bf16", "word"), [(True, "bf16"), (False, "float32")])
def test_auto_asks_the_device_of_the_training(bf16, word, processor, monkeypatch):
    """ARM is what torch's oneDNN says; a GPU is asked by its number, and what it only imitates does not count."""
    processor(not bf16)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: bf16)
    assert fastest("cpu") == word
    asked = []
    monkeypatch.setattr(torch.cuda, "device", lambda name: asked.append(name) or contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16 or including_emulation)
    assert fastest("cuda") == fastest("cuda:1") == word
    assert asked == ["cuda:1"]


def test_shipped_recipes_name_their_precision():
    for name in shipped.recipes():
        assert tomllib.loads(shipped.find(name).read_text(encoding="utf-8"))["precision"] in ("float32", "bf16")
