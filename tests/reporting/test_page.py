"""The page holds what the run says, judges it by stated rules, and needs nothing from outside."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from spikeport.findings import SpikeportError
from spikeport.reporting import numbers, render, whys, write
from spikeport.reporting.verdict import verdict
from spikeport.verbs.report import report

VOID = {"meta", "link", "br", "line", "circle", "polyline", "input", "rect", "path"}


class Wellformed(HTMLParser):
    """Fails on a tag that closes another than the last one opened."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.cells = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th", "button", "dd"):
            self.cells.append(data.strip())


def parity(against, mismatches=0, **more):
    by_layer = {"conv.lif": [0, mismatches], "fc.lif": [0, 0]}
    return {
        "against": against,
        "samples": 50,
        "argmax_agreement": 1.0,
        "spike_mismatches": mismatches,
        "spikes_compared": 50 * 2 * 30,
        "by_layer": by_layer,
        "neurons": {"conv.lif": 20, "fc.lif": 10},
        **more,
    }


def result(**changes):
    energy = {"low": 1e-9, "nominal": 2e-9, "high": 3e-9, "source": "a table"}
    base = {
        "model": "tiny",
        "dataset": "made up",
        "method": "fixed",
        "timesteps": 2,
        "device": "cpu",
        "seed": 3,
        "versions": {"numpy": "9.9"},
        "thresholds": {"conv.lif": [1.0, 0.75], "fc.lif": [1.0, 1.25]},
        "firing_rate": {"conv.lif": [0.25, 0.125], "fc.lif": [0.0, 0.5]},
        "samples": {"pytorch": 50, "integer": 50, "lava": 10},
        "accuracy": {"pytorch": 0.96, "integer": 0.96, "lava": 0.9},
        "parity": {"graph": parity("pytorch", 3, mismatches_above_rounding=0), "lava": parity("integer")},
        "energy_joule_per_sample": {"cmos": energy},
        "samples_per_second": {"lava": 2.0},
        "seconds": {"train": 3.5},
    }
    return base | changes


def test_the_page_is_well_formed_and_needs_nothing_from_outside(tmp_path):
    path = write(result(), tmp_path / "report.html")
    text = path.read_text()
    parser = Wellformed()
    parser.feed(text)
    assert parser.open == []
    assert not re.search(r"""(src|href)\s*=\s*["'](?!data:|#)""", text)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", text)
    assert list(tmp_path.iterdir()) == [path]


def test_every_number_behind_a_plot_is_also_in_a_table():
    parser = Wellformed()
    parser.feed(render(result()))
    for text in ("0.75", "1.25", numbers.percent(0.125), numbers.si(2e-9, "J"), numbers.percent(1.0), "a table", "9.9"):
        assert text in parser.cells


def test_a_bar_of_dynamic_energy_says_so_and_what_there_is_in_all():
    energy = result()["energy_joule_per_sample"]["cmos"] | {"label": "a chip"}
    parser = Wellformed()
    parser.feed(
        render(
            result(energy_joule_per_sample={"chip": energy | {"total": {"low": 2e-8, "nominal": 4e-8, "high": 5e-8}}})
        )
    )
    total = " to ".join([f"{numbers.si(4e-8, 'J')} ({numbers.si(2e-8, 'J')}", f"{numbers.si(5e-8, 'J')})"])
    assert {"a chip, dynamic", total} <= set(parser.cells)


def test_a_run_with_few_facts_still_has_a_page():
    text = render({"model": "bare"})
    assert 'id="energy"' not in text
    assert "bare" in text


def test_names_from_outside_cannot_break_the_page():
    evil = "</script><script>alert(1)</script>"
    text = render(result(model=evil, thresholds={evil: [1.0, 2.0]}), {"rasters": {evil: {}}})
    assert evil not in text


@pytest.mark.parametrize(
    ("changes", "mood"),
    [
        ({}, "same"),
        ({"accuracy": {"pytorch": 0.96, "integer": 0.9}}, "apart"),
        ({"parity": {"graph": parity("pytorch", 3, mismatches_above_rounding=1)}}, "apart"),
        ({"parity": {"lava": parity("integer", 1)}}, "apart"),
        ({"parity": {"integer": parity("graph", 99)}}, "same"),  # quantising moves spikes; accuracy judges it
    ],
)
def test_the_verdict_follows_its_rules(changes, mood):
    assert verdict(result(**changes)).mood == mood


@pytest.mark.parametrize(
    ("entry", "mood", "words"),
    [
        (parity("b", 0), "same", "Every spike agrees"),
        (parity("b", 3, mismatches_above_rounding=0), "same", "ties"),
        (parity("b", 3, mismatches_above_rounding=1), "apart", "mostly by weights rounded"),
        (parity("b", 3), "apart", numbers.percent(0.001)),
        (parity("b", 0, spikes_compared=0), "close", "No spikes were compared"),
        (parity("b", 0, uncompared=["fc.lif"]), "close", "not compared: fc.lif"),
        (parity("b", 99, quantised="a"), "close", "Labels would say"),
    ],
)
def test_a_comparison_of_two_runs_has_a_verdict_of_its_own(entry, mood, words):
    cause = {"name": "weights", "title": "weights rounded"}
    judged = verdict({"model": "a against b", "parity": {"a": entry}, "causes": {"a": [cause]}})
    assert judged.mood == mood
    assert words in judged.sentence


