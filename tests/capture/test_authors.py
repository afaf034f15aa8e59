"""Files in the layout of the authors' public code; a plain re-statement of its forward pass is the judge."""

from __future__ import annotations

import json
import os
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from typer.testing import CliRunner

import spikeport_models
from spikeport.api.import_checkpoint import import_checkpoint
from spikeport.capture import capture
from spikeport.capture.authors import STAGES, VGG, Facts, convert
from spikeport.cli import build
from spikeport.findings import SpikeportError
from spikeport.train import DsAtgo
from spikeport_models import datasets, networks

T = 3


def random_state(layout, plan, last, generator, *, biases=False):
    """A state_dict with the authors' keys. ``plan`` lists (synapse, neuron, weight shape)."""
    state = {}
    for synapse, neuron, shape in plan:
        n, fan_in = shape[0], int(np.prod(shape[1:]))
        norm = f"{synapse}.bn.tdBN" if layout == "ds-atgo" else f"{synapse}.bn"
        state[f"{synapse}.layer.weight"] = torch.randn(shape, generator=generator) / fan_in**0.5
        state[f"{norm}.weight"] = torch.rand(n, generator=generator) + 0.5
        state[f"{norm}.bias"] = torch.rand(n, generator=generator) - 0.3
        state[f"{norm}.running_mean"] = torch.randn(n, generator=generator) * 0.1
        state[f"{norm}.running_var"] = torch.rand(n, generator=generator) + 0.2
        state[f"{norm}.num_batches_tracked"] = torch.tensor(7)
        state[f"{neuron}.neuron.w"] = torch.randn((), generator=generator)
        if biases and len(shape) == 2:
            state[f"{synapse}.layer.bias"] = torch.randn(n, generator=generator)
    name, shape = last
    state[f"{name}.layer.weight"] = torch.randn(shape, generator=generator)
    if biases:
        state[f"{name}.layer.bias"] = torch.randn(shape[0], generator=generator)
    return state


def resnet_plan(c=8):
    plan, inputs = [("encode.0", "encode.1", (c, 3, 3, 3))], c
    for number, stage in enumerate(STAGES):
        n, at = c * 2 ** (int(stage[0]) - 1), f"ResNetBlocks.{number}.0"
        plan.append((f"{at}.conv1", f"{at}.spike1", (n, inputs, 3, 3)))
        plan.append((f"{at}.conv2", f"{at}.spike2", (n, n, 3, 3)))
        if n != inputs:
            plan.append((f"{at}.downsample.0", f"{at}.downsample.1", (n, inputs, 1, 1)))
        inputs = n
    plan.append(("fc.0", "fc.1", (2 * c, inputs)))
    return plan, ("fc.2", (10, 2 * c))


