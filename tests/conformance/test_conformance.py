"""Every target computes what the definition says, on random networks in random formats, or says why it does not."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from conformance.cases import KINDS, case
from conformance.judge import judge
from conformance.targets import CONTESTANTS, contestants
from conformance.waivers import FILE, read, waivers
from spikeport.findings import SpikeportError
from spikeport.graph import LIF

PAGE = Path(__file__).parents[2] / "docs" / "conformance.md"
#: of each kind that a target takes, so that it runs as many as `Contestant.graphs` says, and needs its waivers
SMALL = (2, 3, 4, *range(7, 12), 14, *range(18, 22), *range(23, 28), 29, 32, 35, 40)  #: for Triton's slow interpreter
SEEDS = {
    "onnxruntime": range(110),
    "lava": (*range(8), 16, 33),
    "sanafe": range(12),
    "nengo-loihi": (*range(18), 24, 1164),
    "speck": (*range(70), 115),
    "xylo": range(50),
}
SEEDS |= dict.fromkeys(("integer, plain", "integer, fast", "integer-cuda"), range(110))
SEEDS |= dict.fromkeys(("reference, plain", "reference, fast", "reference-cuda"), range(50))
SEEDS |= {"integer, triton": SMALL, "integer, products": range(25)}
SEEDS["integer, one by one"] = (*range(5), 11, 24, 34, 96)  # the last four are chains
SEEDS["integer, frame by frame"] = (4, 9, 156, 201, 568, 587, 670, 768)  # the last six are chains fed with events
SEEDS |= {"integer, three threads": range(8), "reference, three threads": range(4)}
MARKS = {"lava": pytest.mark.lava}


@pytest.mark.parametrize("name", [pytest.param(name, marks=MARKS.get(name, ())) for name in contestants()])
def test_what_check_accepts_runs_as_the_definition_says_and_what_it_refuses_says_why(name):
    contestant = contestants()[name]
    if contestant.missing:
        pytest.skip(contestant.missing)
    cases = [case(kind, seed) for kind in contestant.kinds for seed in SEEDS.get(name, range(25))]
    verdict = judge(cases, contestant.try_all(cases), waivers(name))
    assert verdict.differences[:5] == []
    assert [waiver for waiver in waivers(name) if waiver not in verdict.waived] == [], "waive nothing any more"
    assert verdict.agreed >= contestant.graphs


def test_every_waiver_is_of_a_target_and_has_its_reason():
    assert [waiver.target for waiver in read(FILE) if waiver.target not in CONTESTANTS] == []
    assert all(waiver.why.endswith(".") and waiver.what for waiver in read(FILE))


def test_the_page_lists_the_waivers():
    rows = [f"| {w.target} | {', '.join(w.what)} | {w.when or 'always'} | {w.why} |" for w in read(FILE)]
    page = PAGE.read_text("utf-8")
    assert [row for row in rows if row not in page] == []
    assert page.count("| always |") + page.count(", and said |") + page.count("own neurons |") + page.count(
        "several messages |"
    ) == len(rows)


def test_a_seed_is_a_case_for_ever_and_another_seed_another():
    for kind in KINDS:
        one, again, other = (case.__wrapped__(kind, seed) for seed in (3, 3, 4))
        assert one.graph == again.graph
        assert np.array_equal(one.samples, again.samples)
        assert one.graph != other.graph


def test_the_cases_reach_the_ends():
    """Long and short runs, one sample and nine, every field of a profile, saturation, wrapping, refusal, silence."""
    cases = [case("integers", seed) for seed in range(110)]
    profiles = [each.graph.arithmetic.profile for each in cases]
    assert max(each.graph.timesteps for each in cases) > 100
    assert {each.graph.timesteps for each in cases} >= {1, 2, 3, 4, 5, 6}
    assert {next(iter(each.truth.after.values())).shape[1] for each in cases if ran(each)} == set(range(1, 10))
    assert {each.batch for each in cases} == {None, 1, 2, 3}
    for field in ("weight_bits", "threshold_bits", "state_bits", "message_bits", "bias_bits", "weight_exponent"):
        assert len({getattr(profile, field) for profile in profiles}) > 3, field
    for field in ("schedule", "channel_thresholds", "weight_shift", "accumulator_overflow"):
        assert len({getattr(profile, field) for profile in profiles}) == 2, field
    overflows = Counter(
        kind for each in cases if ran(each) for kinds in each.truth.overflows.values() for kind in kinds
    )
    assert min(overflows[kind] for kind in ("membrane saturated", "sum beyond 24 bits", "accumulator wrapped")) > 3
    assert {each.truth.code for each in cases if not ran(each)} == {"SP122"}
    rates = [each.truth.spikes(name).mean() for each in cases if ran(each) for name in each.graph.nodes_of(LIF)]
    assert np.mean([0.02 < rate < 0.98 for rate in rates]) > 0.4


def ran(each):
    return not isinstance(each.truth, SpikeportError)
