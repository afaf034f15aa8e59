"""The table of published modules: whole, and true for what takes no time."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
import ways
import zoo

ENTRIES = tomllib.loads((zoo.HERE / "zoo.toml").read_text(encoding="utf-8"))["module"]
QUICK = [e for e in ENTRIES if e.get("around") == "neuron" or e.get("style")]


def test_the_table_names_each_module_once_and_gives_one_reason_for_each_refusal():
    names = [(e["package"], e["version"], e["name"]) for e in ENTRIES]
    assert len(names) == len(set(names)) >= 60
    assert all(e["captured"] or e["why"] for e in ENTRIES)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entry", QUICK[::4], ids=lambda e: f"{e['package']} {e['name']}")
def test_what_the_table_says_of_a_module_is_what_capture_does(entry):
    outcome = zoo.tried(entry)
    assert outcome.expected, outcome.what


def test_a_network_of_norse_goes_the_whole_way(tmp_path):
    pytest.importorskip("norse")
    network = next(each for each in ways.NETWORKS if each.name.startswith("Norse"))
    seen = ways.way(network, tmp_path)
    assert 0 < seen.spikes < seen.compared
    assert seen.energies > 5
    assert "Norse" in ways.page([seen])[-1]


def test_the_page_counts_what_was_captured():
    outcomes = [zoo.Outcome(e, "captured" if e["captured"] else "refused", "SP380 x") for e in ENTRIES]
    text = zoo.page(outcomes)
    imported = [e for e in ENTRIES if not e.get("style")]
    assert f"{sum(e['captured'] for e in imported)} of {len(imported)} imported" in text
    assert text.count("\n| ") == len(ENTRIES) + 1