class Theirs:
    """What the public code computes in evaluation, from the equations, in float64."""

    def __init__(self, state, layout, theta, strict=False):
        self.s = {key: value.double() for key, value in state.items()}
        self.deep = ".tdBN" if layout == "ds-atgo" else ""
        self.factor = 1.0 if layout == "ds-atgo" else 0.5
        self.theta, self.strict = theta, strict

    def layer(self, x, synapse, neuron, stride=1):
        """x [T, B, ...] -> spikes."""
        weight, bias = self.s[f"{synapse}.layer.weight"], self.s.get(f"{synapse}.layer.bias")
        flat = x.flatten(0, 1)
        if weight.ndim == 4:
            y = F.conv2d(flat, weight, bias, stride, padding=weight.shape[-1] // 2)
        else:
            y = F.linear(flat, weight, bias)
        gamma, beta, mean, var = (
            self.s[f"{synapse}.bn{self.deep}.{k}"].reshape(1, -1, *(1,) * (y.ndim - 2))
            for k in ("weight", "bias", "running_mean", "running_var")
        )
        y = (self.factor * (y - mean) / torch.sqrt(var + 1e-5) * gamma + beta).unflatten(0, x.shape[:2])
        tau, u, spikes = torch.sigmoid(self.s[f"{neuron}.neuron.w"]), 0.0, []
        for t in range(len(y)):
            u = tau * u + y[t]
            s = (u > self.theta if self.strict else u >= self.theta).double()
            u = u * (1 - s)
            spikes.append(s)
        return torch.stack(spikes)

    def last(self, x, name):
        return F.linear(x, self.s[f"{name}.layer.weight"], self.s.get(f"{name}.layer.bias")).mean(0)

    def resnet(self, image):
        x = self.layer(image.expand(T, *image.shape), "encode.0", "encode.1")
        for number, stage in enumerate(STAGES):
            at, stride = f"ResNetBlocks.{number}.0", 2 if stage in ("2_1", "3_1") else 1
            out = self.layer(x, f"{at}.conv1", f"{at}.spike1", stride)
            out = self.layer(out, f"{at}.conv2", f"{at}.spike2")
            down = f"{at}.downsample"
            x = out + (self.layer(x, f"{down}.0", f"{down}.1", stride) if f"{down}.0.layer.weight" in self.s else x)
        return self.last(self.layer(x.mean((-2, -1)), "fc.0", "fc.1"), "fc.2")

    def vgg(self, frames):
        x = self.layer(frames, "encode.0", "encode.1")
        for number, (a, b) in enumerate(VGG):
            x = self.layer(x, f"features.{a}", f"features.{b}")
            if number in (0, 2, 4, 6):
                x = F.avg_pool2d(x.flatten(0, 1), 2).unflatten(0, x.shape[:2])
        return self.last(x.flatten(2), "classifier.0")


@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("compare", [">=", ">"])
def test_resnet19_of_mpd_agl(biases, compare):
    plan, last = resnet_plan()
    state = random_state("mpd-agl", plan, last, torch.Generator().manual_seed(1), biases=biases)
    made = convert(state, Facts("mpd-agl", "resnet19", T, compare, input_shape=(3, 16, 16)))
    x = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(2)).double()
    expected = Theirs(state, "mpd-agl", 0.5, compare == ">").resnet(x)
    with torch.no_grad():
        found = made.module.double()(x)
    assert float(expected.std()) > 0.1
    np.testing.assert_allclose(found, expected, atol=1e-5)  # their 0.5 * gamma in float32
    assert made.metadata["architecture"]["width"] == 8 / 128
    assert any(f.severity == "note" for f in made.findings) == biases
    capture(made.module.float(), (3, 16, 16))


def test_a_strict_comparison_is_kept_at_the_threshold():
    plan, last = resnet_plan()
    state = random_state("mpd-agl", plan, last, torch.Generator().manual_seed(1))
    fires = {}
    for compare in (">=", ">"):
        neuron = convert(state, Facts("mpd-agl", "resnet19", T, compare)).module.encode.neuron
        fires[compare] = float(neuron(torch.full((T, 1, 1), 0.5)).detach()[0])
    assert fires == {">=": 1.0, ">": 0.0}


def test_vggsnn_of_mpd_agl():
    sizes, plan, inputs = [8, 16, 32, 32, 64, 64, 64, 64], [], 2
    names = [("encode.0", "encode.1"), *((f"features.{a}", f"features.{b}") for a, b in VGG)]
    for (synapse, neuron), n in zip(names, sizes, strict=True):
        plan.append((synapse, neuron, (n, inputs, 3, 3)))
        inputs = n
    state = random_state("mpd-agl", plan, ("classifier.0", (10, 64 * 4)), torch.Generator().manual_seed(3), biases=True)
    made = convert(state, Facts("mpd-agl", "vggsnn", T))
    assert made.metadata["input_shape"] == [2, 32, 32]
    assert made.metadata["coding"] == "events"
    x = torch.randn(T, 4, 2, 32, 32, generator=torch.Generator().manual_seed(2)).double()
    with torch.no_grad():
        np.testing.assert_allclose(made.module.double()(x), Theirs(state, "mpd-agl", 0.5).vgg(x), atol=1e-5)


def test_another_v_threshold_does_not_reach_the_norm():
    """--Vth reaches the neurons, tdBN keeps its 0.5 (models/layers.py:51)."""
    plan, last = resnet_plan()
    state = random_state("mpd-agl", plan, last, torch.Generator().manual_seed(1))
    made = convert(state, Facts("mpd-agl", "resnet19", T, v_threshold=0.8, input_shape=(3, 16, 16)))
    x = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(2)).double()
    with torch.no_grad():
        np.testing.assert_allclose(made.module.double()(x), Theirs(state, "mpd-agl", 0.8).resnet(x), atol=1e-5)


