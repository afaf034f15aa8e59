"""What ``spikeport probe`` counts, against shares counted by hand on a network of two neurons."""

import json
import math

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from data_files import code
from spikeport import plugins
from spikeport.terminal.app import build
from spikeport.training import LIF, DsAtgo, Fixed, MpdAgl, TdBatchNorm, checkpoint, files, folder
from spikeport.training.probe import activity
from spikeport.training.recipe import facts_of, parse, read
from spikeport.verbs.probe import probe
from tiny_training import TINY, network

#: currents [T, B, neurons]; with decay 0.5 and threshold 0.5 the membranes before the reset are, neuron by neuron,
#: step 0: 0.5 (fires: exactly at it), 0.25, 0.125, 1.25 (fires); step 1: 0 + 0.25, 0.125 + 0.25, 0.0625 + 1, 0 + 1
X = torch.tensor([[[0.5, 0.25], [0.125, 1.25]], [[0.25, 0.25], [1.0, 1.0]]])


def of(neuron, batch=None):
    return activity(torch.nn.Sequential(neuron), X, "events", batch)["0"]


def test_shares_counted_by_hand():
    """|u - 0.5| is 0, .25, .375, .75 and then .25, .125, .5625, .5: strictly less than half a width of 1 counts."""
    seen = of(LIF(Fixed(threshold=0.5, width=1.0), 2, decay=0.5))
    assert (seen.rate, seen.inside) == ([0.5, 0.5], [0.75, 0.5])
    assert (seen.threshold, seen.width) == ([0.5, 0.5], [1.0, 1.0])
    narrow = of(LIF(Fixed(threshold=0.5, width=0.5), 2, decay=0.5))  # 0.25 is no less than 0.25
    assert (narrow.rate, narrow.inside) == ([0.5, 0.5], [0.25, 0.25])


def test_widths_are_those_of_the_methods_equations():
    method = MpdAgl()
    norm = TdBatchNorm(2, method)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([0.5, -0.25]))  # gamma_bar = 0.125
    seen = of(LIF(method, 2, decay=0.5, norm=norm))
    assert seen.width == pytest.approx([2 * 0.125 * 0.5, 2 * math.sqrt(1.25) * 0.125 * 0.5])
    assert seen.inside == [0.25, 0.0]  # less than 0.0625 from 0.5: 0; then less than 0.0699: none

    neuron = LIF(DsAtgo(), 2, decay=0.5)
    neuron.threshold.copy_(torch.tensor([0.5, 0.5]))  # the table of a training, not the threshold of this batch
    u = np.array([[0.5, 0.25, 0.125, 1.25], [0.25, 0.375, 1.0625, 1.0]])
    width = 1 + np.tanh(u.std(1, ddof=1) - 1)
    seen = of(neuron)
    assert seen.width == pytest.approx(width.tolist())
    assert seen.inside == (np.abs(u - 0.5) < width[:, None] / 2).mean(1).tolist()
    pairs = u.reshape(2, 2, 2).transpose(1, 0, 2)  # a sample at a time: the width is that of its two membranes
    widths = 1 + np.tanh(pairs.std(2, ddof=1) - 1)
    seen = of(neuron, batch=1)
    assert seen.width == pytest.approx(widths.mean(0).tolist())
    assert seen.inside == (np.abs(pairs - 0.5) < widths[..., None] / 2).mean((0, 2)).tolist()


def test_samples_that_have_ended_are_not_counted():
    """The second sample, 0.125 and then 1 of one neuron, 1.25 and 1 of the other, ends after its first step."""
    neuron = torch.nn.Sequential(LIF(Fixed(threshold=0.5, width=1.0), 2, decay=0.5))
    for batch in (None, 1):
        seen = activity(neuron, X, "events", batch, lengths=torch.tensor([2, 1]))["0"]
        assert (seen.rate, seen.inside) == ([0.5, 0.0], [0.75, 1.0])  # 0.25 and 0.375 are within 0.5 of 0.5
        assert (seen.threshold, seen.width) == ([0.5, 0.5], [1.0, 1.0])
    short = activity(neuron, X, "events", lengths=torch.tensor([1, 1]))["0"]
    assert (short.rate, short.inside) == ([0.5, 0.0], [0.75, 0.0])  # nobody is there at the second step


