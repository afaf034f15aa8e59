"""``import-checkpoint``: data enter as the authors' loaders prepare them, wherever the network goes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from authors_code import T, Theirs, random_state, resnet_plan, vgg_plan
from data_files import cifar_folder
from spikeport import datasets
from spikeport.engine import simulate as engine
from spikeport.engine.lengths import run_to_ends
from spikeport.findings import SpikeportError
from spikeport.target import Request
from spikeport.verbs.evaluate import evaluate
from spikeport.verbs.export import export
from spikeport.verbs.import_checkpoint import import_checkpoint
from spikeport.verbs.load import Data, load_data, load_model
from spikeport.verbs.quantize import quantize
from spikeport.verbs.simulate import simulate

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
    imported = import_checkpoint(file, "mpd-agl", "resnet19", timesteps=T, data="cifar10", out=out)
    assert imported.accuracy == 28 / 40
    assert [finding.code for finding in imported.findings] == ["SP399"]
    assert evaluate(out, "cifar10").correct == 28
    loaded = load_model(out)
    assert np.array_equal(load_data("cifar10", "test", loaded.graph).x, prepared)  # to the bit
    np.testing.assert_allclose(simulate(loaded, prepared).outputs, logits, atol=1e-4)
    for name in ("resnet19.nir", "resnet19.onnx"):
        told = export(out, tmp_path / name)
        assert "SP399" in {finding.code for finding in told.findings}
        again = evaluate(tmp_path / name, "cifar10", target="reference")
        assert again.correct == 28
        assert again.findings[0].code == "SP399"
    integer = tmp_path / "resnet19.int.nir"
    whole = quantize(out, data="cifar10", calibration=8, steps=("normalise", "ranges"), out=integer)
    assert np.array_equal(load_data("cifar10", "test", load_model(integer).graph, 5).x, prepared[:5])
    node = whole.graph.nodes[whole.graph.input]
    assert node.low < 0 < node.high  # made for normalised images
    assert float(node.unit) == pytest.approx(np.abs(prepared).max() / node.high, rel=1e-6)
    assert "SP399" in {finding.code for finding in whole.findings}


def test_what_the_user_says_of_the_data_counts(cifar, tmp_path):
    file, _, _ = cifar
    said = ",".join(map(str, MEAN)) + "/" + ",".join(map(str, STD))
    imported = import_checkpoint(file, "mpd-agl", "resnet19", timesteps=T, data="cifar10", normalise=said)
    assert imported.accuracy == 28 / 40
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
    imported = import_checkpoint(file, "ds-atgo", "mlp", timesteps=2, calibrate="cifar10", normalise=said)

    def threshold(x):
        y = F.linear(x.double().flatten(1), state["fc.0.layer.weight"].double())
        names = ("running_mean", "running_var", "weight", "bias")
        mean, var, gamma, beta = (state[f"fc.0.bn.tdBN.{name}"].double() for name in names)
        y = (y - mean) / torch.sqrt(var + 1e-5) * gamma + beta
        return float(y.mean() + y.std())

    everything = np.concatenate([pixels[f"data_batch_{k}"][0] for k in range(1, 6)])
    expected = threshold(as_they_load(everything))
    assert imported.thresholds["dense1.neuron"][0] == pytest.approx(expected, rel=0.02)
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
    imported = import_checkpoint(file, "ds-atgo", "vggsnn", timesteps=steps, calibrate=data, normalise="none", out=out)
    assert imported.batches == 50
    assert all(len(table) == steps for table in imported.thresholds.values())
    tables = dict(zip((neuron for _, neuron, _ in vgg_plan(2)[0]), imported.thresholds.values(), strict=True))
    whole = state | {f"{neuron}.neuron.running_threshold": torch.tensor(table) for neuron, table in tables.items()}
    test = datasets.load(data, "test", timesteps=steps)
    answers = Theirs(whole, "ds-atgo").vgg(torch.from_numpy(test.x).double()).argmax(1).numpy()
    assert imported.accuracy_calibrated == pytest.approx((answers == test.y).mean())
    torch.save(whole, file)
    again = import_checkpoint(file, "ds-atgo", "vggsnn", timesteps=steps, data=data, normalise="none")
    assert again.accuracy == imported.accuracy_calibrated
    assert evaluate(out, data).accuracy == imported.accuracy_calibrated


def test_recordings_that_end_early_are_measured_at_their_ends_and_calibrate_nothing(events, tmp_path, monkeypatch):
    """What each is to answer is that of the captured graph at the end of it, run by the engine."""
    file, data, state = events
    tables = {f"{neuron}.neuron.running_threshold": torch.full((4,), 0.3) for _, neuron, _ in vgg_plan(2)[0]}
    torch.save(state | tables, file)
    out = tmp_path / "vgg.safetensors"
    import_checkpoint(file, "ds-atgo", "vggsnn", timesteps=4, normalise="none", out=out)
    test = datasets.load(data, "test", timesteps=4)
    samples = test.samples.ending(1 + np.arange(len(test.y)) % 4, "here")
    graph = load_model(out).graph
    ended, whole = (
        record.outputs.argmax(1)
        for record in (run_to_ends(engine, graph, samples, Request()), engine(graph, test.x, Request()))
    )
    assert (ended != whole).any()

    def ending(*asked, **_):
        return Data(data, "test", samples.array, ended, axis=1, lengths=samples.lengths)

    monkeypatch.setattr(sys.modules["spikeport.verbs.import_checkpoint"], "prepared", ending)
    imported = import_checkpoint(file, "ds-atgo", "vggsnn", timesteps=4, data=data, normalise="none")
    assert imported.accuracy == 1
    torch.save(state, file)
    with pytest.raises(SpikeportError, match=r"SP246.*a calibration takes samples of one length"):
        import_checkpoint(file, "ds-atgo", "vggsnn", timesteps=4, calibrate=data, normalise="none")


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
    imported = import_checkpoint(file, "ds-atgo", "vggsnn", timesteps=4, out=out)
    assert imported.findings[-1].code == "SP399"
    with pytest.raises(SpikeportError) as caught:
        evaluate(out, data)
    assert caught.value.code == "SP398"
    frames = np.random.default_rng(0).poisson(0.3, (4, 2, 2, 32, 32)).astype(np.float32)
    assert simulate(out, frames).findings[-1].code == "SP399"
