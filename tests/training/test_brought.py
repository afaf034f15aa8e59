"""What a file brings and gets wrong, neurons, networks and data sets: told in the user's words, and no traceback."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from data_files import code
from spikeport import datasets, plugins
from spikeport.datasets import Source
from spikeport.findings import SpikeportError
from spikeport.terminal.app import general_first
from spikeport.training import Fixed, Linear, Neuron, networks
from spikeport.training.cells import neurons
from spikeport.training.folder import write_recipe
from spikeport.training.networks import Task
from spikeport.training.recipe import parse, read
from tiny_training import TINY

TASK = Task((4,), 3, 2, Fixed())
FILE = """
from __future__ import annotations
from dataclasses import dataclass
from typing import Annotated
from pydantic import Field
from spikeport.plugins import plugin
@plugin("augmentations", "NAME")
@dataclass(frozen=True)
class Mine:
    std: Annotated[float, Field(ge=0)] = 0.1
    def __call__(self, x, generator):
        raise KeyError("no such column")  # line 12
"""


@pytest.fixture(autouse=True)
def nothing(monkeypatch):
    monkeypatch.setattr(plugins, "_own", {})


@pytest.fixture
def file(tmp_path):
    """A function that writes and runs a file which brings an augmentation of a name."""

    def run(name):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text(FILE.replace("NAME", name))
        return plugins.run_file(tmp_path / name / "mine.py").Mine

    return run


def kind(decay, **methods):
    return type("Mine", (Neuron,), {"decay": property(lambda self: decay), **methods})


def test_neurons_of_a_file_have_checked_options():
    class Kept(kind(torch.tensor(0.5))):
        def __init__(self, method, timesteps, *, kept: int = 1, **options):
            super().__init__(method, timesteps, **options)
            self.kept = kept

    plugins.plugin("neurons", "kept")(Kept)
    made = neurons(TASK, {"neuron": "kept", "neuron_options": {"kept": 3}, "reset": "subtract", "norm": "tdbn"})
    assert (made.kept, made.reset, made.timesteps) == (3, "subtract", 2)
    assert neurons(TASK, {"neuron_options": {"decay": 0.75}}).decay.item() == pytest.approx(0.75)
    for options, words in (
        ({"kep": 3}, "did you mean kept"),
        ({"kept": 0.5}, "kept = 0.5"),
        ({"reset": "zero"}, "reset"),
    ):
        with pytest.raises(SpikeportError, match=words) as caught:
            neurons(TASK, {"neuron": "kept", "neuron_options": options})
        assert caught.value.code == "SP316"


@pytest.mark.parametrize(
    "thing", [lambda x: x, nn.ReLU, type("Two", (Neuron,), {"__init__": lambda self, method: None})]
)
def test_what_is_no_neuron_is_told(thing):
    plugins.plugin("neurons", "none")(thing)
    assert code(neurons, TASK, {"neuron": "none"}) == "SP316"


@pytest.mark.parametrize("decay", [1.5, math.nan, [0.5, 0.5], None, "missing"])
def test_a_decay_is_one_number_between_0_and_1(decay):
    own = Neuron if decay == "missing" else kind(decay and torch.tensor(decay))
    plugins.plugin("networks", "mine")(lambda task: nn.Sequential(Linear(4, 3), own(task.method, task.timesteps)))
    assert code(networks.build, "mine", input_shape=(4,), classes=3, timesteps=2) == "SP316"


def test_a_network_takes_a_task_and_gives_a_module_with_a_readout():
    plugins.plugin("networks", "empty")(lambda task: None)
    plugins.plugin("networks", "idle")(lambda: nn.Flatten())
    for name in ("empty", "idle"):
        assert code(networks.build, name, input_shape=(4,), classes=3, timesteps=2) == "SP314"
    with pytest.raises(SpikeportError, match="no Readout"):
        networks.try_out(nn.Linear(4, 3), torch.zeros(1, 4), 3)


X, Y = np.zeros((6, 1, 2, 2), np.float32), np.arange(6) % 3


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ((X.astype(np.float64), Y), "x is float64"),
        ((X, Y[:-1]), "6 samples and 5 labels"),
        ((X, Y + 1), "classes go from 1 to 3"),
        ((X, Y - 1), "classes go from -1 to 1"),
        ((X, np.eye(3)[Y]), r"y is float64 \[6, 3\]"),
        ((X[:0], Y[:0]), "no samples"),
        ((X[:, 0, 0, 0], Y), "x has shape"),
        (X, "gives ndarray"),
        ((X,), "gives tuple of 1"),
        (None, "gives NoneType"),
    ],
)
def test_what_a_data_set_gives_is_checked(given, words):
    plugins.plugin("datasets", "mine")(Source(lambda split: given, classes=3))
    with pytest.raises(SpikeportError, match=words) as caught:
        datasets.load("mine", "train")
    assert caught.value.code == "SP365"


def test_a_data_set_is_a_source_that_takes_what_it_is_asked():
    plugins.plugin("datasets", "mine")(Source(lambda split: (X, Y), classes=3))
    assert len(datasets.load("mine", "train")) == 6
    assert code(datasets.load, "mine", "train", "folder") == "SP365"
    plugins.plugin("datasets", "mine")(lambda split: (X, Y))
    assert code(datasets.load, "mine", "train") == "SP365"
    plugins.plugin("datasets", "mine")(Source(lambda split: (X, Y), classes=3, coding="event"))
    assert code(datasets.load, "mine", "train") == "SP365"


def test_what_a_file_raises_is_told_with_its_line(file):
    mine = file("one")()
    with pytest.raises(SpikeportError, match="line 12: a plug-in raised KeyError") as caught, plugins.named():
        mine(None, None)
    assert caught.value.code == "SP327"
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(ZeroDivisionError), plugins.named():
        print(1 / 0)  # no plug-in has a part in it


def test_files_of_one_name_are_two_files_and_their_recipe_can_be_written_and_read(file, tmp_path):
    """Annotations that are looked up later are the file's own; tables within tables stay what they are."""
    assert file("one").__module__ != file("an other").__module__
    fields = {**TINY, "augmentations": {"one": {"std": 0.5}, "an other": {}}}
    recipe = parse({**fields, "architecture": {**TINY.get("architecture", {}), "neuron_options": {"decay": 0.5}}})
    write_recipe(tmp_path, recipe)
    assert read(tmp_path / "recipe.toml") == recipe
    changed = read(tmp_path / "recipe.toml", {"augmentations.one.std": 0.25, "architecture.neuron_options.decay": 0.75})
    assert changed.augmentations == {"one": {"std": 0.25}, "an other": {}}
    assert changed.architecture["neuron_options"] == {"decay": 0.75}


def test_a_plug_in_may_be_named_anywhere_and_with_an_equals_sign():
    assert general_first(["train", "x", "--plugin=a.py", "-q"]) == ["-q", "--plugin", "a.py", "train", "x"]
    with pytest.raises(SpikeportError, match="names no file"):
        general_first(["train", "x", "--plugin"])
