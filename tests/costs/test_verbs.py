"""The verbs `events` and `energy` on a small network, as functions and on the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.graph import LIF, Conv, Flatten, Graph, Input, Linear, Readout
from spikeport.terminal.app import build
from spikeport.verbs.energy import energy
from spikeport.verbs.events import events
from spikeport.verbs.fit import fit
from spikeport.verbs.simulate import simulate

T, B = 4, 5


@pytest.fixture(scope="module")
def graph():
    rng = np.random.default_rng(0)
    return Graph.chain(
        {
            "input": Input((1, 4, 4)),
            "conv": Conv(rng.normal(size=(2, 1, 3, 3)).astype(np.float32), padding=(1, 1)),
            "lif": LIF((2, 4, 4), decay=np.float32(0.5), threshold=np.linspace(0.4, 0.7, T, dtype=np.float32)),
            "flat": Flatten(),
            "linear": Linear(rng.normal(size=(3, 32)).astype(np.float32)),
            "out": Readout((3,), np.full(T, 1 / T, np.float32)),
        },
        T,
    )


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(1).normal(size=(B, 1, 4, 4)).astype(np.float32)


def test_events_show_analog_multiply_adds_both_ways(graph, x):
    layers = events(graph, samples=x).as_dict()["layers"]
    once = 2 * (4 * 9 + 8 * 6 + 4 * 4) * B  # inner, edge and corner pixels
    assert layers["conv"]["macs_cached"] == once
    assert layers["conv"]["macs_every_step"] == T * once
    assert layers["linear"]["macs_cached"] == layers["linear"]["macs_every_step"] == 0
    assert layers["conv"]["weight_bytes"] == 18 * 4
    assert layers["lif"]["state_bytes"] == 32 * 4


def test_one_source_of_samples_is_asked_for(graph, x):
    for data in (None, "digits"):
        with pytest.raises(SpikeportError) as caught:
            events(graph, data, samples=None if data is None else x)
        assert caught.value.code == "SP707"


def test_no_sample_and_numbers_that_the_network_cannot_hold_are_refused(graph, x):
    for given, expected in ((x[:0], "SP121"), (np.full((1, 1, 4, 4), 1e300), "SP502")):
        for verb in (events, energy, simulate):
            with pytest.raises(SpikeportError) as caught:
                verb(graph, samples=given)
            assert caught.value.code == expected, verb


def test_a_users_own_model_stands_beside_the_others(graph, x, tmp_path):
    mine = tmp_path / "mine.toml"
    constant = 'value = {v}\nlow = 0\nhigh = 9\nunit = "nJ"\nbasis = "measured"\nsource = "my bench"\n'
    mine.write_text(
        'title = "my chip"\nfunction = "arithmetic"\nabout = "a test"\n[constants.mac]\n'
        + constant.format(v=1)
        + "[constants.ac]\n"
        + constant.format(v=0)
    )
    result = energy(graph, samples=x, models=[mine])
    assert result.estimates["mine"].nominal == pytest.approx(2 * 100 * 1e-9)
    assert "45nm-fp32" in result.estimates
    assert "mine" in result.verdicts


def test_what_a_figure_leaves_out_is_said(graph, x):
    """A schedule that Loihi 1 is written from outside, and a chip without a published static power."""
    notes = energy(graph, samples=x).notes
    assert any("thresholds of 1 layers change with time; on Loihi 1 each change is a write" in note for note in notes)
    assert any(note.startswith("SpiNNaker 2") and "no static power" in note for note in notes)


@pytest.mark.parametrize(("chip", "said"), [("loihi1", True), ("loihi2", False)])
def test_a_lower_bound_that_a_chip_does_not_know_is_said(graph, chip, said):
    held = graph.replace({name: node.with_(lower_bound=np.asarray(-1.0)) for name, node in graph.nodes_of(LIF).items()})
    assert any("end at a value from below" in note for note in fit(held, chip).notes) == said
    assert not any("from below" in note for note in fit(graph, chip).notes)


def test_the_command_line_prints_json_and_the_verdict(graph, x, tmp_path):
    nir.write(graph, tmp_path / "m.nir")
    np.save(tmp_path / "x.npy", x)
    arguments = ["energy", str(tmp_path / "m.nir"), "--input", str(tmp_path / "x.npy")]
    shown = CliRunner().invoke(build(), [*arguments, "--json"], catch_exceptions=False)
    plain = json.loads(shown.stdout)
    cost = plain["energy_joule_per_sample"]["45nm-fp32"]
    assert cost["low"] <= cost["nominal"] <= cost["high"]
    text = CliRunner().invoke(build(), arguments, catch_exceptions=False).stdout
    assert plain["verdicts"]["45nm-fp32"]["sentence"] in text
    counted = CliRunner().invoke(build(), ["events", *arguments[1:], "--json"], catch_exceptions=False)
    assert json.loads(counted.stdout)["samples"] == B
