"""Training as a whole: it learns, it is repeatable, it goes on bit for bit, and two processes equal one."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from spikeport.api.train import train
from spikeport.findings import SpikeportError
from spikeport.train.loop import Training, fit, rate_at, train_step
from spikeport.train.parts import Part, augment, batches
from spikeport.train.recipe import parse
from spikeport_models.networks import build

TINY = {
    "model": "tiny", "dataset": "digits", "network": "conv", "timesteps": 2, "epochs": 6, "batch": 20, "lr": 0.1,
    "method": "ds-atgo", "architecture": {"channels": [4, 8], "hidden": 16}, "shift": 1,
}  # fmt: skip
SHORT = {"epochs": 2, "architecture.channels": [4, 8], "architecture.hidden": 16, "batch": 100}


def blobs(count=240, seed=0):
    """Three classes of 8x8 images: a bright patch in one of three places, in noise."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(count) % 3
    x = 0.3 * torch.rand(count, 1, 8, 8, generator=generator)
    for k, (r, c) in enumerate([(0, 0), (0, 5), (5, 2)]):
        x[y == k, :, r : r + 3, c : c + 3] += 0.6
    return Part(x, y, "direct")


def network(recipe, seed=0):
    torch.manual_seed(seed)
    return build(recipe.network, input_shape=(1, 8, 8), classes=3, timesteps=recipe.timesteps,
                 train_with=recipe.method, options=recipe.architecture)  # fmt: skip


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


def test_a_training_folder_holds_what_it_says_and_goes_on_bit_for_bit(tmp_path):
    whole = train("digits", out=tmp_path / "whole", overrides={**SHORT, "epochs": 3})
    recipe = tmp_path / "whole" / "recipe.toml"

    class StoppedError(Exception):
        pass

    from spikeport.train import folder

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
    parts = train(recipe, out=tmp_path / "parts", go_on=True)
    for name, tensor in whole.module.state_dict().items():
        assert torch.equal(tensor, parts.module.state_dict()[name]), name
    assert [e.loss for e in whole.epochs] == [e.loss for e in parts.epochs]
    rows = list(csv.DictReader((tmp_path / "parts" / "metrics.csv").read_text().splitlines()))
    metrics = json.loads((tmp_path / "parts" / "metrics.json").read_text())
    assert [float(row["val_accuracy"]) for row in rows] == [epoch["val_accuracy"] for epoch in metrics]
    names = {path.name for path in (tmp_path / "parts").iterdir()}
    assert names == {"recipe.toml", "metrics.json", "metrics.csv", "curves.png", "best.safetensors", "last.safetensors",
                     "resume.safetensors"}  # fmt: skip
    with pytest.raises(SpikeportError, match="another recipe: lr"):
        train(recipe, out=tmp_path / "parts", overrides={"lr": 0.2}, go_on=True)
    with pytest.raises(SpikeportError, match="SP318"):
        train(recipe, out=tmp_path / "elsewhere", go_on=True)


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
    factors = [rate_at(step, 100, 0.1) for step in range(100)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == factors[10] == 1.0
    assert factors[55] == pytest.approx(0.5)
    assert factors[99] < 1e-3


def test_augmentation_moves_a_sample_and_all_its_frames_alike():
    x = torch.zeros(3, 50, 1, 7, 7)
    x[..., 3, 3] = torch.arange(1, 4).reshape(3, 1, 1)
    moved = augment(x, torch.Generator().manual_seed(1), shift=2, flip=True)
    assert torch.equal(moved.sum((-1, -2)), x.sum((-1, -2)))
    places = [frame.flatten(1).argmax(1) for frame in moved.squeeze(2)]
    assert torch.equal(places[0], places[1])
    assert len(places[0].unique()) > 10


WORKER = """
import sys, torch
torch.set_num_threads(1)
sys.path.insert(0, {tests!r})
from test_loop import one_training
from spikeport.train.parallel import together
from spikeport.train.reduce import rank
with together():
    results = [one_training(method) for method in ("ds-atgo", "mpd-agl")]
    if rank() == 0:
        torch.save(results, {out!r})
"""


def one_training(method):
    """Weights and curve in double precision."""
    recipe = parse({**TINY, "epochs": 2, "batch": 60, "method": method, "lr": 0.02})
    module = network(recipe).double()
    train, val = (Part(part.x.double(), part.y, "direct") for part in (blobs(), blobs(30, 1)))
    training = Training.begin(module, recipe, 240)
    fit(training, train, val)
    return module.state_dict(), [(e.loss, e.train_accuracy) for e in training.epochs]


def test_two_processes_with_half_the_batch_equal_one_with_the_whole(tmp_path):
    """Thresholds and tdBN take their statistics over both; gradients are the mean of both (gloo)."""
    out = str(tmp_path / "two.pt")
    code = WORKER.format(tests=str(Path(__file__).parent), out=out)
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    ranks = [{**shared, "RANK": str(k), "LOCAL_RANK": str(k)} for k in range(2)]
    workers = [subprocess.Popen([sys.executable, "-c", code], env=env) for env in ranks]
    assert [worker.wait(200) for worker in workers] == [0, 0]
    for method, (two, curve2) in zip(("ds-atgo", "mpd-agl"), torch.load(out, weights_only=True), strict=True):
        one, curve = one_training(method)
        for name, tensor in one.items():
            torch.testing.assert_close(tensor, two[name], rtol=1e-8, atol=1e-10)
        for epoch, epoch2 in zip(curve, curve2, strict=True):
            assert epoch == pytest.approx(epoch2, rel=1e-10)


def free_port():
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_autocast_keeps_membranes_and_statistics_in_single_precision():
    recipe = parse({**TINY, "precision": "bf16"})
    module = network(recipe)
    seen = {}
    module.conv1.neuron.register_forward_hook(lambda _, x, y: seen.update(x=x[0].dtype, y=y.dtype))
    part = blobs(60)
    optimiser = torch.optim.SGD(module.parameters(), 0.1)
    train_step(module, part.x, part.y, optimiser, recipe)
    assert seen == {"x": torch.bfloat16, "y": torch.bfloat16}
    assert all(t.dtype == torch.float32 for t in module.state_dict().values())


def test_bf16_input_gives_the_spikes_of_the_same_numbers_in_float32():
    """The membrane is not rounded: only input and output of the neurons are bfloat16."""
    from spikeport.train import PLIF, DsAtgo

    torch.manual_seed(2)
    x = torch.randn(4, 8, 16, 9, 9).bfloat16()
    half, whole = PLIF(DsAtgo(), 4), PLIF(DsAtgo(), 4)
    a, b = half(x), whole(x.float())
    assert a.dtype == torch.bfloat16
    assert torch.equal(a.float(), b)
    assert torch.equal(half.threshold, whole.threshold)
