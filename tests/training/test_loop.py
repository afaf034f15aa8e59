"""Training as a whole: it learns, it is repeatable, and it goes on bit for bit."""

import csv
import json

import pytest
import safetensors.torch
import torch

from spikeport import datasets
from spikeport.findings import SpikeportError
from spikeport.training import loop, resume, shipped
from spikeport.training.augment import augment
from spikeport.training.loop import Training, accuracy, fit, rate_at
from spikeport.training.parts import Part, batches
from spikeport.training.recipe import parse
from spikeport.verbs.train import train
from tiny_training import SHORT, TINY, blobs, network


@pytest.mark.parametrize("method", ["fixed", "mpd-agl", "ds-atgo", "lsg", "psg", "masked"])
@pytest.mark.parametrize("loss", ["ce", "tet"])
def test_every_method_learns(method, loss):
    recipe = parse({**TINY, "method": method, "loss": loss, "mpd_sgr": 0.05 if method == "fixed" else 0.0})
    training = Training.begin(network(recipe), recipe, 240)
    best = fit(training, blobs(), blobs(90, seed=1))
    assert best.val_accuracy > 0.95
    assert training.epochs[-1].loss < training.epochs[0].loss
    if method == "psg":
        assert all(p.grad is not None for n, p in training.module.named_parameters() if n.endswith("log_width"))
    weights = training.module.readout.weight
    assert float(weights.sum()) == pytest.approx(1.0, abs=1e-5)
    assert (weights == 0.5).all() != (method == "masked")


def test_the_same_seed_gives_the_same_network_to_the_bit():
    states = []
    for _ in range(2):
        recipe = parse({**TINY, "epochs": 2})
        training = Training.begin(network(recipe), recipe, 240)
        fit(training, blobs(), blobs(30, 1))
        states.append(training.module.state_dict())
    assert all(torch.equal(a, states[1][name]) for name, a in states[0].items())


@pytest.mark.parametrize("method", ["ds-atgo", "masked"])
def test_a_training_folder_holds_what_it_says_and_goes_on_bit_for_bit(tmp_path, method):
    """Masks are drawn from torch's own random state, which goes on with the training as the batches' does."""
    whole = train("digits", method, tmp_path / "whole", {**SHORT, "epochs": 3})
    recipe = tmp_path / "whole" / "recipe.toml"

    class StoppedError(Exception):
        pass

    from spikeport.training import folder

    real = folder.write_metrics

    def stop_after_two(place, epochs):
        real(place, epochs)
        if len(epochs) == 3:
            raise StoppedError

    folder.write_metrics = stop_after_two  # the third epoch is lost, as by a power cut
    try:
        with pytest.raises(StoppedError):
            train(recipe, out=tmp_path / "parts")
    finally:
        folder.write_metrics = real
    torch.manual_seed(99)
    parts = train(recipe, out=tmp_path / "parts", go_on=True, keep_every=3)
    for name, tensor in whole.module.state_dict().items():
        assert torch.equal(tensor, parts.module.state_dict()[name]), name
    assert [e.loss for e in whole.epochs] == [e.loss for e in parts.epochs]
    rows = list(csv.DictReader((tmp_path / "parts" / "metrics.csv").read_text().splitlines()))
    metrics = json.loads((tmp_path / "parts" / "metrics.json").read_text())
    assert [float(row["val_accuracy"]) for row in rows] == [epoch["val_accuracy"] for epoch in metrics]
    names = {path.name for path in (tmp_path / "parts").iterdir()}
    assert names == {
        "recipe.toml",
        "metrics.json",
        "metrics.csv",
        "curves.png",
        "best.safetensors",
        "last.safetensors",
        "resume.safetensors",
        "epochs",
    }
    (kept,) = (tmp_path / "parts" / "epochs").iterdir()
    assert kept.name == "0003.safetensors"
    assert kept.read_bytes() == (tmp_path / "parts" / "last.safetensors").read_bytes()
    with pytest.raises(SpikeportError, match="another recipe: lr"):
        train(recipe, out=tmp_path / "parts", overrides={"lr": 0.2}, go_on=True)
    with pytest.raises(SpikeportError, match="SP318"):
        train(recipe, out=tmp_path / "elsewhere", go_on=True)


def test_what_masks_are_drawn_from_on_a_gpu_goes_on_too(tmp_path, monkeypatch):
    """Of the GPU on which the network lies, here a made-up one."""
    recipe, gpu, state = parse({**TINY, "method": "masked"}), torch.device("cuda", 1), torch.arange(16).byte()
    restored = []
    monkeypatch.setattr(resume, "_device", lambda _: gpu)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: state if device == gpu else None)
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda new, device: restored.append((new.tolist(), device)))
    resume.save(tmp_path / "resume.safetensors", Training.begin(network(recipe), recipe, 240))
    resume.restore(tmp_path / "resume.safetensors", Training.begin(network(recipe), recipe, 240))
    assert restored == [(list(range(16)), gpu)]