@pytest.mark.parametrize(("counted", "few"), [({"samples": 16}, 16), ({"samples": 1000}, None), ({}, None)])
def test_causes_say_on_how_many_samples_where_these_are_not_all(counted, few):
    """A file of before says nothing."""
    cause = {
        "title": "weights rounded",
        "share": 1.0,
        "mismatches": 7,
        "advice": "more bits",
        "explained": 0.5,
    } | counted
    (why,) = whys.causes({"samples": {"graph": 1000, "lava": 8}, "causes": {"integer": [cause]}})
    assert why.few == few


@pytest.mark.parametrize(
    ("quantised", "drop", "mood"), [("a", 0.004, "same"), ("b", 0.01, "apart"), ("b", -0.1, "same")]
)
def test_integers_are_judged_by_accuracy_in_a_comparison_as_in_a_run(quantised, drop, mood):
    real = "b" if quantised == "a" else "a"
    shares = {real: 0.9, quantised: 0.9 - drop}
    compared = verdict({"parity": {"a": parity("b", 99, quantised=quantised)}, "accuracy": shares})
    run = verdict(result(parity={"integer": parity("graph", 99)}, accuracy={"pytorch": 0.9, "integer": 0.9 - drop}))
    assert compared.mood == run.mood == mood


@pytest.mark.parametrize(
    ("ran", "words"), [(32, "every spike of 32 of 360 samples"), (360, "every spike of all samples")]
)
def test_the_verdict_says_on_how_many_samples_lava_agrees(ran, words):
    lava = parity("integer") | {"samples": ran}
    text = verdict(result(parity={"lava": lava}, samples={"integer": 360, "lava": ran})).sentence
    assert words in text


@pytest.mark.parametrize(
    ("spiking", "conventional", "words"),
    [
        ((1e-9, 2e-9, 3e-9), (4e-9, 5e-9, 6e-9), "the SNN wins"),
        ((4e-9, 5e-9, 6e-9), (1e-9, 2e-9, 3e-9), "the ANN wins"),
        ((1e-9, 3e-9, 6e-9), (1e-9, 2e-9, 3e-9), "the ANN wins, though not over the whole range"),
    ],
)
def test_the_report_says_which_network_costs_less(spiking, conventional, words):
    def entry(values, **more):
        return dict(zip(("low", "nominal", "high"), values, strict=True), source="s", **more)

    models = {"cmos": entry(spiking), "cmos-ann": entry(conventional, network="ann", model="cmos")}
    assert words in verdict(result(energy_joule_per_sample=models)).details[-1]


@pytest.mark.parametrize(
    ("value", "text"),
    [(3.2e-7, "320 nJ"), (1e-3, "1 mJ"), (9.999e-10, "1 nJ"), (0.0, "0 J"), (1.5e-12, "1.5 pJ"), (12.0, "12 J")],
)
def test_energies_read_with_prefixes(value, text):
    assert numbers.si(value, "J").replace("\u202f", " ") == text


def test_a_share_is_called_100_percent_only_if_it_is():
    assert numbers.percent(1.0) == "100\u202f%"
    assert numbers.percent(0.999999) == ">99.99\u202f%"
    assert numbers.percent(0.0) == "0\u202f%"
    assert numbers.percent(1e-6) != numbers.percent(0.0)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"model": "x"}'])
def test_what_is_no_result_is_refused_and_nothing_is_written(text, tmp_path):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(SpikeportError) as caught:
        report(tmp_path)
    assert caught.value.code == "SP820"
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


@pytest.mark.parametrize(("integer", "mood"), [(0.975, "same"), (0.974, "apart")])
def test_half_a_point_is_half_a_point_whatever_float64_makes_of_it(integer, mood):
    """0.98 - 0.975 is 0.0050000000000000044."""
    parities = {"integer": parity("graph", 3)}
    judged = verdict(result(accuracy={"pytorch": 0.98, "integer": integer}, parity=parities))
    assert judged.mood == mood


def test_a_run_of_a_network_that_is_no_module_is_held_against_its_graph():
    parities = {"integer": parity("graph", 3), "chip": parity("integer")}
    counts = {"graph": 50, "integer": 50, "chip": 50}
    judged = verdict(result(accuracy={"graph": 0.98, "integer": 0.98}, samples=counts, parity=parities))
    assert judged.mood == "same"
    assert "in real numbers, and chip agrees on every spike of all samples" in judged.sentence
    judged = verdict(result(accuracy={"graph": 0.98, "integer": 0.96}, samples=counts, parity=parities))
    assert (judged.mood, "2.00 points" in judged.sentence) == ("apart", True)
    assert judged.sentence.endswith("; chip agrees on every spike of all samples.")
    parities["chip"]["oracle"] = "sinabs 3.1.3"
    parted = parities | {"chip": parities["chip"] | {"spike_mismatches": 1, "mismatches_above_rounding": 1}}
    judged = verdict(result(accuracy={"graph": 0.98, "integer": 0.98}, samples=counts, parity=parted))
    assert judged.sentence == "Not the same network: chip (sinabs 3.1.3) parts from its reference."


def test_numbers_have_one_style():
    plain = [numbers.plain(value) for value in (21012.4, 9125.3, 12345, 0.1234567)]
    assert plain == ["21\u202f010", "9125", "12\u202f345", "0.1235"]
    told = "1\u202f234\u202f567 of 5\u202f894 are 54\u202f%, 15.89\u202f%; 1,2"
    assert numbers.typeset("1,234,567 of 5,894 are 54 %, 15.89%; 1,2") == told
