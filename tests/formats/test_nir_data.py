"""NIRData: what nir itself writes goes into a run, and what a run writes nir itself reads."""

from __future__ import annotations

import h5py
import nir as peer
import numpy as np
import pytest

import spikeport
from spikeport.findings import SpikeportError
from spikeport.formats.nir import data
from spikeport.graph import LIF, Graph, Input
from spikeport.record import Record

T, DT = 5, 1e-3


@pytest.fixture
def network():
    """Fires where an event arrives: v is forgotten at once, the threshold is 1."""
    nodes = {"in": Input((1, 1, 3), coding="events"), "a/lif": LIF((1, 1, 3), np.float32(0), np.ones(T, "f4"))}
    return Graph(nodes, (("in", "a/lif"),), T)


def written(path, observable, node="input", **more):
    nodes = {node: peer.NIRNodeData({"spikes": observable}), **more}
    peer.write_data(path, peer.NIRGraphData(nodes))
    return path


GRID = np.random.default_rng(0).random((2, T, 3)) < 0.5


def test_a_grid_and_its_events_run_alike_and_nir_reads_the_spikes(network, tmp_path):
    """nir makes the events of the grid, at k * dt, which floating-point division does not always give back as k."""
    grid = peer.TimeGriddedData(GRID, DT)
    files = [written(tmp_path / "grid.h5", grid), written(tmp_path / "events.nir", grid.to_event(T * 3))]
    for number, file in enumerate(files):
        out = tmp_path / f"{number}.nir"
        record = spikeport.simulate(network, file, "reference", out, dt=DT if number else None, membranes=True)
        fired = np.moveaxis(record.trains["a/lif"].unpack(), 0, 1).reshape(GRID.shape)
        np.testing.assert_array_equal(fired, GRID)
        observables = peer.read_data(out).nodes["a_lif"].observables
        np.testing.assert_array_equal(observables["spikes"].data, GRID)
        assert observables["spikes"].data.dtype == bool
        assert observables["spikes"].dt == (DT if number else 1e-4)
        assert observables["voltages"].shape == GRID.shape
        again = Record.load(out)
        assert again.trains["a/lif"].shape == (T, 2, 1, 1, 3)
        np.testing.assert_array_equal(again.trains["a/lif"].bits, record.trains["a/lif"].bits)
        assert again.spike_counts["a/lif"].tolist() == GRID.sum((0, 2)).tolist()


def test_values_of_events_in_one_step_add_up_and_it_is_said(network, tmp_path):
    index, time = np.array([[0, 0, 2, -1]]), np.array([[0.0, 4e-4, 2.1e-3, np.inf]])
    events = peer.ValuedEventData(index, time, 3, T * DT, np.array([[0.25, 0.75, 1.5, 9.0]]))
    file = written(tmp_path / "a.nir", events)
    record = spikeport.simulate(network, file, "reference", dt=DT)
    assert np.argwhere(record.trains["a/lif"].unpack()).tolist() == [[0, 0, 0, 0, 0], [2, 0, 0, 0, 2]]
    assert "1 came to one that had some" in next(each.what for each in record.findings if each.code == "SP226")
    with pytest.raises(SpikeportError, match="SP226"):
        spikeport.simulate(network, file, "reference")


def test_a_file_that_ends_the_library_is_one_error(tmp_path, monkeypatch):
    """libhdf5 may die of a damaged attribute: here something else ends the process that reads first, or sleeps."""
    file = written(tmp_path / "a.nir", peer.TimeGriddedData(GRID, DT))
    assert len(data.load(file)) == 1
    dies, sleeps = "import os; os.kill(os.getpid(), 11)", "import time; time.sleep(9)"
    for program, seconds, said in ((dies, 60, "signal 11"), (sleeps, 0.5, "0.5 s")):
        monkeypatch.setattr(data, "PROBE", program)
        monkeypatch.setattr(data, "SECONDS", seconds)
        with pytest.raises(SpikeportError, match=said) as caught:
            data.load(file)
        assert caught.value.code == "SP202"


def test_how_often_a_neuron_fires_in_a_step_comes_and_goes(tmp_path):
    """Another tool's counts, as a grid and as events of which several lie in one step; anything else is no spike."""
    counts = np.random.default_rng(1).integers(0, 5, (2, T, 3))
    record = Record.load(written(tmp_path / "a.nir", peer.TimeGriddedData(counts.astype("f4"), DT), "lif"))
    np.testing.assert_array_equal(np.moveaxis(record.trains["lif"].unpack(), 0, 1), counts)
    assert record.spike_counts["lif"].tolist() == counts.sum((0, 2)).tolist()
    record.save(tmp_path / "b.nir")
    np.testing.assert_array_equal(peer.read_data(tmp_path / "b.nir").nodes["lif"].observables["spikes"].data, counts)
    index, time = np.array([[0, 0, 2, -1]]), np.array([[0.0, 4e-4, 2.1e-3, np.inf]])
    events = written(tmp_path / "c.h5", peer.EventData(index, time, 3, T * DT), "lif")
    again = Record.load(events, dt=DT)
    assert np.argwhere(again.trains["lif"].unpack()).tolist() == [[0, 0, 0], [2, 0, 2]]
    assert again.trains["lif"].unpack()[0, 0, 0] == 2
    assert [finding.code for finding in again.findings] == ["SP226"]
    assert "2 in a step" in spikeport.plot(events, dt=DT, out=tmp_path / "c.png").figure.axes[0].get_title(loc="left")
    for value in (-1.0, 0.5, np.nan):
        bad = peer.TimeGriddedData(np.full((1, T, 3), value), DT)
        assert refused(lambda file=written(tmp_path / "d.nir", bad, "lif"): Record.load(file)) == "SP120"


