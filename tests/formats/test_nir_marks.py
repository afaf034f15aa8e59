"""Files whose writer nobody named: what their numbers tell of it, in a note or in the mend of a refusal."""

from __future__ import annotations

import re
from itertools import pairwise

import nir as peer
import numpy as np
import pytest
import torch
from torch import nn

from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.graph import LIF

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, on import and on use


def norse(cell):
    tool = pytest.importorskip("norse.torch")
    shared = {"tau_mem_inv": torch.full((5,), 100.0), "v_th": torch.full((5,), 0.3), "v_leak": torch.zeros(5)}
    if cell == "current":
        neurons = tool.LIFCell(tool.LIFParameters(tau_syn_inv=torch.full((5,), 200.0), **shared))
    else:
        neurons = tool.LIFBoxCell(tool.LIFBoxParameters(**shared))
    return tool.to_nir(tool.SequentialState(nn.Linear(8, 5), neurons), torch.zeros(8))


def snntorch():
    tool = pytest.importorskip("snntorch")
    from snntorch.export_nir import export_to_nir

    cell = tool.Leaky(beta=torch.linspace(0.6, 0.9, 5), threshold=torch.ones(5), init_hidden=True)
    return export_to_nir(nn.Sequential(nn.Linear(8, 5), cell), torch.rand(8))


def spikingjelly(dt):
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based import layer, neuron, nir_exchange

    parts = (layer.Linear(8, 5), neuron.LIFNode(tau=2.0, v_reset=0.0), layer.Linear(5, 3), neuron.IFNode())
    return nir_exchange.export_to_nir(nn.Sequential(*parts), torch.rand(1, 8), dt=dt)


def sinabs():
    layers = pytest.importorskip("sinabs.layers")
    from sinabs.nir import to_nir

    cell = layers.LIF(torch.full((5,), 9.0), norm_input=False, spike_threshold=torch.ones(5))
    return to_nir(nn.Sequential(nn.Linear(8, 5), cell), torch.rand(1, 5, 8))


def by_hand(*neurons):
    size = len(neurons[0].v_threshold)
    nodes = {"input": peer.Input(np.array([8])), "w": peer.Linear(np.ones((size, 8), np.float32))}
    nodes |= {f"n{number}": neuron for number, neuron in enumerate(neurons)} | {"output": peer.Output(np.array([size]))}
    return peer.NIRGraph(nodes=nodes, edges=list(pairwise(nodes)), type_check=False)


def rockpool():
    """r = tau exp(-dt / tau) / dt with dt = 1e-3, as LIFTorch's export."""
    tau, ones = np.array([5e-3, 9e-3, 30e-3], np.float32), np.ones(3, np.float32)
    return by_hand(peer.CubaLIF(tau / 2, tau, tau * np.exp(-1e-3 / tau) / 1e-3, 0 * ones, ones))


def lif(tau, r, **more):
    ones = np.ones(3)
    return peer.LIF(tau * ones, r * ones, 0 * ones, ones, **more)


#: which file, what is to be said of it and whether it is refused without
WRITTEN = {
    "norse": (lambda: norse("none"), "--nir written_by=norse", True),
    "norse, with a current": (lambda: norse("current"), "--nir written_by=norse", True),
    "snntorch": (snntorch, "--nir written_by=snntorch", False),
    "sinabs": (sinabs, "--nir written_by=sinabs", False),
    "rockpool": (rockpool, "--nir written_by=rockpool", False),
    "spikingjelly": (lambda: spikingjelly(1e-4), "--nir written_by=spikingjelly", False),
    "spikingjelly, slower": (lambda: spikingjelly(1e-3), "--nir written_by=spikingjelly --dt 0.001", False),
    "spikingjelly, faster": (lambda: spikingjelly(1e-5), "--nir written_by=spikingjelly --dt 1e-05", True),
}


WRITTEN_SO = "--nir written_by=spikingjelly --dt {:.6g} reads it so"


