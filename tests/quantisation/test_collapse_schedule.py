"""One threshold for all steps: which constant, and when a bias stands for a schedule and nothing is lost."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from quantize_examples import STEPS, THETA, convolutional, images
from spikeport.comparison import causes, parity
from spikeport.engine import simulate
from spikeport.engine.lengths import to_ends
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI1, LOIHI2, CubaLIF, Graph, Input, Linear, Real
from spikeport.quantisation import prepare, quantize
from spikeport.quantisation.collapse_schedule import between, collapse_schedule
from spikeport.target import Request

TRAINS = Request(trains=True)


def test_mean_and_first_change_the_layers_that_vary_and_say_by_how_much():
    graph = convolutional()
    constant = graph.replace({"lif2": graph["lif2"].with_(threshold=np.full(STEPS, 0.7, np.float32))})
    for kind, value in (("mean", THETA.mean()), ("first", THETA[0])):
        changed, findings = collapse_schedule(constant, kind)
        assert [finding.where for finding in findings] == ["layer 'lif1'"]
        np.testing.assert_allclose(changed["lif1"].threshold, value, rtol=1e-6)
        most = max(abs(theta / float(value) - 1) for theta in THETA.astype(float))
        assert f"up to {most:.1%} away" in findings[0].what
        assert changed["lif2"] == constant["lif2"]


def one_layer(theta, reset="zero", decay=0.75, kind=LIF, **numbers):
    lif = kind((2,), np.asarray(decay), np.asarray(theta, float), reset=reset, **numbers)
    nodes = {"input": Input((2,), "events"), "fc": Linear(np.eye(2)), "lif": lif}
    return Graph.chain(nodes, len(theta), arithmetic=Real("float64"))


def halves(steps, n=40):
    return np.random.default_rng(1).integers(0, 8, (steps, n, 2)) / 2


@pytest.mark.parametrize("lengths", [None, np.arange(40) % 4 + 1])
def test_the_best_constant_is_the_one_a_plain_search_finds_for_each_channel(lengths):
    """Of samples of unequal length as far as each goes: with a bias their neurons would fire behind their ends."""
    theta = np.array([[1.0, 3.0], [2.0, 2.0], [5.0, 2.5], [1.5, 9.0]])
    layer, run = partial(one_layer, bias=np.full(2, 0.75)), to_ends(simulate, lengths)
    graph, x = layer(theta), halves(4)
    truth = run(graph, x, TRAINS).trains["lif"].unpack()
    changed, findings = collapse_schedule(graph, "best", samples=x, run=run)
    assert [finding.code for finding in findings] == ["SP422"]
    for channel in range(2):
        costs = {}
        ends = np.linspace(theta[:, channel].min(), theta[:, channel].max(), 33)
        for value in (theta[:, channel].mean(), *ends):
            spikes = run(layer(np.full((4, 2), value)), x, TRAINS).trains["lif"].unpack()[..., channel]
            wanted = truth[..., channel]
            costs[value] = (spikes != wanted).sum()
        chosen = changed["lif"].threshold[:, channel]
        assert (chosen == chosen[0]).all()
        assert costs[chosen[0]] == min(costs.values())


def test_a_layer_has_one_factor_where_thresholds_may_not_vary_over_channels():
    theta = np.array([[1.0, 2.0], [3.0, 6.0], [2.0, 4.0]])
    changed, _ = collapse_schedule(one_layer(theta), "best", samples=halves(3), run=simulate, channels=False)
    assert changed["lif"].threshold[0, 1] == 2 * changed["lif"].threshold[0, 0]


def test_the_best_constants_leave_the_first_layer_at_least_as_near_as_the_mean():
    graph, x = prepare(convolutional()), images(60)
    truth = simulate(graph, x, TRAINS)

    def apart(kind):
        changed, _ = collapse_schedule(graph, kind, samples=x, run=simulate)
        return sum(parity(simulate(changed, x, TRAINS), truth).by_layer["lif1"])

    assert 0 < apart("best") <= apart("mean")


def test_constants_lie_between_and_what_never_fires_stays_so():
    constants = between(np.array([[1.0, np.inf], [2.0, np.inf], [np.inf, np.inf]]))
    assert constants[[0, 1, -1], 0].tolist() == [1.5, 1.0, 2.0]
    assert np.isinf(constants[:, 1]).all()


@pytest.mark.parametrize(("decay", "kind"), [(1.0, LIF), (0.5, LIF), (1.0, CubaLIF)])
def test_a_schedule_that_moves_as_a_bias_does_becomes_one_and_no_spike_changes(decay, kind):
    """theta + e (1 + d + ... + d^t), in binary fractions: exact."""
    h = np.cumsum(decay ** np.arange(6.0))
    current = {"current_decay": np.asarray(0.5)} if kind is CubaLIF else {}
    theta = np.stack([4 + 0.25 * h, 9 - 0.5 * h], axis=1)
    graph = one_layer(theta, "none", decay, kind, bias=np.asarray(0.5), **current)
    changed, findings = collapse_schedule(graph, "bias")
    assert findings == ()
    assert changed["lif"].threshold.tolist() == [[4.0, 9.0]] * 6
    assert changed["lif"].bias.tolist() == [0.25, 1.0]
    before, after = (simulate(each, halves(6), TRAINS) for each in (graph, changed))
    assert parity(before, after).exact
    assert 0.05 < before.trains["lif"].unpack().mean() < 0.95


@pytest.mark.parametrize(
    ("theta", "reset", "why"),
    [([1, 2, 3], "zero", "reset"), ([1, 2, 3], "subtract", "reset"), ([1, 2, 4], "none", "off")],
)
def test_other_schedules_are_refused(theta, reset, why):
    with pytest.raises(SpikeportError, match="SP433") as caught:
        collapse_schedule(one_layer(theta, reset, 1.0), "bias")
    assert why in caught.value.findings[0].what


@pytest.mark.parametrize("kind", ["best", "bias"])
def test_a_comparison_counts_the_collapse_and_nothing_where_it_was_none(kind):
    """Thresholds of [T]; the quantised file remembers how its schedules became constants."""
    resets = "none" if kind == "bias" else "zero"
    a, x = one_layer([3.0, 4.0, 5.0, 6.0], resets, 1.0), halves(4)
    b, _ = collapse_schedule(a, kind, samples=x, run=simulate)
    b = b.with_(provenance={"quantised": {"thresholds": kind}})
    assert [cause.name for cause in causes(a, b, x, simulate)] == (["schedule"] if kind == "best" else [])


def test_quantize_takes_the_best_constants_for_a_chip_with_one_threshold():
    findings = quantize(convolutional(), images(), LOIHI1, run=simulate, collapse_thresholds="best").findings
    assert sum(finding.code == "SP422" and "best" in finding.what for finding in findings) == 2


def rows(graph):
    """Of each layer in integers whether its thresholds vary over time."""
    return {name: bool((node.threshold != node.threshold[:1]).any()) for name, node in graph.nodes_of(LIF).items()}


@pytest.mark.parametrize("bits", [8, 5])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_threshold_for_all_steps_stays_one_in_a_format_with_schedules(seed, bits):
    """`joint` and `thresholds` move it as a whole; a schedule beside it keeps a threshold a step."""
    graph = convolutional(seed)
    constant = graph.replace({"lif2": graph["lif2"].with_(threshold=np.full(STEPS, 0.7, np.float32))})
    result = quantize(constant, images(), LOIHI2, bits, run=simulate)
    assert rows(result.graph) == {"lif1": True, "lif2": False}


@pytest.mark.parametrize("kind", ["mean", "first", "best"])
def test_a_constant_that_is_asked_for_is_one_in_a_format_with_schedules(kind):
    result = quantize(convolutional(), images(), LOIHI2, 5, run=simulate, collapse_thresholds=kind)
    assert rows(result.graph) == {"lif1": False, "lif2": False}
    assert [finding.where for finding in result.findings if finding.code == "SP422"] == ["layer 'lif1'", "layer 'lif2'"]
