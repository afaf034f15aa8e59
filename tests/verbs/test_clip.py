"""``--clip``: what lies beyond what integers were made for is cut off where it is asked for, and counted."""

from __future__ import annotations

import numpy as np
import pytest

import spikeport
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Graph, Input, Linear, Loihi, Readout, Real
from spikeport.graph.inputs import cut_off
from spikeport.graph.profile import LOIHI2

UNIT, HIGH, STEPS = 0.5, 6, 3
RANDOM = np.random.default_rng(5)
X = RANDOM.integers(0, HIGH + 1, (8, 4)).astype(np.float32) * np.float32(UNIT)
LOUD = X.copy()
LOUD[2], LOUD[5, :2], LOUD[5, 2:] = 99, -2, 1  #: four values beyond one end, two beyond the other
CUT = np.clip(LOUD, 0, HIGH * UNIT)  #: as a user of Python does it
Y = np.arange(8) % 3


def integers(coding="direct"):
    nodes = {
        "in": Input((4,), coding, low=0, high=HIGH, unit=np.asarray(UNIT)),
        "a": Linear(RANDOM.integers(-40, 60, (5, 4)).astype(np.int8)),
        "s": LIF((5,), np.asarray(3000), np.full(STEPS, 60, np.int64), compare=">"),
        "b": Linear(RANDOM.integers(-40, 60, (3, 5)).astype(np.int8)),
        "out": Readout((3,), np.ones(STEPS, np.int64)),
    }
    return Graph.chain(nodes, STEPS, arithmetic=Loihi(LOIHI2))


def real():
    nodes = {
        "in": Input((4,), "direct"),
        "a": Linear(RANDOM.normal(size=(5, 4)).astype(np.float32)),
        "s": LIF((5,), np.float32(0.5), np.ones(STEPS, np.float32)),
        "b": Linear(RANDOM.normal(size=(3, 5)).astype(np.float32)),
        "out": Readout((3,), np.ones(STEPS, np.float32)),
    }
    return Graph.chain(nodes, STEPS, arithmetic=Real("float32"))


def cuts(result):
    findings = result["findings"] if isinstance(result, dict) else result.findings
    facts = [each if isinstance(each, dict) else {"code": each.code, "what": each.what} for each in findings]
    return [each["what"] for each in facts if each["code"] == "SP528"]


SIX = "6 of 32 values, in 2 of 8 samples, were cut off at 0 and 3"


@pytest.mark.parametrize("verb", ["simulate", "evaluate", "events", "energy", "compare"])
def test_each_verb_runs_what_is_left_of_the_samples_and_says_how_many_values_were_cut(verb):
    graph, run = integers(), getattr(spikeport, verb)
    asked = {"data": (LOUD, Y), **({"chip": None} if verb == "energy" else {})}
    models = (graph, graph) if verb == "compare" else (graph,)
    with pytest.raises(SpikeportError, match=r"(?s)SP504.*--clip"):
        run(*models, **asked)
    result = run(*models, **asked, clip=True)
    assert cuts(result) == [SIX]
    expected = simulate(graph, CUT)
    if verb == "simulate":
        assert np.array_equal(result.outputs, expected.outputs)
    if verb == "evaluate":
        assert result.correct == (expected.outputs.argmax(1) == Y).sum()
    plain = run(*models, **{**asked, "data": (X, Y)}, clip=True)
    assert cuts(plain) == ["no value lies beyond 0 and 3: nothing was cut off"]


def test_real_numbers_enter_as_they_are():
    graph = real()
    record = spikeport.simulate(graph, LOUD, clip=True)
    assert np.array_equal(record.outputs, simulate(graph, LOUD).outputs)
    assert cuts(record) == ["nothing was cut off: real numbers enter as they are"]


def test_of_two_networks_both_see_what_the_integers_can():
    """So that no difference is one of the input."""
    graph = integers()
    compared = spikeport.compare(real(), graph, (LOUD, Y), clip=True, why=False)
    assert cuts(compared) == [SIX]
    assert np.array_equal(compared.records[1].outputs, simulate(graph, CUT).outputs)


def test_a_record_of_cut_samples_knows_them_again(tmp_path):
    np.savez(tmp_path / "x.npz", x=LOUD, y=Y)
    spikeport.export(integers(), tmp_path / "m.nir")
    for name in ("a", "b"):
        spikeport.simulate(tmp_path / "m.nir", tmp_path / "x.npz", out=tmp_path / name, membranes=True, clip=True)
    compared = spikeport.compare(tmp_path / "a" / "record.npz", tmp_path / "b" / "record.npz")
    assert compared.causes == ()
    assert not compared.why_not
    told = spikeport.compare(tmp_path / "a" / "record.npz", tmp_path / "b" / "record.npz", clip=True)
    assert cuts(told)[-1] == "nothing was cut off: no samples were given for a known network"


