"""ResNet-19 at full width: its report with core map, rasters and histograms is small and says where two runs part."""

from __future__ import annotations

import re

import numpy as np
import pytest

import bench_networks
from spikeport.engine import simulate
from spikeport.graph import LIF, Synapse
from spikeport.mapping import find
from spikeport.reporting import gather, write
from spikeport.target import Request
from spikeport.verbs.compare import compare
from spikeport.verbs.energy import mapped, price
from spikeport.verbs.events import tally
from spikeport.verbs.fit import placed
from spikeport.verbs.folders import of_comparison
from spikeport.verbs.load import load_model

SAMPLES = 4


@pytest.mark.slow
def test_the_report_of_resnet_19_stays_under_six_megabytes(tmp_path):
    """Random weights at 15 to 25 % firing; 2 % of the other's weights are a step higher."""
    b = bench_networks.resnet19(steps=4)
    rng = np.random.default_rng(0)
    moved = {
        name: node.with_(weight=np.minimum(node.weight + (rng.random(node.weight.shape) < 0.02), 127).astype(np.int8))
        for name, node in b.nodes_of(Synapse).items()
    }
    a, x = b.replace(moved), bench_networks.samples(b, SAMPLES)
    comparison = compare(a, b, samples=x, why=False)
    record = comparison.records[1]
    rates = [float(rate.mean()) for rate in record.rates().values()]
    assert 0.1 < min(rates) < max(rates) < 0.3
    assert all(any(counts) for counts in comparison.parity.by_layer.values())
    result = of_comparison(comparison.as_dict())
    result["thresholds"] = {name: node.threshold.tolist() for name, node in b.nodes_of(LIF).items()}
    mapping, notes = mapped(b, find("loihi1"))
    few = x[:1]
    run = simulate(b, few, Request(events=True, trains=True))
    plain = price(tally(load_model(b), run, few, mapping), notes=notes).as_dict()
    result |= {name: plain[name] for name in ("energy_joule_per_sample", "verdicts", "latency")}
    result["fit"], placement = placed(b)
    figures = gather({comparison.a: comparison.records}, graph=a, integer=b, placement=placement)
    page = write(result, tmp_path / "report.html", figures)
    assert page.stat().st_size < 6e6
    text = page.read_text()
    assert 'class="cores"' in text
    drawn = re.search(r'<svg class="cores".*?</svg>', text, re.DOTALL)[0]
    assert drawn.count("h.9v.9h-.9z") == result["fit"]["bounds"]["shared"]["cores"] > 1000
    assert all(f'data-layer="{name}"' in text for name in b.nodes_of(LIF))
    assert "depth dominates" in text