def refused(call):
    with pytest.raises(SpikeportError) as caught:
        call()
    return caught.value.code


def test_what_is_no_nirdata_or_damaged_or_unclear_is_one_error(network, tmp_path):
    def run(file):
        return refused(lambda: spikeport.simulate(network, file, "reference", dt=DT))

    grid = peer.TimeGriddedData(GRID, DT)
    other = {"lif": peer.NIRNodeData({"spikes": grid})}
    assert run(written(tmp_path / "two.nir", grid, "first", **other)) == "SP230"
    spikeport.export(network, tmp_path / "model.nir")
    assert run(tmp_path / "model.nir") == "SP202"
    assert refused(lambda: Record.load(tmp_path / "model.nir")) == "SP202"
    assert run(tmp_path / "none.nir") == "SP201"
    late = peer.EventData(np.array([[0, 3]]), np.array([[0.0, 1e-3]]), 3, T * DT)  # there is no fourth neuron
    assert run(written(tmp_path / "late.nir", late)) == "SP202"
    huge = peer.EventData(np.array([[0]]), np.array([[0.0]]), 10**9, 1e6)
    assert run(written(tmp_path / "huge.nir", huge)) == "SP207"
    with h5py.File(written(tmp_path / "link.nir", grid), "r+") as file:
        file["nodes/again"] = h5py.SoftLink("/nodes/input")
    assert run(tmp_path / "link.nir") == "SP202"
    record = spikeport.simulate(network, np.ones((T, 1, 1, 1, 3), "f4"), "reference", tmp_path / "shape.nir")
    with h5py.File(tmp_path / "shape.nir", "r+") as file:
        file["nodes/a_lif/observables/spikes"].attrs["spikeport_shape"] = [2, 2]
    assert record.samples == 1
    assert run(tmp_path / "shape.nir") == "SP202"
    voltages = peer.NIRGraphData({"lif": peer.NIRNodeData({"voltages": grid})})
    peer.write_data(tmp_path / "v.nir", voltages)
    assert refused(lambda: Record.load(tmp_path / "v.nir")) == "SP120"


def test_another_tools_spikes_are_a_side_of_a_comparison(network, tmp_path):
    """Its nodes have the names that NIR allows, its neurons are flat; the planted spike is found, and no answer is."""
    spikeport.export(network, tmp_path / "model.nir")
    entering = written(tmp_path / "in.nir", peer.TimeGriddedData(GRID, DT).to_event(T * 3))
    theirs = GRID.copy()
    theirs[1, 3, 2] ^= True
    grid = peer.TimeGriddedData(theirs, DT)
    for name, observable in (("grid.nir", grid), ("events.h5", grid.to_event(T * 3))):
        file = written(tmp_path / name, observable, "a_lif")
        for sides in ((tmp_path / "model.nir", file), (file, tmp_path / "model.nir")):
            compared = spikeport.compare(*sides, entering, dt=DT, min_agreement=1.0)
            first = compared.first
            assert (first.layer, first.t, first.sample, first.neuron) == ("a/lif", 3, 1, (0, 0, 2))
            assert (compared.parity.spike_mismatches, compared.parity.spikes_compared) == (1, GRID.size)
            assert compared.parity.mismatches_above_rounding == 1
            assert compared.parity.argmax_agreement is None
            assert [gate.code for gate in compared.failed] == ["SP813"]
            assert not [note for note in compared.findings if note.code == "SP225"]  # dt did say something
    record = spikeport.simulate(network, samples=entering, dt=DT)
    assert spikeport.compare(record, file, dt=DT).parity.spike_mismatches == 1
    same = spikeport.compare(
        network, written(tmp_path / "same.nir", peer.TimeGriddedData(GRID, DT), "a_lif"), entering, dt=DT
    )
    assert same.parity.exact
    assert spikeport.events(network, entering, dt=DT).record.samples == len(GRID)
    assert refused(lambda: spikeport.simulate(network, entering, samples=entering, dt=DT)) == "SP707"
    assert refused(lambda: spikeport.simulate(network)) == "SP707"
