"""Operations in files: both formats bring them back to the bit, and readers that do not know them are told."""

from __future__ import annotations

import json

import h5py
import pytest

from conformance.cases import case
from spikeport.findings import SpikeportError
from spikeport.formats import nir, onnx
from spikeport.formats.nir import metadata
from spikeport.graph import Operation, Peak

KINDS = [f"{numbers}, {nodes}" for nodes in ("operations", "volumes") for numbers in ("integers", "float32")]
KINDS.append("float32, adaptive")


def graph(seed, kind="integers, operations"):
    return case(kind, seed).graph


@pytest.mark.parametrize("kind", KINDS)
def test_both_formats_bring_every_operation_back(tmp_path, kind):
    for seed in range(6):
        nir.write(graph(seed, kind), tmp_path / "a.nir")
        onnx.write(graph(seed, kind), tmp_path / "a.onnx")
        assert nir.read(tmp_path / "a.nir")[0] == graph(seed, kind)
        assert onnx.read(tmp_path / "a.onnx")[0] == graph(seed, kind)


def test_a_reader_that_does_not_know_an_operation_refuses_the_file_by_its_name(tmp_path, monkeypatch):
    seed = next(seed for seed in range(50) if graph(seed).nodes_of(Operation))
    findings = nir.write(graph(seed), tmp_path / "a.nir")
    kinds = {type(node).__name__ for node in graph(seed).nodes_of(Operation).values()}
    told = sorted(finding.what.split()[3].strip(";") for finding in findings if finding.code == "SP219")
    assert set(told) == kinds | ({"Peak"} if graph(seed).nodes_of(Peak) else set())
    assert len(told) == len(set(told))  # each once, however many nodes are of it
    with h5py.File(tmp_path / "a.nir") as file:
        about = json.loads(file["node/metadata/spikeport/facts"][()])
    assert kinds <= set(about["requires"])
    monkeypatch.setattr(metadata, "FEATURES", metadata.FEATURES - kinds)  # as 0.1 is
    with pytest.raises(SpikeportError) as caught:
        nir.read(tmp_path / "a.nir")
    assert caught.value.code == "SP205"
    assert all(kind in str(caught.value) for kind in kinds)
