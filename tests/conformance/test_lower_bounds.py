"""Networks whose membranes have a lower bound: who runs them keeps it as the definition does, others refuse by name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from conformance.cases import case
from conformance.frame_by_frame import FrameByFrame
from conformance.judge import judge
from conformance.one_by_one import OneByOne
from conformance.side_by_side import SideBySide
from conformance.single_steps import SingleSteps
from conformance.targets import CONTESTANTS, Contestant, named
from conformance.waivers import waivers
from spikeport.graph import LIF, definition, over_neurons
from spikeport.target import registry, target

SEEDS = range(12)
INTEGERS, REALS, LAVA, SPECK = "integers, bounded", "float32, bounded", "lava, bounded", "speck, bounded"
RUNNERS = [
    Contestant("integer", (INTEGERS, LAVA, SPECK), named("integer"), "plain"),
    Contestant("integer", (INTEGERS, LAVA, SPECK), named("integer"), "fast"),
    Contestant("integer", (INTEGERS,), named("integer"), "products"),
    Contestant("integer, one by one", (INTEGERS,), OneByOne, "fast"),
    Contestant("integer, frame by frame", (INTEGERS,), FrameByFrame, "fast"),
    Contestant("reference, three threads", (REALS,), lambda: SideBySide("reference"), "fast"),
    Contestant("reference", (REALS,), named("reference"), "plain"),
    Contestant("reference", (REALS,), named("reference"), "fast"),
    Contestant("onnxruntime", (INTEGERS, REALS, LAVA), named("onnxruntime")),
    Contestant("onnxruntime, step by step", (INTEGERS, REALS, LAVA), SingleSteps),
]
CHIPS = [replace(CONTESTANTS["lava"], kinds=(LAVA,)), replace(CONTESTANTS["speck"], kinds=(SPECK,))]


@pytest.mark.parametrize("contestant", RUNNERS, ids=lambda each: f"{each.name} {each.kernels}")
def test_every_bit_is_the_definitions(contestant):
    held_to_the_definition(contestant, SEEDS, 10)


def test_every_bit_is_the_definitions_in_a_cards_kernels():
    contestant = Contestant("integer", (INTEGERS,), named("integer"), "triton")
    if contestant.missing:
        pytest.skip(contestant.missing)
    held_to_the_definition(contestant, (2, 3, 4, 7, 8, 9), 4)


@pytest.mark.parametrize("contestant", CHIPS, ids=lambda each: each.name)
def test_every_bit_is_the_definitions_on_a_chips_software(contestant):
    held_to_the_definition(contestant, range(6), 3)


def held_to_the_definition(contestant, seeds, least):
    if not contestant.make().availability().ready:
        pytest.skip(contestant.make().availability().why)
    cases = [case(kind, seed) for kind in contestant.kinds for seed in seeds]
    verdict = judge(cases, contestant.try_all(cases), waivers(contestant.name))
    assert verdict.differences[:5] == []
    assert verdict.agreed >= least


def test_bounds_are_met_and_change_what_fires():
    """The definition's own: membranes lie on the bound, none below, and without it other neurons fire."""
    met = changed = 0
    for kind in (INTEGERS, REALS, SPECK):
        for each in (case(kind, seed) for seed in SEEDS):
            layers = each.graph.nodes_of(LIF)
            if not hasattr(each.truth, "after"):
                continue
            for name, node in layers.items():
                if node.lower_bound is None:
                    continue
                low = over_neurons(node.lower_bound, node.shape)
                assert (each.truth.after[name] >= low).all()
                met += int((each.truth.after[name] == low).any())
            without = each.graph.replace({n: node.with_(lower_bound=None) for n, node in layers.items()})
            other = definition.run(without, each.samples)
            changed += any(not np.array_equal(other.values[n], each.truth.values[n]) for n in layers)
    assert met >= 20
    assert changed >= 5


@pytest.mark.parametrize("name", ["nengo-loihi", "sanafe"])
def test_a_target_without_bounds_refuses_it_by_name(name):
    if name not in registry():
        pytest.skip("its entry point is not installed")
    for seed in SEEDS:
        graph = case(LAVA, seed).graph
        errors = [finding for finding in target(name).check(graph) if finding.severity == "error"]
        ended = {f"node {layer!r}" for layer, node in graph.nodes_of(LIF).items() if node.lower_bound is not None}
        named_ = {finding.where for finding in errors if finding.code == "SP617"}
        assert ended <= named_ or (errors and name == "sanafe")  # which stops at what it does not know
