"""Networks whose neurons fire several times in a step: who runs them counts as the definition does, chips refuse."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conformance.cases import case
from conformance.judge import judge
from conformance.single_steps import SingleSteps
from conformance.targets import Contestant, named
from conformance.waivers import waivers
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Loihi
from spikeport.target import registry, target

SEEDS = range(12)
INTEGERS, REALS = "integers, several spikes", "float32, several spikes"
RUNNERS = [
    Contestant("integer", (INTEGERS, "xylo"), named("integer"), "plain"),
    Contestant("integer", (INTEGERS, "xylo"), named("integer"), "fast"),
    Contestant("integer", (INTEGERS,), named("integer"), "products"),
    Contestant("reference", (REALS,), named("reference"), "plain"),
    Contestant("reference", (REALS,), named("reference"), "fast"),
    Contestant("onnxruntime", (INTEGERS, REALS, "xylo"), named("onnxruntime")),
    Contestant("onnxruntime, step by step", (INTEGERS, REALS, "xylo"), SingleSteps),
]


@pytest.mark.parametrize("contestant", RUNNERS, ids=lambda each: f"{each.name} {each.kernels}")
def test_every_bit_is_the_definitions(contestant):
    if not contestant.make().availability().ready:
        pytest.skip(contestant.make().availability().why)
    cases = [case(kind, seed) for kind in contestant.kinds for seed in SEEDS]
    verdict = judge(cases, contestant.try_all(cases), waivers(contestant.name))
    assert verdict.differences[:5] == []
    assert verdict.agreed >= 10


def test_layers_fire_once_three_times_and_often():
    runs = [case(kind, seed).truth for kind in (INTEGERS, REALS) for seed in SEEDS]
    most = {int(run.values[name].max()) for run in runs if hasattr(run, "after") for name in run.after}
    assert most >= {0, 1, 2, 3}
    assert max(most) >= 15


@pytest.mark.parametrize("name", ["lava", "nengo-loihi", "sanafe", "speck"])
def test_a_chip_refuses_it_by_name(name):
    if name not in registry():
        pytest.skip("its entry point is not installed")
    for seed in SEEDS:
        graph = case("lava, several spikes", seed).graph
        errors = [finding for finding in target(name).check(graph) if finding.severity == "error"]
        often = {f"node {layer!r}" for layer, node in graph.nodes_of(LIF).items() if node.most_spikes > 1}
        assert often <= {finding.where for finding in errors if finding.code == "SP615"} or (
            errors and errors[0].code != "SP615" and name in ("speck", "sanafe")  # which stop at what they do not know
        )


def test_a_profile_whose_neurons_fire_once_refuses_it():
    graphs = [case(INTEGERS, seed).graph for seed in SEEDS]
    graph = next(each for each in graphs if max(node.most_spikes for node in each.nodes_of(LIF).values()) > 1)
    with pytest.raises(SpikeportError) as error:
        graph.with_(arithmetic=Loihi(replace(graph.arithmetic.profile, most_spikes=LOIHI2.most_spikes)))
    assert {finding.code for finding in error.value.findings} == {"SP130"}