def test_integers_are_judged_and_fine_tuned_within_what_calibrated_them():
    """One loud sample of 64, which is not among the eight that calibrate."""
    x, y = RANDOM.random((64, 4)).astype(np.float32), np.arange(64) % 3
    x[0] = 1
    x[9] = [1, 5, 5, 0.5]
    asked = {"data": (x, y), "calibration": 8, "steps": ("normalise", "ranges"), "fine_tune": 1}
    graph = real()
    with pytest.raises(SpikeportError, match="SP504"):
        spikeport.quantize(graph, **asked)
    made = spikeport.quantize(graph, **asked, clip=True)
    assert cuts(made) == ["2 of 256 values, in 1 of 64 samples, were cut off at 0 and 1"]
    again = spikeport.quantize(graph, **{**asked, "data": (np.clip(x, 0, 1), y)})
    assert made.report["accuracy"]["integer"] == again.report["accuracy"]["integer"]


def test_a_whole_run_cuts_for_every_stage(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=CUT / 3, y_train=Y, x_test=LOUD, y_test=Y)
    graph = tmp_path / "m.nir"
    spikeport.export(real(), graph)
    with pytest.raises(SpikeportError, match="SP504"):
        spikeport.run(graph, tmp_path, data=tmp_path / "x.npz", target="integer")
    data, nir = tmp_path / "x.npz", {"written_by": "norse"}
    result = spikeport.run(graph, tmp_path, data=data, target="integer", clip=True, timesteps=STEPS, nir=nir)
    command = f"spikeport run {graph} --data {data} --target integer --timesteps {STEPS} --clip --nir written_by=norse"
    assert result["provenance"]["command"] == command
    (what,) = cuts(result)
    assert what.endswith("were cut off at 0 and 42.5")  # 255 units of 1/6, in which the calibration samples are whole
    whole = spikeport.evaluate(graph, (np.clip(LOUD, 0, 42.5), Y))
    assert result["accuracy"]["graph"] == whole.accuracy


def test_a_stream_is_cut_frame_by_frame(tmp_path):
    graph, frames = integers("events"), LOUD[:STEPS, None]
    blocks = spikeport.simulate(graph, iter([frames[:2], frames[2:]]), stream=True, clip=True)
    assert np.array_equal(blocks.outputs, simulate(graph, CUT[:STEPS, None]).outputs)
    assert cuts(blocks) == ["4 of 12 values were cut off at 0 and 3"]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "uint8"])
def test_every_value_that_is_left_enters_and_those_within_stay(dtype):
    """Whatever rounding does to the end of the range: the unit is no binary fraction."""
    node = Input((1,), "direct", low=-3, high=255, unit=np.asarray(1 / 3))
    values = np.arange(0, 200).astype(dtype)
    cut = cut_off(node, values)
    units = np.rint(cut / (1 / 3))
    assert (units.min(), units.max()) == (0, 255)
    within = values <= 85
    assert np.array_equal(cut[within], values[within])
    assert (cut[~within] == 85).all()


@pytest.mark.parametrize("run", [{}, {"target": "onnxruntime"}, {"target": "lava"}, {"on": "processes:2"}])
def test_whoever_runs_it_loud_samples_are_refused_by_their_numbers_among_all(run):
    quiet = np.concatenate([X, X, LOUD])
    with pytest.raises(SpikeportError, match=r"SP504.*2 of 24 samples are beyond, the first is number 18 "):
        spikeport.simulate(integers(), quiet, **run)


def test_sequences_of_unequal_length_are_told_by_their_numbers_too():
    graph = integers("events")
    sequences = [np.zeros((length, 4), np.float32) for length in (3, 1, 2, 3, 2)]
    sequences[3][-1], sequences[4][0] = 99, -2
    with pytest.raises(SpikeportError, match=r"SP504.*2 of 5 samples are beyond, the first is number 3 "):
        spikeport.simulate(graph, sequences, frames=True)


def test_parts_of_a_long_run_are_told_by_their_numbers_too(tmp_path):
    many = np.concatenate([X] * 200 + [LOUD])
    with pytest.raises(SpikeportError, match=r"SP504.*2 of 1608 samples are beyond, the first is number 1602 "):
        spikeport.simulate(integers(), many, out=tmp_path / "kept")
