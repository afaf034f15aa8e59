"""Pictures of runs: every spike is drawn where it is, membranes in real units, and the first difference is marked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.graph import LIF, Graph, Input, Linear
from spikeport.record import Record
from spikeport.reporting.rasters import raster
from spikeport.reporting.spikes import spikes as on_the_page
from spikeport.spike_train import Train
from spikeport.terminal.app import build
from spikeport.verbs.plot import plot
from spikeport.verbs.simulate import simulate

T, SHAPE = 5, (2, 150)


def record(seed=0, membranes=True):
    rng = np.random.default_rng(seed)
    spikes = rng.random((T, 3, *SHAPE)) < 0.2
    kept = {"lif": rng.random((T, 3, *SHAPE))} if membranes else {}
    counts = spikes.sum((1, 2, 3)).astype(np.int64)
    return Record("made up", np.zeros((3, 2)), {"lif": 300}, {"lif": counts}, {"lif": Train.pack(spikes)}, kept)


def test_a_raster_has_every_spike_and_tells_two_runs_apart():
    a, b = record(0), record(1)
    drawn = raster("lif", a.trains["lif"], b.trains["lif"], 1, rows=100)
    ours, theirs = (each.trains["lif"].unpack()[:, 1].reshape(T, 300) for each in (a, b))
    assert drawn.a_row == 3
    assert drawn.axis == "neuron (3 a row)"
    for shares, spikes in (
        (drawn.fires, ours & theirs),
        (drawn.only_a, ours & ~theirs),
        (drawn.only_b, theirs & ~ours),
    ):
        assert shares.shape == (100, T)
        np.testing.assert_allclose(shares[7], spikes[:, 21:24].sum(1) / 3)
        assert shares.sum() * 3 == pytest.approx(spikes.sum())


def test_a_neuron_that_fires_more_often_is_darker_and_parts_from_one_that_fires_less():
    a, b = np.asarray([[4, 0, 1, 2]]), np.asarray([[4, 0, 1, 3]])
    runs = [
        Record("x", np.zeros((1, 2)), {"l": 4}, {"l": each.sum(1)}, {"l": Train.pack(each[None])}) for each in (a, b)
    ]
    drawn = raster("l", *(run.trains["l"] for run in runs), 0)
    assert drawn.fires.tolist() == [[1.0], [0.0], [0.25], [0.5]]
    assert (drawn.only_a.sum(), drawn.only_b[3, 0], drawn.only_b.sum()) == (0, 1, 1)
    picture = runs[0].plot(runs[1])
    assert "x fires 2 times, the other 3" in picture.caption
    assert picture.figure.axes[1].get_ylabel() == "spikes of a neuron"
    assert picture.figure.axes[1].lines[0].get_ydata().tolist() == [7 / 4]
    assert "4 in l" in on_the_page(*runs)["caption"]


def test_the_last_row_of_a_raster_may_stand_for_fewer_neurons():
    train = Train.pack(np.ones((T, 1, 7)))
    assert (raster("lif", train, None, 0, rows=3).fires == 1).all()


def test_one_difference_is_marked_where_it_is():
    a = record()
    spikes = a.trains["lif"].unpack()
    spikes[3, 2, 1, 20] ^= True
    picture = a.plot(replace(a, trains={"lif": Train.pack(spikes)}))
    assert (picture.first.t, picture.first.sample, picture.first.neuron) == (3, 2, (1, 20))
    axes = picture.figure.axes[0]
    rings = [line for line in axes.lines if line.get_marker() == "o"]
    assert [(float(x), float(y)) for ring in rings for x, y in zip(*ring.get_data(), strict=True)] == [(3.0, 170 // 3)]
    assert "sample 2" in picture.caption
    assert "agrees" in a.plot(a).caption


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    place = tmp_path_factory.mktemp("plot")
    threshold = np.asarray([0.5, 0.7, 0.9], np.float32)
    weight = np.eye(4, dtype=np.float32)
    nodes = {"input": Input((4,)), "fc": Linear(weight), "lif": LIF((4,), np.float32(0.5), threshold)}
    nir.write(Graph.chain(nodes, timesteps=3), place / "a.nir")
    np.save(place / "x.npy", np.full((2, 4), 0.55, np.float32))
    simulate(place / "a.nir", place / "x.npy", out=place, membranes=True)
    return place


def test_membranes_and_the_schedule_of_thresholds_are_drawn_over_time(files):
    picture = plot(files / "record.npz")
    assert picture.path == files / "record.png"
    lines = [line.get_ydata() for line in picture.figure.axes[2].lines]
    schedule, membrane = np.asarray([0.5, 0.7, 0.9, 0.9]), np.asarray([0.0, 0.55, 0.825])  # fires once, then integrates
    assert any(len(y) == 4 and np.allclose(y, schedule) for y in lines)
    assert any(len(y) == 3 and np.allclose(y, membrane) for y in lines)


@pytest.mark.parametrize(("ending", "starts"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_the_command_writes_png_and_svg(files, ending, starts):
    path = files / f"out.{ending}"
    ran = CliRunner().invoke(build(["plot"]), ["plot", str(files / "record.npz"), "--out", str(path)])
    assert ran.exit_code == 0, ran.output
    assert path.read_bytes().startswith(starts)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"sample": 2}, "SP821"),
        ({"layers": ["lip"]}, "SP821"),
        ({"out": "x.pdf"}, "SP906"),
        ({"record": "x.npy"}, "SP822"),
        ({"record": "a.nir"}, "SP202"),
    ],
)
def test_what_cannot_be_drawn_is_refused(files, asked, code):
    with pytest.raises(SpikeportError) as caught:
        plot(files / asked.pop("record", "record.npz"), **asked)
    assert caught.value.code == code
    assert "lip" not in str(caught.value) or "did you mean lif?" in str(caught.value)


def test_a_record_without_membranes_and_network_says_what_is_missing():
    caption = record(membranes=False).plot().caption
    assert "--membranes" in caption
    assert "--model" in caption