def problems(state, facts, **options):
    with pytest.raises(SpikeportError) as caught:
        convert(state, facts, **options)
    return caught.value.findings


def test_keys_that_are_missing_or_left_over_are_all_named():
    plan, last = resnet_plan()
    state = random_state("mpd-agl", plan, last, torch.Generator().manual_seed(1))
    state["extra.weight"] = state.pop("ResNetBlocks.2.0.conv1.layer.weight")
    del state["fc.1.neuron.w"]
    found = problems(state, Facts("mpd-agl", "resnet19", T))
    assert {f.code for f in found} == {"SP392"}
    text = " ".join(f.what for f in found)
    for key in ("extra.weight", "ResNetBlocks.2.0.conv1.layer.weight", "fc.1.neuron.w"):
        assert key in text


@pytest.mark.parametrize(("wrong", "right"), [("mpd-agl", "ds-atgo"), ("ds-atgo", "mpd-agl")])
def test_one_layout_is_never_taken_for_the_other(wrong, right):
    plan, last = resnet_plan()
    state = random_state(right, plan, last, torch.Generator().manual_seed(1))
    (found,) = problems(state, Facts(wrong, "resnet19", T))
    assert found.code == "SP391"
    assert right in found.mend


def test_a_table_that_was_saved_is_used_and_must_have_t_entries():
    plan, last = resnet_plan()
    state = random_state("ds-atgo", plan, last, torch.Generator().manual_seed(1))
    assert problems(state, Facts("ds-atgo", "resnet19", T))[0].code == "SP393"
    tables = {f"{neuron}.neuron.running_threshold": torch.rand(T) + 0.1 for _, neuron, _ in plan}
    made = convert(state | tables, Facts("ds-atgo", "resnet19", T, input_shape=(3, 16, 16)))
    torch.testing.assert_close(made.module.encode.neuron.threshold, tables["encode.1.neuron.running_threshold"])
    codes = {f.code for f in problems(state | tables, Facts("ds-atgo", "resnet19", T + 1))}
    assert codes == {"SP394"}


# -- a long training: thresholds far from 1 -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_trained():
    """Weight decay shrinks the norms, and the thresholds with them: sum of lr * wd is 1.5, as after long training."""
    torch.manual_seed(0)
    train = datasets.load("digits", "train")
    x, y = torch.as_tensor(train.x), torch.as_tensor(train.y)
    module = networks.build(
        "mlp", input_shape=(1, 8, 8), classes=10, timesteps=4, train_with=DsAtgo(), options={"hidden": [32, 32]}
    )
    steps, rate = 500, 0.1
    optimiser = torch.optim.SGD(module.parameters(), lr=rate, momentum=0.9, weight_decay=0.06)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        index = torch.randint(len(x), (64,))
        optimiser.zero_grad()
        F.cross_entropy(module(x[index]), y[index], label_smoothing=0.1).backward()
        optimiser.step()
        schedule.step()
    return module.eval()


def in_their_layout(module, *, table):
    """What a state_dict of their code would hold."""
    state = {}
    for number in (1, 2):
        layer, synapse, neuron = module.get_submodule(f"dense{number}"), f"fc.{2 * number - 2}", f"fc.{2 * number - 1}"
        state[f"{synapse}.layer.weight"] = layer.synapse.weight.detach()
        norm = layer.norm
        for key in ("weight", "bias", "running_mean", "running_var"):
            state[f"{synapse}.bn.tdBN.{key}"] = getattr(norm, key).detach()
        state[f"{synapse}.bn.tdBN.num_batches_tracked"] = torch.tensor(1000)
        state[f"{neuron}.neuron.w"] = layer.neuron.w.detach()
        if table:
            state[f"{neuron}.neuron.running_threshold"] = layer.neuron.threshold
    state["fc.4.layer.weight"] = module.classify.weight.detach()
    state["fc.4.layer.bias"] = module.classify.bias.detach()
    return state


