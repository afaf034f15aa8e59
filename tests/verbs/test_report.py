"""A page of whatever a verb left in a folder, the same whether it is written at once or again."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from data_files import code
from spikeport import compare, quantize, report, simulate
from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.graph import LIF, Graph, Input, Linear

X = np.random.default_rng(5).random((24, 6), dtype=np.float32)
Y = np.arange(24) % 3


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A network, its integers and its samples as files."""
    place, draw = tmp_path_factory.mktemp("files"), np.random.default_rng(1).standard_normal
    nodes = {
        "input": Input((6,)),
        "one": Linear(draw((8, 6)).astype(np.float32)),
        "lif": LIF((8,), np.float32(0.5), np.linspace(0.8, 1, 3).astype(np.float32)),
        "two": Linear(draw((3, 8)).astype(np.float32)),
        "last": LIF((3,), np.float32(0.5), np.ones(3, np.float32)),
    }
    nir.write(Graph.chain(nodes, timesteps=3), place / "real.nir")
    quantize(place / "real.nir", data=X, steps=(), weight_bits=3, out=place / "int.nir")
    np.savez(place / "x.npz", x=X, y=Y)
    return place


def words(page):
    """The text of a page without its head, and without what the moment of writing says."""
    body = page.read_text().partition("<body>")[2].partition("<script")[0]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body))


def test_a_comparison_s_page_can_be_written_again_from_its_files(files, tmp_path):
    compare(files / "real.nir", files / "int.nir", files / "x.npz", out=tmp_path)
    before = words(tmp_path / "report.html")
    assert "spikeport compare" in before
    assert "First difference" in before
    assert 'id="spikes"' in (tmp_path / "report.html").read_text()
    (tmp_path / "report.html").unlink()
    assert words(report(tmp_path)) == before
    (tmp_path / "figures.json").unlink()  # as 0.1 left it
    assert "First difference" in words(report(tmp_path / "comparison.json"))


def test_a_record_s_page_has_its_rates_rasters_and_thresholds(files, tmp_path):
    record = simulate(str(files / "int.nir"), str(files / "x.npz"), out=tmp_path)
    page = report(tmp_path)
    text = page.read_text()
    for part in ("spikes", "rates", "thresholds", "mantissas", "provenance"):
        assert f'id="{part}"' in text, part
        assert f'href="#{part}"' in text, part  # the table of contents
    fired = sum(int(counts.sum()) for counts in record.spike_counts.values())
    assert f"{100 * fired / (24 * 3 * 11):.2f} %" in words(page)
    (files / "int.nir").rename(files / "moved.nir")
    assert "its model" in words(report(tmp_path))
    (files / "moved.nir").rename(files / "int.nir")


def test_a_training_s_page_marks_the_epoch_that_was_kept(tmp_path):
    """Of two that were equally good on the validation part the last is kept."""
    facts = {"loss": 0.5, "train_accuracy": 0.9, "lr": 0.1, "seconds": 2.0}
    rows = [{"epoch": n + 1, "val_accuracy": right, **facts} for n, right in enumerate((0.5, 0.75, 0.75, 0.6))]
    (tmp_path / "metrics.json").write_text(json.dumps(rows))
    page = report(tmp_path)
    assert "Epoch 3 of 4 was kept: 75.00 %" in words(page)
    marks = re.findall(r'class="kept" x1="([\d.]+)"', page.read_text())
    dots = re.findall(r'class="dot" cx="([\d.]+)"', page.read_text())
    assert set(marks) == {dots[2]}


def test_a_folder_with_nothing_of_ours_says_what_it_looked_for(tmp_path):
    assert code(report, tmp_path) == "SP820"
    (tmp_path / "metrics.json").write_text("[]")
    assert code(report, tmp_path) == "SP820"
    with pytest.raises(SpikeportError, match="there is no such folder"):
        report(tmp_path / "elsewhere")