@pytest.fixture
def stopped(monkeypatch):
    """An error in the given epoch's first step."""

    class StoppedError(Exception):
        pass

    def at(epoch):
        real = loop._epoch

        def stop(training, *rest):
            if len(training.epochs) + 1 == epoch:
                raise StoppedError
            return real(training, *rest)

        monkeypatch.setattr(loop, "_epoch", stop)
        return StoppedError

    return at


def test_an_interrupted_training_leaves_the_best_network_so_far(tmp_path, stopped):
    """And its metrics and curves; the test part was not looked at."""
    out = tmp_path / "out"
    with pytest.raises(stopped(4)):
        train("digits", out=out, overrides={**SHORT, "epochs": 6, "weight_bits": 4})
    epochs = json.loads((out / "metrics.json").read_text())
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3]
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    module, facts = shipped.load(out / "best.safetensors")
    best = max(epochs, key=lambda epoch: (epoch["val_accuracy"], epoch["epoch"]))
    assert facts["epoch"] == best["epoch"]
    assert "test_accuracy" not in facts
    data = datasets.load("digits", "val")
    assert accuracy(module, Part.of(data.x, data.y, data.coding)) == pytest.approx(facts["val_accuracy"], abs=1e-9)
    assert len(module.conv1.synapse.weight[0].unique()) <= 15  # on its grid of four bits already


def test_a_folder_with_another_training_is_refused_unless_told_otherwise(tmp_path, stopped):
    out, short = tmp_path / "out", {**SHORT, "epochs": 1}
    train("digits", out=out, overrides=short)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(SpikeportError, match=r"lr 0\.1 \(now 0\.2\)\n.*--overwrite") as error:
        train("digits", out=out, overrides={**short, "lr": 0.2})
    assert error.value.code == "SP320"
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    again = train("digits", out=out, overrides=short)  # the same recipe makes the same network
    first = safetensors.torch.load(before["best.safetensors"])
    assert all(torch.equal(tensor, first[name]) for name, tensor in again.module.state_dict().items())
    with pytest.raises(stopped(1)):
        train("digits", out=out, overrides={**short, "lr": 0.2}, overwrite=True)
    assert [path.name for path in out.iterdir()] == ["recipe.toml"]  # nothing of the earlier training stays beside it
    (out / "recipe.toml").write_text("")
    with pytest.raises(SpikeportError, match="SP320"):
        train("digits", out=out, overrides=short)


def test_a_recipe_that_was_edited_in_its_folder_is_another_one(tmp_path):
    """The checkpoints beside it were made by what it said before."""
    short = {**SHORT, "epochs": 1, "architecture.channels": (4, 8)}  # a tuple, where files have a list
    train("digits", out=tmp_path, overrides=short)
    train("digits", out=tmp_path, overrides=short)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("momentum = 0.9", "momentum = 0.8"))
    with pytest.raises(SpikeportError, match=r"momentum 0\.9 \(now 0\.8\)"):
        train(recipe, out=tmp_path)


def test_a_file_where_the_folder_should_be_is_refused(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(SpikeportError, match="SP317"):
        train("digits", out=tmp_path / "x")


def test_a_diverged_loss_ends_the_training():
    recipe = parse({**TINY, "lr": 1e30, "momentum": 0.0})
    part = blobs()
    with pytest.raises(SpikeportError, match="SP315"):
        fit(Training.begin(network(recipe), recipe, 240), part, part)


def test_every_sample_is_seen_once_an_epoch():
    seen = torch.cat(list(batches(105, 10, torch.Generator())))
    assert sorted(seen.tolist()) == list(range(105))
    assert sum(len(b) for b in batches(104, 10, torch.Generator())) == 100  # four would be too few for statistics


def test_the_learning_rate_rises_and_then_follows_a_cosine():
    factors = [rate_at(step, 100, parse({**TINY, "epochs": 1, "warmup": 0.1})) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == factors[10] == 1.0
    assert factors[55] == pytest.approx(0.5)
    assert factors[99] < 1e-3


def test_augmentation_moves_a_sample_and_all_its_frames_alike():
    x = torch.zeros(3, 50, 1, 7, 7)
    x[..., 3, 3] = torch.arange(1, 4).reshape(3, 1, 1)
    moved = augment(x, torch.Generator().manual_seed(1), parse({**TINY, "shift": 2, "flip": True}))
    assert torch.equal(moved.sum((-1, -2)), x.sum((-1, -2)))
    places = [frame.flatten(1).argmax(1) for frame in moved.squeeze(2)]
    assert torch.equal(places[0], places[1])
    assert len(places[0].unique()) > 10
