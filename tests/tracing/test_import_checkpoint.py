"""``import-checkpoint``: lost tables, data as the authors' loaders prepare them, bad files."""

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
from authors_code import T, Theirs, random_state, resnet_plan, vgg_plan
from data_files import cifar_folder
from spikeport.cli import build
from spikeport.findings import SpikeportError
from spikeport.tracing import capture
from spikeport.training import DsAtgo
from spikeport.verbs.evaluate import evaluate
from spikeport.verbs.export import export
from spikeport.verbs.import_checkpoint import import_checkpoint
from spikeport.verbs.load import load_data, load_model
from spikeport.verbs.quantize import quantize
from spikeport.verbs.simulate import simulate
from spikeport_models import datasets, networks

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


# -- data as they were in the training ------------------------------------------------------------------------------

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # loader.py of both codes


def as_they_load(pixels):
    """torchvision's ToTensor and Normalize: bytes / 255, less the mean, over the deviation, in float32."""
    x = torch.from_numpy(pixels.reshape(-1, 3, 32, 32)).float().div(255)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return x.sub(mean).div(std)


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """A ResNet-19 file and CIFAR-10, whose test labels are what the authors' network answers, 12 of 40 changed."""
    state = random_state("mpd-agl", *resnet_plan(4), 1)
    _, pixels = cifar_folder(tmp_path, "cifar10", tests=40)
    raw = pixels["test_batch"][0]
    prepared = as_they_load(raw)
    theirs = Theirs(state, "mpd-agl", 0.5)
    logits = theirs.resnet(prepared.double())
    state["fc.2.layer.bias"] = -logits.mean(0).float()  # so that images of all classes are seen
    logits += state["fc.2.layer.bias"].double()
    answers = logits.argmax(1).numpy()
    plain = Theirs(state, "mpd-agl", 0.5).resnet(torch.from_numpy(raw.reshape(-1, 3, 32, 32)).double() / 255)
    assert (plain.argmax(1).numpy() != answers).mean() > 0.2  # the test could not pass on plain images
    labels = np.where(np.arange(40) < 12, (answers + 1) % 10, answers)
    cifar_folder(tmp_path, "cifar10", tests=40, test_labels=labels)
    monkeypatch.setenv("SPIKEPORT_DATA", str(tmp_path))
    file = tmp_path / "best_model.pth"
    torch.save({"net": state}, file)
    return file, prepared.numpy(), logits


def test_cifar_enters_as_in_the_training_wherever_the_network_goes(cifar, tmp_path):
    file, prepared, logits = cifar
    out = tmp_path / "resnet19.safetensors"
    made = import_checkpoint(file, "mpd-agl", "resnet19", timesteps=T, data="cifar10", out=out)
    assert made.accuracy == 28 / 40
    assert [found.code for found in made.findings] == ["SP399"]
    assert evaluate(out, "cifar10").correct == 28
    loaded = load_model(out)
    assert np.array_equal(load_data("cifar10", "test", loaded.graph).x, prepared)  # to the bit
    np.testing.assert_allclose(simulate(loaded, prepared).outputs, logits, atol=1e-4)
    for name in ("resnet19.nir", "resnet19.onnx"):
        told = export(out, tmp_path / name)
        assert "SP399" in {found.code for found in told}
        again = evaluate(tmp_path / name, "cifar10", target="reference")
        assert again.correct == 28
        assert again.findings[0].code == "SP399"
    integer = tmp_path / "resnet19.int.nir"
    whole = quantize(out, data="cifar10", calibration=8, steps=("normalise", "ranges"), out=integer)
    assert np.array_equal(load_data("cifar10", "test", load_model(integer).graph, 5).x, prepared[:5])
    node = whole.graph.nodes[whole.graph.input]
    assert node.low < 0 < node.high  # made for normalised images
    assert float(node.unit) == pytest.approx(np.abs(prepared).max() / node.high, rel=1e-6)
    assert "SP399" in {found.code for found in whole.findings}


def test_what_the_user_says_of_the_data_counts(cifar, tmp_path):
    file, _, _ = cifar
    said = ",".join(map(str, MEAN)) + "/" + ",".join(map(str, STD))
    made = import_checkpoint(file, "mpd-agl", "resnet19", timesteps=T, data="cifar10", normalise=said)
    assert made.accuracy == 28 / 40
    out = tmp_path / "plain.safetensors"
    plain = import_checkpoint(file, "mpd-agl", "resnet19", timesteps=T, data="cifar10", normalise="none", out=out)
    assert plain.accuracy < 28 / 40
    assert plain.findings == ()
    assert load_data("cifar10", "test", load_model(out).graph).x.min() >= 0
    for wrong, code in (
        ("0.5", "SP908"),
        ("a,b/1,2", "SP908"),
        ("0.5,0.5/1", "SP398"),
        ("0,0,0/1,0,1", "SP398"),
        ("0.5/0.5", "SP398"),
    ):
        with pytest.raises(SpikeportError) as caught:
            import_checkpoint(file, "mpd-agl", "resnet19", timesteps=T, data="cifar10", normalise=wrong)
        assert caught.value.code == code, wrong


