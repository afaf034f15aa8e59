"""Resets that a NIR file does not tell apart, and decays of 0 and 1: against snnTorch's cells and the equations."""

from __future__ import annotations

import nir as peer
import numpy as np
import pytest
import torch
from torch import nn

from nir_by_hand import cuba, ends, graph, lif, normal
from peer_runs import check, frames, stepped
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.graph import LIF
from spikeport.target import Request

T, DT = 12, 1e-3


def read(path, x, **options):
    """The graph, the spikes of its last layer and what was said."""
    ours, findings = nir.read(path, timesteps=len(x), **options)
    trains = simulate(ours, x, Request(trains=True)).trains
    return ours, trains[list(ours.nodes_of(LIF))[-1]].unpack(), findings


def exported(path, kind, size=30, **options):
    """A network with one layer of snnTorch's cells, written by snnTorch."""
    snn = pytest.importorskip("snntorch")
    from snntorch.export_nir import export_to_nir

    torch.manual_seed(3)
    values = {"beta": torch.linspace(0.6, 0.95, size), "threshold": torch.full((size,), 0.5), "init_hidden": True}
    cell = getattr(snn, kind)(**values | options)
    network = nn.Sequential(nn.Linear(10, size), cell)
    peer.write(path, export_to_nir(network, torch.randn(10)))
    return network


MORE = {
    "Leaky": {},
    "Synaptic": {"alpha": torch.full((30,), 0.7)},
    "RLeaky": {"linear_features": 30, "all_to_all": True},
}


@pytest.mark.filterwarnings("ignore")  # theirs
@pytest.mark.parametrize(
    ("kind", "mechanism"), [*((kind, word) for kind in MORE for word in ("subtract", "none")), ("Leaky", "zero")]
)
def test_each_reset_of_snntorch_runs_here(kind, mechanism, tmp_path):
    """reset_delay=True, as it is unless told. "zero" of the others drops the input of the step after: no node does."""
    option = "subtract-late" if mechanism == "subtract" else mechanism
    network = exported(tmp_path / "a.nir", kind, reset_mechanism=mechanism, **MORE[kind])
    x = frames(10)
    check(stepped(network, x), read(tmp_path / "a.nir", x, written_by="snntorch", reset=option)[1])


@pytest.mark.filterwarnings("ignore")
def test_decays_of_0_and_1_are_what_snntorch_wrote(tmp_path):
    """tau = dt and tau = inf, in float32: 1 - dt/tau is 0 and 1 to the bit, and x enters with gain 1."""
    beta = torch.tensor([0.0, 0.5, 1.0])
    network = exported(tmp_path / "a.nir", "Leaky", 3, beta=beta, threshold=torch.ones(3))
    x = frames(10)
    ours, spikes, _ = read(tmp_path / "a.nir", x, written_by="snntorch")
    (neuron,) = ours.nodes_of(LIF).values()
    np.testing.assert_array_equal(neuron.decay, beta.numpy())
    np.testing.assert_array_equal(neuron.gain, 1.0)
    check(stepped(network, x), spikes)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f4", ">f2"])
@pytest.mark.parametrize("field", ["LIF", "CubaLIF"])
def test_a_time_constant_of_one_step_forgets_all_in_any_type(kind, field, tmp_path):
    """dt = 1e-4 is no number of either type: tau lies beside it, and Euler's decay would be some -1e-8."""
    start, end = ends([2])
    value = {"tau": [1e-4, np.inf], "r": [1.0, np.inf], "v_leak": [0, 0], "v_threshold": [1, 1], "v_reset": [0, 0]}
    if field == "CubaLIF":
        value |= {"tau_syn": value["tau"], "tau_mem": value.pop("tau"), "w_in": value["r"]}
    node = getattr(peer, field)(**{name: np.array(numbers, kind) for name, numbers in value.items()})
    peer.write(tmp_path / "a.nir", graph(input=start, node=node, output=end))
    ours, _ = nir.read(tmp_path / "a.nir")
    np.testing.assert_array_equal(ours["node"].decay, [0, 1])
    np.testing.assert_array_equal(ours["node"].gain, 1)
    np.testing.assert_array_equal(getattr(ours["node"], "current_decay", [0, 1]), [0, 1])


