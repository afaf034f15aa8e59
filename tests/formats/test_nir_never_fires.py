"""A file that is silent as it was read: refused where that is certain, said where a run shows it."""

from __future__ import annotations

import nir as peer
import numpy as np
import pytest

from nir_by_hand import cuba, ends, graph, lif
from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.verbs.simulate import simulate

DT = 1e-3


def written(path, **nodes):
    start, end = ends([5])
    peer.write(path, graph(input=start, **nodes, output=end))
    return path


@pytest.mark.parametrize(
    "node",
    [
        lif(5, r=np.zeros(5), v_leak=np.full(5, 0.1)),
        lif(5, tau=np.full(5, np.inf)),
        cuba(5, w_in=np.zeros(5), v_leak=np.zeros(5)),
    ],
    ids=["no resistance", "endless tau", "no synapse"],
)
def test_neurons_that_nothing_reaches_are_refused(node, tmp_path):
    with pytest.raises(SpikeportError, match="'node' can ever fire") as caught:
        nir.read(written(tmp_path / "a.nir", node=node), DT)
    assert caught.value.code == "SP222"


@pytest.mark.parametrize(("leak", "fires"), [(0.19, False), (0.21, True)])
def test_a_leak_potential_alone_fires_beyond_the_threshold(leak, fires, tmp_path):
    """v rests at v_leak in the end, however slow."""
    path = written(tmp_path / "a.nir", node=lif(5, r=np.zeros(5), v_leak=np.full(5, leak), v_threshold=np.full(5, 0.2)))
    if fires:
        assert nir.read(path, DT)[0].nodes
    else:
        with pytest.raises(SpikeportError, match="can ever fire"):
            nir.read(path, DT)


@pytest.mark.parametrize(("weight", "silent"), [(0.049, True), (0.051, False)])
def test_a_layer_that_spikes_cannot_lift_is_named(weight, silent, tmp_path):
    """v goes towards r w (s1 + ... + s5) at most, 5 w for r = 1; the threshold is 0.25."""
    second = lif(5, r=np.ones(5), v_leak=np.zeros(5), v_threshold=np.full(5, 0.25))
    path = written(tmp_path / "a.nir", one=lif(5), fc=peer.Linear(np.full((5, 5), weight)), two=second)
    said = [finding for finding in nir.read(path, DT)[1] if finding.code == "SP222"]
    assert bool(said) == silent
    assert all("'two'" in finding.what and finding.severity == "note" for finding in said)


def test_a_run_without_a_spike_says_so(tmp_path):
    path = written(tmp_path / "a.nir", node=lif(5, v_leak=np.zeros(5)))
    for drive, silent in ((0.0, True), (100.0, False)):
        record = simulate(path, np.full((4, 2, 5), drive), dt=DT, frames=True)
        assert ("SP223" in {finding.code for finding in record.findings}) == silent
