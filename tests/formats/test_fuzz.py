"""Thousands of damaged and hostile files: each ends in one coded error or a graph, within 2 s of CPU time and 1 GB.

The mutants run in a process of their own with a memory limit, so that a crash or a hang of a library fails the test
and nothing else. Seeds are fixed; `python tests/format_mutants.py nir 100000 50000` tries others.
"""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from format_mutants import limited, original
from spikeport.findings import SpikeportError
from spikeport.formats import nir

HERE = Path(__file__).parents[1]


def mutants_of(kind, first, count, timeout):
    command = [sys.executable, str(HERE / "format_mutants.py"), kind, str(first), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout)
    assert sum(seen.values()) == count
    return seen


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("kind", "count"), [("nir", 600), ("onnx", 600), ("exported", 150)])
def test_mutants_end_in_a_coded_error_or_a_graph(kind, count):
    seen = mutants_of(kind, 0, count, timeout=580)
    assert seen["graph"] > 20, "mutants that damage everything tell little"
    assert len(seen) > 3 if kind == "nir" else len(seen) > 2


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["nir", "onnx", "exported"])
def test_many_more_mutants(kind):
    mutants_of(kind, 600, 40_000, timeout=3500)


def test_the_limit_on_memory_is_one(tmp_path):
    """What the mutants' process checks with: allocating more than it may must fail."""
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); import format_mutants, numpy; format_mutants.limited(); "
    command = [sys.executable, "-c", code + "numpy.ones(2**28)"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "MemoryError" in done.stderr
    assert callable(limited)


def test_a_heap_without_end_is_refused_before_libhdf5_hangs_in_it(tmp_path):
    path = tmp_path / "a.nir"
    nir.write(original(), path)
    data = bytearray(path.read_bytes())
    at = data.find(b"GCOL")
    data[at + 16 : at + 32] = bytes(16)  # a free object of size 0
    path.write_bytes(data)
    with pytest.raises(SpikeportError, match="heap") as caught:
        nir.read(path)
    assert caught.value.code == "SP202"


@pytest.mark.parametrize("link", [h5py.ExternalLink("/etc/hostname", "/"), h5py.SoftLink("/node")])
def test_nothing_outside_the_file_is_opened(link, tmp_path):
    path = tmp_path / "a.nir"
    nir.write(original(), path)
    with h5py.File(path, "r+") as file:
        del file["node/nodes/fc/weight"]
        file["node/nodes/fc/weight"] = link
    with pytest.raises(SpikeportError, match="link") as caught:
        nir.read(path)
    assert caught.value.code == "SP202"


def test_data_in_another_file_are_not_read(tmp_path):
    path = tmp_path / "a.nir"
    nir.write(original(), path)
    with h5py.File(path, "r+") as file:
        del file["node/nodes/fc/weight"]
        (tmp_path / "secret").write_bytes(np.zeros(180, np.float32).tobytes())
        file["node/nodes/fc"].create_dataset("weight", (5, 36), "f4", external=[(str(tmp_path / "secret"), 0, 720)])
    with pytest.raises(SpikeportError, match="another file"):
        nir.read(path)


def test_free_blocks_without_end_are_refused_before_libhdf5_hangs_in_them(tmp_path):
    """The names of a group are in a local heap; here its first free block says that the next one is itself."""
    path = tmp_path / "a.nir"
    nir.write(original(), path)
    data = bytearray(path.read_bytes())
    at = data.find(b"HEAP\0\0\0\0")
    size, _, place = struct.unpack_from("<QQQ", data, at + 8)
    free = size - 16
    struct.pack_into("<Q", data, at + 16, free)
    struct.pack_into("<QQ", data, place + free, free, 16)
    path.write_bytes(data)
    with pytest.raises(SpikeportError, match="free blocks of a heap have no end") as caught:
        nir.read(path)
    assert caught.value.code == "SP202"


def test_a_node_called_like_a_heap_is_a_node(tmp_path):
    """Its name stands in the file as a heap's header would begin."""
    graph = original()
    name = next(name for name in graph.nodes if name != graph.input)
    named = {other if other != name else "HEAP": node for other, node in graph.nodes.items()}
    edges = tuple(tuple("HEAP" if end == name else end for end in edge) for edge in graph.edges)
    path = tmp_path / "a.nir"
    nir.write(replace(graph, nodes=named, edges=edges), path)
    assert b"HEAP\0\0\0\0" in path.read_bytes()
    assert "HEAP" in nir.read(path)[0].nodes