def accuracy(module):
    test = datasets.load("digits", "test")
    with torch.no_grad():
        return float((module(torch.as_tensor(test.x)).argmax(1).numpy() == test.y).mean())


def test_a_lost_table_is_refused_then_re_estimated(long_trained, tmp_path):
    table = torch.stack([long_trained.dense1.neuron.threshold, long_trained.dense2.neuron.threshold])
    assert float(table[0].max()) < 0.2  # far from 1: luck cannot pass this test
    trained = accuracy(long_trained)
    assert trained > 0.9
    file, out = tmp_path / "best_model.pth", tmp_path / "digits.safetensors"
    torch.save({"net": in_their_layout(long_trained, table=False), "best_acc": 97.0, "best_epoch": 3}, file)
    with pytest.raises(SpikeportError) as caught:
        import_checkpoint(file, "ds-atgo", "mlp", timesteps=4, data="digits", out=out)
    assert caught.value.code == "SP393"
    assert not out.exists()
    made = import_checkpoint(file, "ds-atgo", "mlp", timesteps=4, calibrate="digits", out=out)
    assert made.accuracy is not None
    assert made.accuracy_calibrated is not None
    assert made.accuracy < 0.5 < trained - 0.02 < made.accuracy_calibrated  # with 1.0 everywhere it is lost
    assert made.batches >= 50
    found = torch.tensor([made.thresholds["dense1.neuron"], made.thresholds["dense2.neuron"]])
    torch.testing.assert_close(found, table, rtol=0.15, atol=0.01)
    again, metadata = spikeport_models.load(out)
    assert accuracy(again) == pytest.approx(made.accuracy_calibrated)
    assert metadata["imported"]["calibrated"] == "digits"
    assert metadata["imported"]["accuracy_before"] == made.accuracy
    assert capture(again, (1, 8, 8)).timesteps == 4


def test_a_saved_table_gives_the_trained_network_back(long_trained, tmp_path):
    file = tmp_path / "net.safetensors"
    save_file(
        {f"module.{key}": value.contiguous() for key, value in in_their_layout(long_trained, table=True).items()}, file
    )
    made = import_checkpoint(file, "ds-atgo", "mlp", timesteps=4, data="digits")
    assert made.accuracy == accuracy(long_trained)
    test = datasets.load("digits", "test")
    with torch.no_grad():
        torch.testing.assert_close(made.module(torch.as_tensor(test.x)), long_trained(torch.as_tensor(test.x)))


# -- bad files ------------------------------------------------------------------------------------------------------


class Boom:
    """Would make a folder if a reader ran it."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return os.mkdir, (self.place,)


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "cut", "list", "code", "tensors-cut"])
def test_a_file_that_is_none_is_one_error_and_runs_no_code(kind, tmp_path):
    file, made = tmp_path / "net.pth", tmp_path / "made"
    if kind == "empty":
        file.touch()
    elif kind == "text":
        file.write_text("hello")
    elif kind == "list":
        torch.save([1, 2], file)
    elif kind == "code":
        file.write_bytes(pickle.dumps({"net": Boom(str(made))}))
    elif kind == "cut":
        torch.save({"a": torch.zeros(1000)}, file)
        file.write_bytes(file.read_bytes()[:700])
    elif kind == "tensors-cut":
        file = tmp_path / "net.safetensors"
        save_file({"a": torch.zeros(1000)}, file)
        file.write_bytes(file.read_bytes()[:700])
    with pytest.raises(SpikeportError) as caught:
        import_checkpoint(file, "mpd-agl", "resnet19", timesteps=2)
    assert caught.value.code == "SP390"
    assert not made.exists()


def test_the_verb_says_what_it_did(long_trained, tmp_path):
    file, out = tmp_path / "net.pth", tmp_path / "net.safetensors"
    torch.save(in_their_layout(long_trained, table=True), file)
    arguments = ["import-checkpoint", str(file), "--layout", "ds-atgo", "--arch", "mlp", "-T", "4", "--data", "digits"]
    result = CliRunner().invoke(build(), [*arguments, "--out", str(out), "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["accuracy"] == accuracy(long_trained)
    assert told["samples"] == 360
    assert out.exists()