def test_thresholds_are_re_estimated_on_the_images_of_the_training(tmp_path, monkeypatch):
    """The first layer's first threshold is mean + std of its currents (DS-ATGO, eq. 5, f_c = 1) on prepared images."""
    state = random_state("ds-atgo", [("fc.0", "fc.1", (8, 3072))], ("fc.2", (10, 8)), 1)
    _, pixels = cifar_folder(tmp_path, "cifar10")
    monkeypatch.setenv("SPIKEPORT_DATA", str(tmp_path))
    file = tmp_path / "net.pth"
    torch.save(state, file)
    said = ",".join(map(str, MEAN)) + "/" + ",".join(map(str, STD))
    made = import_checkpoint(file, "ds-atgo", "mlp", timesteps=2, calibrate="cifar10", normalise=said)

    def threshold(x):
        y = F.linear(x.double().flatten(1), state["fc.0.layer.weight"].double())
        names = ("running_mean", "running_var", "weight", "bias")
        mean, var, gamma, beta = (state[f"fc.0.bn.tdBN.{name}"].double() for name in names)
        y = (y - mean) / torch.sqrt(var + 1e-5) * gamma + beta
        return float(y.mean() + y.std())

    everything = np.concatenate([pixels[f"data_batch_{k}"][0] for k in range(1, 6)])
    expected = threshold(as_they_load(everything))
    assert made.thresholds["dense1.neuron"][0] == pytest.approx(expected, rel=0.02)
    plain = threshold(torch.from_numpy(everything.reshape(-1, 3, 32, 32)) / 255)
    assert plain != pytest.approx(expected, rel=0.2)


# -- event frames ---------------------------------------------------------------------------------------------------


@pytest.fixture
def events(tmp_path):
    """Recordings of 32x32 pixels in three classes, and a VGGSNN file without its table."""
    rng = np.random.default_rng(1)
    for label in range(3):
        (tmp_path / "data" / str(label)).mkdir(parents=True)
        for number in range(20):
            n = 400
            table = np.stack([np.arange(n), rng.integers(0, 32, n), rng.integers(0, 32, n), rng.integers(0, 2, n)], 1)
            table[0, 1:3] = 31
            np.save(tmp_path / "data" / str(label) / f"{number}.npy", table)
    plan, (name, (_, width)) = vgg_plan(2)
    state = random_state("ds-atgo", plan, (name, (3, width)), 4, biases=True)
    file = tmp_path / "vgg.pth"
    torch.save(state, file)
    return file, f"events:{tmp_path / 'data'}", state


@pytest.mark.parametrize("steps", [1, 4])
def test_event_frames_are_as_many_as_the_timesteps(events, steps, tmp_path):
    """Also where the data set's own number is ten."""
    file, data, state = events
    out = tmp_path / "vgg.safetensors"
    made = import_checkpoint(file, "ds-atgo", "vggsnn", timesteps=steps, calibrate=data, normalise="none", out=out)
    assert made.batches >= 50
    assert all(len(table) == steps for table in made.thresholds.values())
    tables = dict(zip((neuron for _, neuron, _ in vgg_plan(2)[0]), made.thresholds.values(), strict=True))
    whole = state | {f"{neuron}.neuron.running_threshold": torch.tensor(table) for neuron, table in tables.items()}
    test = datasets.load(data, "test", timesteps=steps)
    answers = Theirs(whole, "ds-atgo").vgg(torch.from_numpy(test.x).double()).argmax(1).numpy()
    assert made.accuracy_calibrated == pytest.approx((answers == test.y).mean())
    torch.save(whole, file)
    again = import_checkpoint(file, "ds-atgo", "vggsnn", timesteps=steps, data=data, normalise="none")
    assert again.accuracy == made.accuracy_calibrated
    assert evaluate(out, data).accuracy == made.accuracy_calibrated


@pytest.mark.parametrize("use", ["data", "calibrate"])
def test_data_whose_preparation_is_not_known_are_refused(events, use, tmp_path):
    """CIFAR10-DVS as the public code reads it cannot be made from recordings (reference page, section 4)."""
    file, data, state = events
    for name in (data, "cifar10-dvs"):
        with pytest.raises(SpikeportError) as caught:
            import_checkpoint(file, "ds-atgo", "vggsnn", timesteps=4, **{use: name})
        assert caught.value.code == "SP398"
        assert "--normalise none" in caught.value.findings[0].mend
    state |= {f"{neuron}.neuron.running_threshold": torch.ones(4) for _, neuron, _ in vgg_plan(2)[0]}
    torch.save(state, file)
    out = tmp_path / "vgg.safetensors"
    made = import_checkpoint(file, "ds-atgo", "vggsnn", timesteps=4, out=out)
    assert made.findings[-1].code == "SP399"
    with pytest.raises(SpikeportError) as caught:
        evaluate(out, data)
    assert caught.value.code == "SP398"
    frames = np.random.default_rng(0).poisson(0.3, (4, 2, 2, 32, 32)).astype(np.float32)
    assert simulate(out, frames).findings[-1].code == "SP399"