@pytest.mark.parametrize("kind", ["LIF", "CubaLIF"])
def test_a_late_subtraction_takes_the_whole_threshold_a_step_later(kind, tmp_path):
    """u[t] = (1 - dt/tau) u[t-1] + (dt/tau)(v_leak + r x[t]) - v_threshold s[t-1], whatever gain x has."""
    start, end = ends([5])
    node = lif(5) if kind == "LIF" else cuba(5)
    peer.write(tmp_path / "a.nir", graph(input=start, node=node, output=end))
    x = normal(T, 4, 5) * 3
    _, spikes, findings = read(tmp_path / "a.nir", x, dt=DT, reset="subtract-late")
    assert any("one step later" in finding.what for finding in findings)
    i, u, s = (np.zeros((4, 5)) for _ in range(3))
    for t, drive in enumerate(x):
        if kind == "CubaLIF":
            drive = i = (1 - DT / node.tau_syn) * i + DT / node.tau_syn * node.w_in * drive
        share = DT / (node.tau if kind == "LIF" else node.tau_mem)
        u = (1 - share) * u + share * (node.v_leak + node.r * drive) - node.v_threshold * s
        s = (u > node.v_threshold).astype(float)
        np.testing.assert_array_equal(spikes[t], s.astype(bool))
    assert 0 < spikes.mean() < 1


def written(path, **fields):
    start, end = ends([5])
    peer.write(path, graph(input=start, node=lif(5, **fields), output=end))
    return path


def test_snntorchs_reset_is_asked_for_where_nothing_says_it(tmp_path):
    path = written(tmp_path / "a.nir")
    asked = [f for f in nir.read(path, written_by="snntorch")[1] if f.code == "SP221"]
    assert [finding.severity for finding in asked] == ["substituted"]
    assert all(f"reset={word}" in asked[0].mend for word in ("subtract-late", "zero", "none", "subtract"))
    for reset in ("subtract-late", "zero", "none"):
        assert "SP221" not in {finding.code for finding in nir.read(path, written_by="snntorch", reset=reset)[1]}
    early = nir.read(path, written_by="snntorch", reset="subtract")
    assert early[0]["node"].reset == "subtract"
    assert any(finding.code == "SP218" and "reset_delay=False" in finding.what for finding in early[1])


def test_zero_of_snntorchs_cells_with_a_current_is_followed_in_part(tmp_path):
    """Synaptic's zero takes the input of the step after, too (_neurons/synaptic.py, _base_zero)."""
    start, end = ends([5])
    for name, node, said in (("lif", lif(5), False), ("cuba", cuba(5), True)):
        peer.write(tmp_path / f"{name}.nir", graph(input=start, node=node, output=end))
        findings = nir.read(tmp_path / f"{name}.nir", DT, written_by="snntorch", reset="zero")[1]
        assert ("SP218" in {finding.code for finding in findings}) == said


def test_a_late_subtraction_from_a_negative_threshold_is_refused(tmp_path):
    with pytest.raises(SpikeportError, match="at rest resets") as caught:
        nir.read(written(tmp_path / "a.nir", v_threshold=np.full(5, -0.5)), reset="subtract-late")
    assert caught.value.code == "SP210"


@pytest.mark.parametrize(("unit", "dt"), [(1.0, 1e-4), (1e-3, 1e-6)])
def test_norses_step_is_told_by_the_size_of_tau(unit, dt, tmp_path):
    """Norse 1.1.0 writes tau times its step of 1e-3 s (#411); other files of Norse's hold tau itself."""
    ours, findings = nir.read(written(tmp_path / "a.nir", tau=np.full(5, 5e-3 * unit)), written_by="norse")
    assert ours["node"].decay == pytest.approx(1 - dt / (5e-3 * unit))
    assert any(f"dt = {dt:g} s" in finding.what and "size of tau" in finding.what for finding in findings)
    assert nir.read(tmp_path / "a.nir", 2e-6, written_by="norse")[0].provenance["dt"] == 2e-6


def test_norses_time_constants_of_both_sizes_need_the_step(tmp_path):
    path = written(tmp_path / "a.nir", tau=np.geomspace(1e-5, 1e-2, 5))
    with pytest.raises(SpikeportError, match="--dt") as caught:
        nir.read(path, written_by="norse")
    assert caught.value.code == "SP220"
    assert nir.read(path, 1e-6, written_by="norse")[0].nodes_of(LIF)
