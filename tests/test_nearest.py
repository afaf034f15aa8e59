"""A name that is nearly one of those there are is answered with it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from spikeport import datasets, target
from spikeport.findings import SpikeportError
from spikeport.graph import LIF
from spikeport.mapping import find as chip
from spikeport.nearest import MANY, choose, nearest
from spikeport.quantisation.profiles import load_profile
from spikeport.terminal.app import build
from spikeport.training.catalogue import method
from spikeport.training.recipe import parse
from spikeport.training.shipped import find as recipe_path
from spikeport.verbs.load import load_model


@pytest.mark.parametrize(
    ("ask", "word", "meant"),
    [
        (datasets.load, "digit", "digits"),
        (datasets.load, "Fashion_MNIST", "fashion-mnist"),
        (target.target, "integre", "integer"),
        (target.target, "Lava", "lava"),
        (method, "ds_atgo", "ds-atgo"),
        (chip, "loihi-1", "loihi1"),
        (load_profile, "loihi-2", "loihi2"),
        (recipe_path, "digits_conv", "digits-conv"),
        (load_model, "digit-conv", "digits-conv"),
        (lambda word: parse({word: 3}), "epoch", "epochs"),
    ],
)
def test_the_message_names_what_may_have_been_meant(ask, word, meant):
    with pytest.raises(SpikeportError) as caught:
        ask(word)
    assert any(f"did you mean {meant}?" in finding.mend for finding in caught.value.findings)


def test_a_layer_that_is_nearly_one_is_named():
    graph = SimpleNamespace(nodes_of=lambda kind: {"conv1.neuron": 0, "dense.neuron": 1} if kind is LIF else {})
    with pytest.raises(SpikeportError, match=r"did you mean conv1\.neuron\?"):
        target.Request(trains=("conv1.neurons",)).check_layers(graph)


@pytest.mark.parametrize(("words", "meant"), [(["targest"], "targets"), (["targets", "--jason"], "--json")])
def test_the_command_line_does_so_for_verbs_and_options(words, meant):
    ran = CliRunner().invoke(build(), words)
    assert ran.exit_code == 2
    assert meant in ran.output


def test_what_is_like_nothing_gets_the_list_alone():
    assert nearest("zzz", ["integer"]) is None
    assert choose("zzz", ["b", "a"]) == "choose one of: b, a"
    assert choose("n3", [f"n{i}" for i in range(MANY + 2)]).endswith("and 2 more")
