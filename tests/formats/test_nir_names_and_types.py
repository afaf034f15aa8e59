"""NIR files whose names hold slashes and dots, and whose numbers are of other types than this machine's."""

from __future__ import annotations

import h5py
import nir as peer
import numpy as np
import pytest

from nir_by_hand import ends, graph, lif, normal
from spikeport.findings import SpikeportError
from spikeport.formats import nir


def written(path, names=("fc", "lif"), kind="f8"):
    start, end = ends([5], [3])
    fc, neuron = names
    nodes = {fc: peer.Linear(normal(3, 5).astype("f2").astype(kind)), neuron: lif(3)}
    peer.write(path, graph(input=start, **nodes, output=end))
    return path


@pytest.mark.parametrize("names", [("block/fc", "block/lif"), ("a.b", "a.b.c"), ("x/y/z", "x.y/z")])
def test_names_with_slashes_and_dots_are_read(names, tmp_path):
    """nir writes such a file and cannot read a name with a slash back: HDF5 takes it for a folder."""
    plain, _ = nir.read(written(tmp_path / "plain.nir"))
    ours, _ = nir.read(written(tmp_path / "a.nir", names))
    for own, name in zip(names, ("fc", "lif"), strict=True):
        assert ours[own] == plain[name]


@pytest.mark.parametrize("kind", [">f8", ">f4", "f2", ">f2"])
def test_weights_in_another_byte_order_or_half_as_wide_are_the_same_numbers(kind, tmp_path):
    """The weights are halves, so that every type holds them."""
    ours, _ = nir.read(written(tmp_path / "a.nir", kind=kind))
    weight = ours["fc"].weight
    assert weight.dtype == (np.float64 if "8" in kind else np.float32)
    np.testing.assert_array_equal(weight, normal(3, 5).astype("f2"))


def test_a_name_with_a_dot_that_a_subgraph_has_too_is_refused(tmp_path):
    start, end = ends([3])
    inner = graph(input=start, lif=lif(3), output=end)
    peer.write(tmp_path / "a.nir", graph(input=start, sub=inner, other=lif(3), output=end))
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        file.move("node/nodes/other", "node/nodes/sub.lif")
        del file["node/edges"]
        file["node/edges"] = [("input", "sub"), ("sub", "sub.lif"), ("sub.lif", "output")]
    with pytest.raises(SpikeportError, match="twice") as caught:
        nir.read(tmp_path / "a.nir")
    assert caught.value.code == "SP211"
