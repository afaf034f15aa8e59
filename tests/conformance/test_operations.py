"""Networks with nodes that chips have not: who runs them computes what the definition says, chips refuse by name."""

from __future__ import annotations

import pytest

from conformance.cases import KINDS, case
from conformance.judge import judge
from conformance.targets import Contestant, named
from conformance.waivers import waivers
from spikeport.graph import OPERATIONS, Conv, Operation, Peak, Pool
from spikeport.target import registry, target

SEEDS = range(20)
INTEGERS, REALS = "integers, operations", "float32, operations"
OTHERS = {"volumes": range(2, 8), "adaptive": range(8)}  #: further kinds of either arithmetic
RUNNERS = [
    Contestant("integer", (INTEGERS,), named("integer"), "plain"),
    Contestant("integer", (INTEGERS,), named("integer"), "fast"),
    Contestant("reference", (REALS,), named("reference"), "plain"),
    Contestant("reference", (REALS,), named("reference"), "fast"),
    Contestant("onnxruntime", (INTEGERS, REALS), named("onnxruntime")),
]


@pytest.mark.parametrize("contestant", RUNNERS, ids=lambda each: f"{each.name} {each.kernels}")
def test_every_bit_is_the_definitions(contestant):
    if not contestant.make().availability().ready:
        pytest.skip(contestant.make().availability().why)
    cases = [case(kind, seed) for kind in contestant.kinds for seed in SEEDS]
    verdict = judge(cases, contestant.try_all(cases), waivers(contestant.name))
    assert verdict.differences[:5] == []
    assert verdict.agreed >= 18


@pytest.mark.parametrize("kind", OTHERS)
def test_every_bit_of_other_nodes_is_the_definitions(kind):
    for arithmetic, name in (("integers", "integer"), ("float32", "reference")):
        if f"{arithmetic}, {kind}" not in KINDS:
            continue
        cases = [case(f"{arithmetic}, {kind}", seed) for seed in OTHERS[kind]]
        for runner in (*(Contestant(name, (), named(name), way) for way in ("plain", "fast")), RUNNERS[-1]):
            verdict = judge(cases, runner.try_all(cases), waivers(runner.name))
            assert verdict.differences[:5] == []
            assert verdict.agreed >= len(cases) - 1


def test_every_operation_is_drawn():
    drawn = {
        type(node) for kind in (INTEGERS, REALS) for seed in SEEDS for node in case(kind, seed).graph.nodes.values()
    }
    assert drawn >= {*OPERATIONS, Peak}


@pytest.mark.parametrize("name", ["lava", "nengo-loihi", "sanafe", "speck"])
def test_a_chip_refuses_an_operation_by_its_name(name):
    """Behind one that it refused it need not look."""
    if name not in registry():
        pytest.skip("its entry point is not installed")
    for seed in SEEDS:
        graph = case("lava, operations", seed).graph
        operations = graph.nodes_of(Operation)
        errors = [finding.what for finding in target(name).check(graph) if finding.severity == "error"]
        kinds = {type(node).__name__ for node in operations.values()}
        assert not kinds or any(kind in what for kind in kinds for what in errors)


@pytest.mark.parametrize("name", ["lava", "speck"])
def test_a_chip_of_maps_refuses_volumes(name):
    for seed in OTHERS["volumes"]:
        graph = case("lava, volumes", seed).graph
        windows = [each for each, node in graph.nodes_of(Conv, Pool).items() if len(node.kernel) == 3]
        places = [finding.where for finding in target(name).check(graph) if finding.severity == "error"]
        assert {f"node {each!r}" for each in windows} <= {*places}
