"""Membranes that end at a lower bound: by hand, in files, in margins, in integers, and what does not know them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from spikeport.engine import simulate
from spikeport.engine.margins import margins
from spikeport.findings import SpikeportError
from spikeport.formats import nir, onnx
from spikeport.graph import ALIF, LIF, LOIHI2, SPECK, XYLO, CubaLIF, Graph, Input, Linear, Loihi, Peak, Readout
from spikeport.graph.neurons import EVERY_SPIKE
from spikeport.quantisation import quantize
from spikeport.quantisation.collapse_schedule import collapse_schedule
from spikeport.reporting.drawing import describe
from spikeport.spike_train import Train
from spikeport.target import Request
from spikeport.training.integers import IntegerNet

X = np.float32([-3, 1.5, 0.5, -0.25, -5, 1, 1]).reshape(-1, 1, 1)
EVERYTHING = Request(trains=True, membranes=True, events=True)


def one(kind=LIF, x=X, low=-1.0, decay=1.0, **options):
    """One neuron that integrates, fires at 1 and loses 1."""
    bound = None if low is None else np.float32(low)
    node = kind((1,), np.float32(decay), np.ones(len(x), np.float32), **{"reset": "subtract", **options})
    return Graph.chain({"input": Input((1,), "events"), "lif": node.with_(lower_bound=bound)}, timesteps=len(x))


@pytest.mark.parametrize(
    ("low", "options", "membranes", "spikes"),
    [
        (-1.0, {}, [-1, 0.5, 0, -0.25, -1, 0, 0], [0, 0, 1, 0, 0, 0, 1]),
        (0.0, {}, [0, 0.5, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 1, 1]),
        (None, {}, [-3, -1.5, -1, -1.25, -6.25, -5.25, -4.25], [0] * 7),
        (-1.0, {"decay": 0.5}, [-1, 0, 0.5, 0, -1, 0.5, 0.25], [0, 1, 0, 0, 0, 0, 1]),
        (-1.0, {"reset": "value", "reset_value": np.float32(-2)}, [-1, 0.5, -1, -1, -1, 0, -1], [0, 0, 1, 0, 0, 0, 1]),
    ],
)
def test_no_membrane_stays_below_its_bound(low, options, membranes, spikes):
    """By hand. The bound comes after the reset: a reset to -2 leaves -1."""
    record = simulate(one(low=low, **options), X, EVERYTHING)
    assert record.membranes["lif"].ravel().tolist() == membranes
    assert record.trains["lif"].unpack().ravel().tolist() == spikes


def test_a_current_goes_on_below_the_bound_and_a_rise_stays():
    """The bound is the membrane's: i = -3, -1.5, ... of a CubaLIF; the adaptive neuron's v is the one of sinabs."""
    cuba = simulate(one(CubaLIF, current_decay=np.float32(0.5)), X, EVERYTHING)
    # i: -3, 0, .5, 0, -5, -1.5, .25
    assert cuba.membranes["lif"].ravel().tolist() == [-1, -1, -0.5, -0.5, -1, -1, -0.75]
    alif = simulate(one(ALIF, adaptation=np.float32(1), adaptation_decay=np.float32(0.5)), X, EVERYTHING)
    # u: -3, .5, 1 fires and loses 1 (rise 1), -.25, -5.25, 0, 1 with a threshold of 1.0625
    assert alif.trains["lif"].unpack().ravel().tolist() == [0, 0, 1, 0, 0, 0, 0]
    assert alif.membranes["lif"].ravel().tolist() == [-1, 0.5, 0, -0.25, -1, 0, 1]


@pytest.mark.parametrize("kind", [LIF, CubaLIF, ALIF])
def test_files_keep_it_to_the_bit_and_say_nothing_where_there_is_none(tmp_path, kind):
    for low in (None, np.float32(-1), np.float32([-1, -0.5])):
        node = kind((2,), np.float32(0.5), np.float32([1, 2]), reset="subtract", lower_bound=low)
        graph = Graph.chain({"input": Input((2,)), "lif": node}, timesteps=2)
        nir.write(graph, tmp_path / "a.nir")
        onnx.write(graph, tmp_path / "a.onnx")
        assert nir.read(tmp_path / "a.nir")[0] == graph
        assert onnx.read(tmp_path / "a.onnx")[0] == graph
        said = b"lower_bound" in (tmp_path / "a.nir").read_bytes()
        assert said == (low is not None), "0.1 reads files of neurons without one"
        requires = b"lower-bound" in (tmp_path / "a.nir").read_bytes()
        assert requires == (low is not None), "0.1 must refuse files of neurons with one"


@pytest.mark.parametrize("most", [1, 7])
def test_onnxruntime_runs_it_and_the_operators_are_lifted_without_our_metadata(tmp_path, most):
    graph = one(decay=0.5, most_spikes=most)
    onnx.write(graph, tmp_path / "a.onnx")
    model = onnx.build(graph)
    del model.metadata_props[:]
    (tmp_path / "b.onnx").write_bytes(model.SerializeToString())
    lifted, _ = onnx.read(tmp_path / "b.onnx")
    (node,) = lifted.nodes_of(LIF).values()
    assert (float(node.lower_bound), node.most_spikes) == (-1.0, most)
    session = onnxruntime.InferenceSession(str(tmp_path / "b.onnx"))
    total = session.run([session.get_outputs()[0].name], {session.get_inputs()[0].name: X})[0]
    assert total.item() == simulate(graph, X).outputs.item() == 2


def test_margins_hold_beside_a_bound_and_a_spike_too_many_is_a_defect():
    rng = np.random.default_rng(4)
    x = rng.normal(0, 2, (12, 4, 6)).astype(np.float32)
    node = LIF((6,), np.float32(0.9), np.full(12, 1, np.float32), reset="subtract", lower_bound=np.float32(-0.3))
    weight = Linear(rng.normal(size=(6, 6)).astype(np.float32))
    graph = Graph.chain({"input": Input((6,), "events"), "fc": weight, "lif": node}, timesteps=12)
    record = simulate(graph, x, Request(trains=True))
    judged = margins(graph, x, record)["lif"]
    assert not judged.above_rounding(record.trains["lif"]).any()
    wrong = record.trains["lif"].unpack().copy()
    wrong[-1, 2, 3] ^= True
    assert judged.above_rounding(Train.pack(wrong)).tolist() == [0] * 11 + [1]
    free = replace(node, lower_bound=None)
    assert margins(graph.replace({"lif": free}), x, record)["lif"].above_rounding(record.trains["lif"]).any()


def small(low=-0.25, **options):
    rng = np.random.default_rng(2)
    lif = LIF((20,), np.float32(0.8), np.full(6, 0.4, np.float32), reset="subtract", lower_bound=np.float32(low))
    nodes = {
        "input": Input((10,), "events"),
        "fc": Linear(rng.normal(0, 0.3, (20, 10)).astype(np.float32)),
        "lif": lif.with_(**options),
        "last": Linear(rng.normal(0, 0.5, (3, 20)).astype(np.float32)),
        "out": Readout((3,), np.full(6, 1 / 6, np.float32)),
    }
    return Graph.chain(nodes, timesteps=6), rng.normal(0, 1, (6, 60, 10)).astype(np.float32)


def test_integers_keep_the_bound():
    """Quantised to 8 bits most spikes are the real network's; without the bound they would not be."""
    graph, x = small()
    whole = quantize(graph, x, profile=LOIHI2, run=simulate).graph
    unit = np.broadcast_to(whole["lif"].unit, whole["lif"].lower_bound.shape)
    assert np.abs(whole["lif"].lower_bound * unit + 0.25).max() <= unit.max() / 2
    real, ours = (simulate(each, x, EVERYTHING) for each in (graph, whole))
    assert ours.membranes["lif"].min() == whole["lif"].lower_bound.min()
    apart = (real.trains["lif"].unpack() != ours.trains["lif"].unpack()).mean()
    free = simulate(whole.replace({"lif": whole["lif"].with_(lower_bound=None)}), x, EVERYTHING)
    without = (real.trains["lif"].unpack() != free.trains["lif"].unpack()).mean()
    assert apart < 0.05 < without