def test_a_learned_threshold_takes_the_width_that_training_takes():
    assert of(LIF(DsAtgo(width=0.7), 2, decay=0.5, train_threshold=True)).width == pytest.approx([0.7, 0.7])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder as a training leaves it, of networks that were not trained."""
    place, recipe = tmp_path_factory.mktemp("trained"), parse(TINY)
    facts = facts_of(recipe, (1, 8, 8), "direct", 3)
    folder.begin(place, recipe)
    (place / "epochs").mkdir()
    for seed, file in enumerate((files.BEST, folder.epoch(2), folder.epoch(10))):
        checkpoint.save(place / file, network(recipe, seed), facts)
    return place


def test_a_folder_is_probed_over_its_epochs(trained):
    seen = probe(trained, limit=60, split="val")
    assert list(seen.epochs) == [2, 10]
    assert (seen.dataset, seen.samples, seen.batch) == ("digits", 60, 20)
    last = probe(trained / folder.epoch(10), limit=60, split="val")
    assert seen.epochs[10] == last.layers
    assert seen.epochs[2] != seen.epochs[10]
    assert last.epochs == {}
    picture = seen.picture()
    panels = picture.figure.axes
    rates = [line.get_ydata() for line in panels[5].lines]  # second row, over epochs: three layers and their mean
    first = [100 * np.mean(layer.rate) for layer in seen.epochs[2].values()]
    assert [line[0] for line in rates] == pytest.approx([*first, np.mean(first)])
    assert len(repr(seen)) < 400


def test_the_command_prints_both_trainings_and_draws_them(trained, tmp_path):
    words = ["probe", str(trained), "--against", "digits-conv", "--limit", "40", "--out", str(tmp_path / "b.svg")]
    said = CliRunner().invoke(build(["probe"]), words)
    assert said.exit_code == 0, said.output
    assert said.output.count("surrogate width") == 3  # two tables of layers, one of epochs
    assert (tmp_path / "b.svg").read_bytes().startswith(b"<?xml")
    best = trained / "best.safetensors"
    printed = json.loads(CliRunner().invoke(build(["probe"]), ["probe", str(best), "--limit", "40", "--json"]).stdout)
    assert printed["runs"][0]["layers"] == {name: vars(layer) for name, layer in probe(best, limit=40).layers.items()}


def test_epochs_that_were_not_kept_are_said_and_old_ones_go(trained, tmp_path):
    (tmp_path / "best.safetensors").write_bytes((trained / "best.safetensors").read_bytes())
    epochs, labels = probe(tmp_path, limit=20).findings
    assert (epochs.code, labels.code) == ("SP371", "SP232")  # the network has three outputs, and digits ten classes
    folder.begin(trained, read(trained / "recipe.toml"))
    assert not list((trained / "epochs").iterdir())


def test_what_cannot_be_probed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(plugins, "_own", {})
    recipe = parse(TINY)
    facts = facts_of(recipe, (1, 8, 8), "direct", 3)
    checkpoint.save(tmp_path / "none.safetensors", network(recipe), {**facts, "dataset": None})
    checkpoint.save(tmp_path / "own.safetensors", network(recipe), {**facts, "method": "mine"})
    assert code(probe, tmp_path / "none.safetensors") == "SP370"
    assert probe(tmp_path / "none.safetensors", np.zeros((4, 1, 8, 8), np.float32)).samples == 4
    assert code(probe, tmp_path / "own.safetensors", "digits") == "SP370"
    assert code(probe, "digits-conv", out="x.pdf") == "SP906"
