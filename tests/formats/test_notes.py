"""What is said of a file that is read or written although something in it needs a word."""

from __future__ import annotations

import h5py
import nir as peer
import numpy as np
import pytest

from nir_by_hand import ends, graph, lif, normal
from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.graph import LIF, Conv, Flatten, Graph, Input, Linear
from spikeport.target import Request, target

T = 4


def notes(network, path, mend=None, **options):
    """The findings of reading a network of nir's; ``mend`` works on the file before."""
    peer.write(path, network)
    if mend is not None:
        with h5py.File(path, "a") as file:
            mend(file["node/nodes"])
    ours, findings = nir.read(path, 1e-3, timesteps=T, **options)
    return ours, {finding.code: finding for finding in findings}


def row(node, shape, shape_out=None):
    start, end = ends(shape, shape_out)
    return graph(input=start, node=node, output=end)


def test_fields_that_nir_does_not_know_are_left_out_by_name(tmp_path):
    def more(nodes):
        nodes["node"].create_dataset("flavour", data=3.0)

    plain, _ = notes(row(lif(5), [5]), tmp_path / "a.nir")
    ours, notes_by_code = notes(row(lif(5), [5]), tmp_path / "b.nir", more)
    assert "flavour" in notes_by_code["SP212"].what
    assert notes_by_code["SP212"].severity == "note"
    assert ours == plain


def test_what_a_reader_chose_is_said_with_the_way_to_choose_otherwise(tmp_path):
    _, notes_by_code = notes(row(lif(5), [5]), tmp_path / "a.nir")
    assert notes_by_code["SP216"].severity == "note"
    assert "--nir" in notes_by_code["SP216"].mend


def test_a_flatten_that_counts_a_batch_axis_flattens_everything(tmp_path):
    ours, notes_by_code = notes(
        row(peer.Flatten({"input": np.array([2, 3, 4])}, 1, -1), [2, 3, 4], [24]), tmp_path / "a.nir"
    )
    assert "start_dim 1" in notes_by_code["SP215"].what
    assert ours.shapes[ours.output] == (24,)
    _, notes_by_code = notes(
        row(peer.Flatten({"input": np.array([2, 3, 4])}, 0, -1), [2, 3, 4], [24]), tmp_path / "b.nir"
    )
    assert "SP215" not in notes_by_code


def test_axes_of_batch_and_time_in_front_of_a_sample_are_left_out(tmp_path):
    start = peer.Input(np.array([1, 5]))
    network = graph(input=start, node=peer.Affine(normal(3, 5), normal(3)), output=peer.Output(np.array([3])))
    ours, notes_by_code = notes(network, tmp_path / "a.nir")
    assert notes_by_code["SP217"].what == "the input has the shape (1, 5); a sample is taken as (5,)"
    assert ours.shapes[ours.input] == (5,)


@pytest.mark.parametrize(("kernel", "said"), [((3, 3), False), ((2, 3), True)])
def test_kernels_that_nirs_own_type_check_refuses_are_written_with_a_note(kernel, said, tmp_path):
    nodes = {
        "input": Input((1, 6, 6)),
        "conv": Conv(np.ones((1, 1, *kernel), np.float32)),
        "flat": Flatten(),
        "lif": LIF(((7 - kernel[0]) * (7 - kernel[1]),), np.float32(0.5), np.ones(T, np.float32)),
    }
    findings = nir.write(Graph.chain(nodes, T), tmp_path / "a.nir")
    assert [each.where for each in findings if each.code == "SP208"] == ["node 'conv'"] * said
    if said:
        peer.read(tmp_path / "a.nir", type_check=False)


@pytest.mark.parametrize("asked", [{"membranes": True}, {"events": True}])
def test_onnxruntime_shows_spikes_only(asked):
    fc = Linear(np.eye(2, dtype=np.float32))
    lif = LIF((2,), np.float32(0.5), np.ones(T, np.float32))
    model = Graph.chain({"input": Input((2,)), "fc": fc, "lif": lif}, T)
    with pytest.raises(SpikeportError) as caught:
        target("onnxruntime").run(model, np.ones((1, 2), np.float32), Request(**asked))
    assert caught.value.code == "SP262"
    assert next(iter(asked)) in str(caught.value)
