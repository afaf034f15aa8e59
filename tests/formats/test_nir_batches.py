"""Files of exporters that saw a batch: its axis stands before every shape, and means nothing."""

from __future__ import annotations

import h5py
import nir as peer
import numpy as np
import pytest

from nir_by_hand import graph, normal
from spikeport.findings import SpikeportError
from spikeport.formats import nir


def neurons(kind, batch, *shape):
    """Neurons of ``shape`` that differ, the same in every sample of the batch."""
    spread = np.broadcast_to(np.linspace(0.5, 1.0, int(np.prod(shape))).reshape(shape), (*batch, *shape))
    fields = {"v_threshold": spread, "r": spread, "tau": spread * 1e-2, "v_leak": spread * 0, "v_reset": spread * 0}
    fields |= {"tau_syn": spread * 1e-2, "tau_mem": spread * 1e-2, "w_in": spread, "threshold": spread}
    names = {"IF": "r v_threshold v_reset", "LIF": "tau r v_leak v_threshold v_reset", "Threshold": "threshold"}
    names |= {"CubaLIF": "tau_syn tau_mem r v_leak v_threshold v_reset w_in"}
    return getattr(peer, kind)(**{name: np.array(fields[name]) for name in names[kind].split()})


def network(kind, batch):
    """Input, convolution, neurons, flatten, matrix, neurons; every shape behind ``batch``."""
    conv = peer.Conv2d(None, normal(2, 1, 3, 3), 1, 0, 1, 1, np.zeros(2))
    nodes = {
        "input": peer.Input(np.array([*batch, 1, 4, 5])),
        "conv": conv,
        "maps": neurons(kind, batch, 2, 2, 3),
        "flat": peer.Flatten({"input": np.array([*batch, 2, 2, 3])}, len(batch), -1),
        "fc": peer.Linear(normal(3, 12)),
        "last": neurons(kind, batch, 3),
        "output": peer.Output(np.array([*batch, 3])),
    }
    result = graph(**nodes)
    conv.input_shape = (4, 5)
    return result


@pytest.mark.parametrize("kind", ["IF", "LIF", "CubaLIF", "Threshold"])
@pytest.mark.parametrize("batch", [(1,), (4,), (1, 1)])
def test_a_batch_before_every_shape_changes_nothing(kind, batch, tmp_path):
    peer.write(tmp_path / "batch.nir", network(kind, batch))
    peer.write(tmp_path / "sample.nir", network(kind, ()))
    ours, findings = nir.read(tmp_path / "batch.nir")
    assert ours == nir.read(tmp_path / "sample.nir")[0]
    assert "SP217" in {finding.code for finding in findings}


def test_neurons_before_the_first_matrix_may_have_the_batch_too(tmp_path):
    start, end = peer.Input(np.array([1, 5])), peer.Output(np.array([1, 3]))
    first, fc = neurons("LIF", (1,), 5), peer.Linear(normal(3, 5))
    peer.write(tmp_path / "a.nir", graph(input=start, first=first, fc=fc, output=end))
    assert nir.read(tmp_path / "a.nir")[0]["first"].shape == (5,)


@pytest.mark.parametrize(("start", "end"), [(-3, -1), (0, 2), (1, -1)])
def test_flatten_counts_axes_from_either_end(start, end, tmp_path):
    flat = peer.Flatten({"input": np.array([2, 3, 4])}, start, end)
    nodes = {"input": peer.Input(np.array([2, 3, 4])), "flat": flat, "fc": peer.Linear(normal(3, 24))}
    peer.write(tmp_path / "a.nir", graph(**nodes, output=peer.Output(np.array([3]))))
    assert nir.read(tmp_path / "a.nir")[0].shapes["flat"] == (24,)


def test_parameters_of_one_value_a_channel_or_a_row_are_spread(tmp_path):
    """numpy's broadcasting, axis by axis: [C, 1, 1], [1, H, 1], one value in three axes."""
    spread = {"tau": (2, 1, 1), "r": (1, 3, 1), "v_leak": (1, 1, 1), "v_threshold": (2, 3, 4), "v_reset": (1,)}
    fields = {name: np.random.default_rng(len(name)).uniform(0.1, 0.9, shape) for name, shape in spread.items()}
    full = {name: np.broadcast_to(value, (2, 3, 4)).copy() for name, value in fields.items()}
    start, end = peer.Input(np.array([2, 3, 4])), peer.Output(np.array([2, 3, 4]))
    peer.write(tmp_path / "full.nir", graph(input=start, node=peer.LIF(**full), output=end))
    peer.write(tmp_path / "few.nir", graph(input=start, node=peer.LIF(**full), output=end))
    with h5py.File(tmp_path / "few.nir", "r+") as file:
        for name, value in fields.items():
            del file[f"node/nodes/node/{name}"]
            file[f"node/nodes/node/{name}"] = value
    assert nir.read(tmp_path / "few.nir")[0] == nir.read(tmp_path / "full.nir")[0]


def test_neurons_that_differ_from_sample_to_sample_of_the_batch_are_refused(tmp_path):
    peer.write(tmp_path / "a.nir", network("IF", (4,)))
    with h5py.File(tmp_path / "a.nir", "r+") as file:
        file["node/nodes/last/v_threshold"][2] = 7
    with pytest.raises(SpikeportError, match="parameter of shape") as caught:
        nir.read(tmp_path / "a.nir")
    assert caught.value.code == "SP202"
