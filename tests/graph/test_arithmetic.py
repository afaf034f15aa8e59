"""An arithmetic of one's own, the worked example: built, run, counted, written, read, refused where unknown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spikeport import plugins
from spikeport.comparison.causes import causes
from spikeport.costs.events import derive
from spikeport.engine import simulate
from spikeport.engine.target import Integer
from spikeport.findings import SpikeportError
from spikeport.formats import nir, onnx
from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Loihi, Norm, Readout, definition
from spikeport.target import Request

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import shift_arithmetic

    class Entry:
        def load(self):
            return shift_arithmetic.Shifts

    own = plugins.entries
    monkeypatch.setattr(
        "spikeport.formats.facts.entries", lambda group: {"shifts": Entry()} if "arith" in group else own(group)
    )
    return shift_arithmetic


def network(arithmetic, decay=2):
    nodes = {
        "input": Input((1,), low=0, high=255),
        "fc": Linear(np.array([[2], [-3]])),
        "lif": LIF((2,), np.asarray(decay), np.array([30, 9, 9]), bias=np.asarray(1)),
        "out": Readout((2,), np.array([1, 1, 1]), np.asarray(0)),
    }
    return Graph.chain(nodes, 3, arithmetic=arithmetic)


def test_a_leak_by_shifts_is_what_the_definition_runs(example):
    """10 enters as 20 and -30. u: 21 | 21 - 5 + 21 = 37, fires | 21, fires; and -29 | -29 + 8 - 29 = -50 | -66."""
    run = definition.run(network(example.Shifts()), np.array([[10.0]]))
    assert run.membranes["lif"][:, 0].tolist() == [[21, -29], [37, -50], [21, -66]]
    assert run.spikes("lif")[:, 0].tolist() == [[False, False], [True, False], [True, False]]
    assert run.outputs.tolist() == [[2, 0]]


def test_its_target_gives_a_record_whose_events_can_be_counted(example):
    graph, x = network(example.Shifts()), np.array([[10.0], [0.0]])
    record = derive(graph, x, example.ShiftTarget().run(graph, x, Request(trains=True)))
    assert record.spike_counts["lif"].tolist() == [0, 1, 1]
    assert record.events["fc"].synops.tolist() == [2, 2, 2]
    assert record.events["lif"].active.tolist() == [4, 4, 4]  # every neuron has a bias


def test_a_number_beyond_its_format_is_refused(example):
    with pytest.raises(SpikeportError, match="SP115"):
        network(example.Shifts(8), decay=8)
    ones = np.ones(1)
    with pytest.raises(SpikeportError, match="unknown to shifts"):
        Graph.chain({"in": Input((1,)), "n": Norm(ones, ones, ones, ones)}, 1, arithmetic=example.Shifts())


def test_a_nir_file_holds_it_where_its_package_is_installed(example, tmp_path, monkeypatch):
    graph = network(example.Shifts(12))
    nir.write(graph, tmp_path / "net.nir")
    again, _ = nir.read(tmp_path / "net.nir")
    assert again == graph
    monkeypatch.setattr("spikeport.formats.facts.entries", lambda group: {})
    with pytest.raises(SpikeportError, match="SP124"):
        nir.read(tmp_path / "net.nir")


def test_what_does_not_know_it_says_so(example, tmp_path):
    graph, x = network(example.Shifts()), np.array([[10.0]])
    assert [finding.code for finding in Integer().check(graph)] == ["SP505"]
    with pytest.raises(SpikeportError, match="SP125"):
        onnx.write(graph, tmp_path / "net.onnx")
    with pytest.raises(SpikeportError, match="SP125"):
        nir.write(graph, tmp_path / "net.nir", "approx")
    with pytest.raises(SpikeportError, match="SP125"):
        causes(graph, graph, x, simulate)


def test_ours_cannot_be_changed_behind_the_engines_back():
    with pytest.raises(TypeError):
        type("Mine", (Loihi,), {})(LOIHI2)
