"""What quantisation says of layers that lose something, and what it refuses: a small case for each code."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import spikeport.training.finetune as finetune
from quantize_examples import STEPS, THETA, chain, normals, uniform
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI1, LOIHI2, Concat, Conv, CubaLIF, Flatten, Graph, Input, Linear, Scale
from spikeport.quantisation import quantize
from spikeport.quantisation.integers import neuron_integers
from spikeport.quantisation.scales import LayerScale
from spikeport.verbs.load import Data
from spikeport.verbs.quantize import quantize as quantize_verb

ONE_UNIT = replace(LOIHI2, name="one unit", channel_thresholds=False)


def layer(weight=None, *, inputs=6, neuron=None, **options):
    weight = normals(0)(8, inputs) if weight is None else np.asarray(weight, np.float32)
    n = len(weight)
    neuron = neuron or LIF((n,), np.float32(options.pop("decay", 0.5)), THETA, **options)
    return chain(input=Input((weight.shape[1],)), fc=Linear(weight), lif=neuron, out=uniform(n))


def samples(inputs=6, n=20, high=17):
    return np.random.default_rng(0).integers(0, high, (n, inputs)).astype(np.float32)


def findings_of(graph, x, **options):
    return quantize(graph, x, **{"run": simulate, "steps": [], **options}).findings


def test_grey_values_enter_spiking_hardware_through_a_host():
    one = {"collapse_thresholds": "first"}
    findings = findings_of(layer(), samples(), profile=LOIHI1, **one)
    assert [finding.where for finding in findings if finding.code == "SP404"] == ["input 'input'"]
    assert "SP404" not in {finding.code for finding in findings_of(layer(), samples(high=2), profile=LOIHI1, **one)}


@pytest.mark.parametrize("step", [1, 1 / 16])
def test_data_on_a_grid_enter_without_rounding_and_the_grid_is_said(step):
    (note,) = [each for each in findings_of(layer(), samples() * np.float32(step)) if each.code == "SP402"]
    assert ("1/16" in note.what) == (step < 1)
    assert note.severity == "note"


def test_channels_whose_thresholds_leave_few_bits_are_counted():
    """Two of eight channels have a bias that needs a unit coarser than a step of their weights."""
    bias = np.zeros(8, np.float32)
    bias[:2] = 1e4, -1e4
    (finding,) = [each for each in findings_of(layer(bias=bias), samples()) if each.code == "SP412"]
    assert finding.what.startswith("in 2 of 8 channels")


def test_a_worst_case_beyond_24_bits_is_a_note():
    adding = LIF((1,), np.float32(1), np.full(STEPS, 64, np.float32), reset="none")
    grey = np.asarray([1, 0, 100], np.float32)[:, None] + np.zeros((3, 4096), np.float32)
    findings = findings_of(layer(np.ones((1, 4096)), neuron=adding), grey)
    notes = [finding for finding in findings if finding.code == "SP413"]
    assert [finding.severity for finding in notes] == ["note"]


def test_channels_that_round_to_zero_are_counted():
    """One unit for the layer: three of eight channels are a thousandth of the others."""
    weight = normals(0)(8, 6)
    weight[:3] /= 1000
    findings = findings_of(layer(weight), samples(), profile=ONE_UNIT)
    assert [each.what for each in findings if each.code == "SP415"] == [
        "the weights of 3 of 8 channels all round to zero"
    ]


def test_decays_at_the_ends_of_the_format():
    """Membranes keep 1/4096 at least, currents lose 1/4096 at least."""
    node = CubaLIF((2,), np.float32(0), THETA * 64 * 1000, current_decay=np.float32(1))
    whole, findings = neuron_integers(node, "lif", LayerScale(np.ones(()), {}, {}), LOIHI2)
    assert [finding.code for finding in findings] == ["SP416", "SP416"]
    assert (int(whole.decay), int(whole.current_decay)) == (1, 4095)


def test_biases_beyond_the_format_are_refused():
    """A mantissa of 4095 and an exponent of 7: 524,160 units."""
    for bias, codes in ((524_160.0, []), (530_000.0, ["SP418"]), (-530_000.0, ["SP418"])):
        node = LIF((1,), np.float32(0.5), THETA * 64 * 1000, np.float32(bias))
        findings = neuron_integers(node, "lif", LayerScale(np.ones(()), {}, {}), LOIHI2)[1]
        assert [finding.code for finding in findings] == codes


def test_layers_that_never_fire_are_named_and_a_silent_network_is_refused():
    deaf = LIF((8,), np.float32(0.5), THETA * 1e4)
    normal = normals(0)
    graph = chain(
        input=Input((6,)),
        fc=Linear(normal(8, 6)),
        lif=LIF((8,), np.float32(0.5), THETA),
        fc2=Linear(normal(8, 8)),
        deaf=deaf,
        out=uniform(8),
    )
    quiet = [finding for finding in findings_of(graph, samples()) if finding.code == "SP420"]
    assert [finding.where for finding in quiet] == ["layer 'deaf'"]
    with pytest.raises(SpikeportError) as caught:
        findings_of(layer(neuron=deaf), samples())
    assert caught.value.code == "SP419"


def two_in_a_row():
    """A convolution and a matrix behind it, whose product shares no weights."""
    normal = normals(0)
    return chain(
        input=Input((1, 4, 4)),
        a=Conv(normal(2, 1, 3, 3)),
        flat=Flatten(),
        b=Linear(normal(8, 8)),
        lif=LIF((8,), np.float32(0.5), THETA),
        out=uniform(8),
    )


def mixed_units():
    """Spikes and grey values add up before a synapse."""
    normal = normals(0)
    nodes = {
        "input": Input((6,)),
        "fc": Linear(normal(6, 6)),
        "lif": LIF((6,), np.float32(0.5), THETA),
        "fc2": Linear(normal(8, 6)),
        "last": LIF((8,), np.float32(0.5), THETA),
        "out": uniform(8),
    }
    edges = (("input", "fc"), ("fc", "lif"), ("lif", "fc2"), ("input", "fc2"), ("fc2", "last"), ("last", "out"))
    return Graph(nodes, edges, STEPS)


def uneven_factors():
    """Factors on messages that are not whole, and not one."""
    normal = normals(0)
    nodes = {
        "input": Input((6,)),
        "up": Scale(np.asarray([0.5, 1, 1.5, 2, 2.5, 3], np.float32)),
        "fc": Linear(normal(6, 6)),
        "lif": LIF((6,), np.float32(0.5), THETA),
        "out": uniform(6),
    }
    edges = (("input", "up"), ("up", "fc"), ("fc", "lif"), ("up", "lif"), ("lif", "out"))
    return Graph(nodes, edges, STEPS)


@pytest.mark.parametrize("build", [two_in_a_row, mixed_units, uneven_factors])
def test_sums_and_messages_do_not_mix(build):
    with pytest.raises(SpikeportError) as caught:
        findings_of(build(), samples() / 32)
    assert "SP405" in {finding.code for finding in caught.value.findings}


def test_a_fine_tuning_that_makes_it_worse_is_not_kept(monkeypatch):
    graph, x = layer(), samples(n=60)
    y = simulate(graph, x).outputs.argmax(1)

    def ruined(quantised, *_, **__):
        node = quantised.graph["fc"]
        worse = quantised.graph.replace({"fc": node.with_(weight=node.weight[::-1])})
        return finetune.Tuned(worse, (), ())

    monkeypatch.setattr(finetune, "fine_tune", ruined)
    plain = quantize_verb(graph, data=Data("drawn", "train", x, y), steps=[])
    result = quantize_verb(graph, data=Data("drawn", "train", x, y), fine_tune=1, steps=[])
    assert [finding.code for finding in result.findings if finding.code == "SP431"] == ["SP431"]
    assert np.array_equal(result.graph["fc"].weight, plain.graph["fc"].weight)
    assert not result.graph.provenance["quantised"]["fine_tune"]["kept"]


def test_joined_sums_are_advised_to_be_one_layer_which_is_then_quantised():
    """Not to be folded by a pass, which has run before."""
    rng = np.random.default_rng(3)
    weight = rng.normal(size=(4, 6)).astype(np.float32)
    ends = {"out": uniform(4)}
    halves = {
        "in": Input((6,)),
        "a": Linear(weight[:2]),
        "b": Linear(weight[2:]),
        "both": Concat(operands=("a", "b")),
        **ends,
    }
    edges = (("in", "a"), ("in", "b"), ("a", "both"), ("b", "both"), ("both", "out"))
    with pytest.raises(SpikeportError, match=r"SP405.*\n.*one layer of all that is joined") as caught:
        findings_of(Graph(halves, edges, STEPS), samples() / 32)
    assert "passes." not in str(caught.value)
    findings_of(Graph.chain({"in": Input((6,)), "ab": Linear(weight), **ends}, STEPS), samples() / 32)