@pytest.mark.parametrize("name", WRITTEN)
def test_a_tools_mark_is_told_with_the_options_that_read_the_file_so(name, tmp_path):
    """And with them nothing more is said of it."""
    make, option, refused = WRITTEN[name]
    peer.write(tmp_path / "a.nir", make())
    if refused:
        with pytest.raises(SpikeportError) as caught:
            nir.read(tmp_path / "a.nir")
        said = [finding.mend for finding in caught.value.findings]
        assert {finding.code for finding in caught.value.findings} == {"SP213"}
    else:
        said = [finding.mend for finding in nir.read(tmp_path / "a.nir")[1] if "written_by" in finding.mend]
        assert len(said) == 1
    assert set(said) == {f"{option} reads it so"}
    tool, dt = re.fullmatch(r"--nir written_by=([a-z]+)(?: --dt (.+))?", option).groups()
    graph, findings = nir.read(tmp_path / "a.nir", None if dt is None else float(dt), written_by=tool)
    assert not [finding for finding in findings if "reads it so" in finding.mend]
    assert all(node.decay.min() > 0 for node in graph.nodes.values() if hasattr(node, "decay"))


@pytest.mark.parametrize(("dt", "given"), [(1e-3, None), (1e-5, None), (1e-3, 5e-4)])
def test_a_step_of_its_own_is_told_to_who_names_the_tool_alone(dt, given, tmp_path):
    """With another step membranes would decay, and integrate, by another share: 1/20 for 1/2, of tau = 2 steps."""
    peer.write(tmp_path / "a.nir", spikingjelly(dt))
    try:
        said = nir.read(tmp_path / "a.nir", given, written_by="spikingjelly")[1]
    except SpikeportError as error:
        said = error.findings
    assert {each.mend for each in said if "reads it so" in each.mend} == {WRITTEN_SO.format(dt)}
    decay = next(iter(nir.read(tmp_path / "a.nir", dt, written_by="spikingjelly")[0].nodes_of(LIF).values())).decay
    np.testing.assert_allclose(decay, 0.5, rtol=1e-6)


def test_currents_of_snntorch_may_be_lava_dls(tmp_path):
    """Both write r = tau_mem / dt and w_in = tau_syn / dt with a dt of 1e-4."""
    tau, ones = np.array([3e-4, 9e-4, 3e-3]), np.ones(3)
    peer.write(tmp_path / "a.nir", by_hand(peer.CubaLIF(tau, tau, tau / 1e-4, 0 * ones, ones, w_in=tau / 1e-4)))
    (note,) = (each for each in nir.read(tmp_path / "a.nir")[1] if "reads it so" in each.mend)
    assert "snnTorch" in note.what
    assert "written_by=lava-dl" in note.what


@pytest.mark.parametrize(
    "network",
    [
        by_hand(lif(20e-3, 1.0)),  # seconds, and a resistance of one: NIR's own reading
        by_hand(lif(20e-3, 1.0), lif(2e-6, 1.0)),  # of two sizes
        by_hand(lif(2e-4, 1.0)),  # nothing forbids a step of 0.1 ms
        by_hand(lif(20e-3, 7.0)),
        by_hand(lif(np.array([5e-3, 9e-3, 2e-2]), 3.0)),
        by_hand(peer.IF(np.ones(3), np.ones(3))),
    ],
)
def test_nothing_is_told_of_a_file_without_a_mark(network, tmp_path):
    peer.write(tmp_path / "a.nir", network)
    try:
        findings = nir.read(tmp_path / "a.nir")[1]
    except SpikeportError as error:
        findings = error.findings
    assert not [finding for finding in findings if "reads it so" in finding.mend]


def test_who_says_how_a_file_is_to_be_read_is_told_nothing_of_its_writer(tmp_path):
    peer.write(tmp_path / "a.nir", by_hand(lif(1e-5, 1.0)))
    for options in ({"rule": "exponential"}, {"written_by": "norse"}, {"written_by": "sinabs"}):
        _, findings = nir.read(tmp_path / "a.nir", **options)
        assert not [finding for finding in findings if "reads it so" in finding.mend]
    with pytest.raises(SpikeportError) as caught:
        nir.read(tmp_path / "a.nir", 1e-3)  # a step says nothing of the writer
    assert "written_by=norse" in caught.value.findings[0].mend