def test_where_membranes_take_whole_sums_the_bound_is_one_too():
    graph, x = small(decay=np.float32(1))
    whole = quantize(graph, (x > 0.5).astype(np.float32), profile=SPECK, run=simulate).graph
    assert not (whole["lif"].lower_bound % 64).any()
    assert (whole["lif"].lower_bound < 0).all()


def refused(code, call, match=None):
    with pytest.raises(SpikeportError, match=match) as error:
        call()
    assert code in {finding.code for finding in error.value.findings}


def test_what_no_bound_can_be_is_refused():
    graph, x = small()
    whole = quantize(graph, x, profile=LOIHI2, run=simulate).graph
    node = whole["lif"]
    refused("SP102", lambda: node.with_(lower_bound=np.int32(3)), "up to 3")
    refused("SP104", lambda: node.with_(lower_bound=np.zeros(7)), "lower_bound has shape")
    refused("SP102", lambda: Peak((2,), np.float32(1), np.ones(3, np.float32), lower_bound=np.float32(-1)))
    refused("SP115", lambda: whole.replace({"lif": node.with_(lower_bound=np.float32(-1.5))}), "not whole")
    refused("SP115", lambda: whole.replace({"lif": node.with_(lower_bound=np.int64(-(2**30)))}), "lower_bound spans")
    refused("SP114", lambda: graph.replace({"lif": graph["lif"].with_(lower_bound=np.float32(-np.inf))}), "lower_bound")
    coarse = Loihi(replace(LOIHI2, fraction_bits=0))
    odd = replace(node, bias=node.bias // 64 * 64, lower_bound=np.int32(-65))
    refused("SP115", lambda: whole.with_(nodes={**whole.nodes, "lif": odd}, arithmetic=coarse), "no multiples of 64")


def test_no_bias_stands_for_a_schedule_beside_a_bound():
    theta = np.float32(0.5 + 0.25 * np.cumsum(0.5 ** np.arange(8)))
    node = LIF((6,), np.float32(0.5), theta, reset="none", lower_bound=np.float32(-0.5))
    graph = Graph.chain({"input": Input((6,), "events"), "lif": node}, timesteps=8)
    refused("SP433", lambda: collapse_schedule(graph, "bias"), "lower bound")
    collapse_schedule(graph.replace({"lif": node.with_(lower_bound=None)}), "bias")


def test_a_drawing_shows_it():
    graph, _ = small()
    assert describe(graph["lif"]) == "LIF, reset subtract, >= threshold, lower bound"
    often = graph["lif"].with_(lower_bound=None, most_spikes=EVERY_SPIKE)
    assert describe(often) == "LIF, reset subtract, >= threshold, any number of spikes"


def test_who_knows_no_bound_says_so():
    graph, x = small()
    refused("SP134", lambda: quantize(graph, x, profile=XYLO, run=simulate), "and a lower bound")
    whole = quantize(graph, x, profile=LOIHI2, run=simulate).graph
    refused("SP430", lambda: IntegerNet(whole), "lower bound")
