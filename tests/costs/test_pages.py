"""No figure is printed without a definition, no constant without a line in the documentation."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from spikeport.costs import shipped
from spikeport.costs.pages import definitions, definitions_page, models_page
from spikeport.graph import LIF, Graph, Input, Linear, Readout
from spikeport.mapping import shipped as chips
from spikeport.mapping.pages import chips_page
from spikeport.verbs.energy import energy
from spikeport.verbs.events import events
from spikeport.verbs.fit import fit
from spikeport.verbs.sanafe import Check

T = 2


@pytest.fixture(scope="module")
def graph():
    return Graph.chain(
        {
            "input": Input((3,)),
            "a": Linear(np.ones((4, 3), np.float32)),
            "lif": LIF((4,), decay=np.float32(0.5), threshold=np.ones(T, np.float32)),
            "b": Linear(np.ones((2, 4), np.float32)),
            "out": Readout((2,), np.ones(T, np.float32)),
        },
        T,
    )


def section(start):
    (lines,) = (lines for name, lines in definitions().items() if name.startswith(start))
    return set(lines)


def test_every_figure_of_events_is_defined(graph):
    layers = events(graph, samples=np.ones((1, 3), np.float32)).as_dict()["layers"]
    assert set(layers["a"]) == section("events: a synapse")
    assert set(layers["lif"]) == section("events: a neuron layer")
    mapped = events(graph, samples=np.ones((1, 3), np.float32), chip="loihi1").as_dict()["traffic"]
    assert set(mapped["lif"]) == section("events: traffic")
    assert mapped["input"]["messages"] == [3] * T


def test_every_figure_of_energy_is_defined(graph):
    figures = energy(graph, samples=np.ones((1, 3), np.float32)).as_dict()
    for estimate in figures["energy_joule_per_sample"].values():
        assert set(estimate) == section("energy: an estimate")
    for verdict in figures["verdicts"].values():
        assert set(verdict) == section("energy: a verdict")
    assert set(figures["latency"]) == section("energy: latency")
    assert set(figures["events"]["layers"]) == {"a", "lif", "b"}
    assert {item.name for item in fields(Check)} == section("energy: SANA-FE")


def test_every_figure_of_fit_is_defined(graph):
    bound = fit(graph).as_dict()["bounds"]["shared"]
    assert set(bound) == section("fit: the whole")
    assert set(bound["layers"]["lif"]) == section("fit: a layer")


def test_the_pages_show_every_constant_and_limit_with_its_source():
    text = models_page()
    for name, model in shipped().items():
        assert f"`{name}`" in text
        for constant in model.constants.values():
            assert constant.source in text
    text = chips_page()
    for chip in chips().values():
        for limit in chip.limits.values():
            assert limit.source in text
        for constant in (*chip.timing.values(), *chip.fitted.values()):
            assert constant.source in text
        assert chip.compiled is None or chip.compiled.synapse_bits.source in text
    assert "break_even" in definitions_page()
