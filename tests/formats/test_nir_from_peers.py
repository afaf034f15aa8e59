"""Other tools export, we run; spikes must be equal.

snntorch 1.0.0, norse 1.1.0, sinabs 2.0.3, spikingjelly 2.0.0, nirtorch 2.6 (the optional dependencies `peers`). Where a
tool cannot take part because of a defect of its own, the test states the defect.
"""

from __future__ import annotations

import nir as nir_
import numpy as np
import pytest
import torch
from torch import nn

from peer_runs import check, f4, frames, handed_on, stepped
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.graph import LIF
from spikeport.target import Request

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, on import and on use


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


def ours(path, x, **options):
    """Spikes of the last layer on the engine."""
    graph, _ = nir.read(path, timesteps=len(x), **options)
    record = simulate(graph, x, Request(trains=True))
    last = list(graph.nodes_of(LIF))[-1]
    return record.trains[last].unpack()


def snntorch_neuron(kind, size, **changes):
    """One threshold a neuron: with scalars snntorch's own export ends in nir's "type mismatch: ... -> []"."""
    snn = pytest.importorskip("snntorch")
    values = {
        "threshold": torch.full((size,), 0.5),
        "reset_mechanism": "zero",
        "reset_delay": False,
        "init_hidden": True,
        "beta": torch.linspace(0.6, 0.95, size),
    } | changes
    return getattr(snn, kind)(**values)


@pytest.mark.parametrize("kind", ["Leaky", "Synaptic", "RLeaky"])
def test_snntorchs_networks_run_here(kind, tmp_path):
    """RSynaptic is missing: its export ends in rsynaptic.py's "unsupported operand type(s) for /: 'NoneType'"."""
    pytest.importorskip("snntorch")
    from snntorch.export_nir import export_to_nir

    more = {"alpha": torch.full((30,), 0.7)} if "Synaptic" in kind else {}
    if kind.startswith("R"):
        more |= {"linear_features": 30, "all_to_all": True}
    network = nn.Sequential(
        nn.Linear(10, 30), snntorch_neuron(kind, 30, **more), nn.Linear(30, 8), snntorch_neuron("Leaky", 8, output=True)
    )
    nir_.write(tmp_path / "a.nir", export_to_nir(network, torch.randn(10)))
    x = frames(10)
    own = ours(tmp_path / "a.nir", x, written_by="snntorch", reset="zero")
    check(stepped(lambda frame: network(frame)[0], x), own)


def test_norses_cells_with_a_current_jump_by_their_input_and_start_at_their_leak(tmp_path):
    """The file has the equation's currents, tau_syn I' = -I + x, and starts nowhere; Norse adds x whole."""
    norse = pytest.importorskip("norse.torch")

    def cell(size, leak):
        full = {"tau_syn_inv": 500.0, "tau_mem_inv": 200.0, "v_th": 0.2, "v_leak": leak}
        return norse.LIFCell(norse.LIFParameters(**{key: torch.full((size,), value) for key, value in full.items()}))

    network = norse.SequentialState(nn.Linear(10, 30), cell(30, 0.05), nn.Linear(30, 8), cell(8, -0.1))
    x = frames(10)
    nir_.write(tmp_path / "a.nir", norse.to_nir(network, torch.tensor(x[0])))
    check(stepped(handed_on(network), x), ours(tmp_path / "a.nir", x, written_by="norse"))


def test_norses_networks_run_here(tmp_path):
    norse = pytest.importorskip("norse.torch")

    def cell(size, threshold):
        full = torch.full((size,), 200.0), torch.full((size,), threshold), torch.zeros(size)
        names = ("tau_mem_inv", "v_th", "v_leak")
        return norse.LIFBoxCell(norse.LIFBoxParameters(**dict(zip(names, full, strict=True))))

    network = norse.SequentialState(nn.Linear(10, 30), cell(30, 0.2), nn.Linear(30, 8), cell(8, 0.05))
    x = frames(10)
    nir_.write(tmp_path / "a.nir", norse.to_nir(network, torch.tensor(x[0])))
    check(stepped(handed_on(network), x), ours(tmp_path / "a.nir", x, written_by="norse"))


@pytest.mark.parametrize("kind", ["IAF", "LIF"])
def test_sinabs_networks_run_here(kind, tmp_path):
    """Sinabs emits several spikes in a step where v reaches twice the threshold, as here."""
    layers = pytest.importorskip("sinabs.layers")
    from sinabs.nir import to_nir

    def neurons():
        values = {"spike_threshold": torch.full((8,), 1.0)}
        return layers.IAF(**values) if kind == "IAF" else layers.LIF(torch.full((8,), 9.0), norm_input=False, **values)

    network = nn.Sequential(nn.Linear(10, 8), neurons(), nn.Linear(8, 8), neurons())
    x = frames(10, scale=5.0)
    with torch.no_grad():
        theirs = network(torch.tensor(x).transpose(0, 1)).transpose(0, 1).numpy()
    assert theirs.max() > 1
    nir_.write(tmp_path / "a.nir", to_nir(network, torch.tensor(x[:, :1]).transpose(0, 1)))
    np.testing.assert_array_equal(ours(tmp_path / "a.nir", x, written_by="sinabs"), theirs)


def test_a_lower_bound_that_sinabs_does_not_write_is_said_and_can_be_told(tmp_path):
    """`from_model` gives its neurons min_v_mem = -1 and thresholds of 1; nir.py writes the thresholds alone."""
    layers = pytest.importorskip("sinabs.layers")
    from sinabs.nir import to_nir

    def neurons():
        return layers.IAF(spike_threshold=torch.full((8,), 1.0), min_v_mem=torch.tensor(-1.0))

    network = nn.Sequential(nn.Linear(10, 8), neurons(), nn.Linear(8, 8), neurons())
    x = frames(10, scale=5.0)
    with torch.no_grad():
        theirs = network(torch.tensor(x).transpose(0, 1)).transpose(0, 1).numpy()
    nir_.write(tmp_path / "a.nir", to_nir(network, torch.tensor(x[:, :1]).transpose(0, 1)))
    _, said = nir.read(tmp_path / "a.nir", timesteps=10, written_by="sinabs")
    (unsaid,) = (finding for finding in said if finding.code == "SP221")
    assert "--nir bound=-1" in unsaid.mend
    assert (ours(tmp_path / "a.nir", x, written_by="sinabs") != theirs).any()
    for bound, words in (("threshold", "minus its threshold"), ("-1", "below -1")):
        _, told = nir.read(tmp_path / "a.nir", timesteps=10, written_by="sinabs", bound=bound)
        assert "SP221" not in {finding.code for finding in told}
        assert any(words in finding.what for finding in told)
        np.testing.assert_array_equal(ours(tmp_path / "a.nir", x, written_by="sinabs", bound=bound), theirs)
    with pytest.raises(SpikeportError, match="or a number of zero or below"):
        nir.read(tmp_path / "a.nir", bound="1")


def test_sinabs_own_reader_holds_membranes_of_if_alone(tmp_path):
    """nir.py: min_v_mem = -v_threshold of an IF, None of a LIF."""
    pytest.importorskip("sinabs")
    from sinabs.nir import from_nir

    theta, x = np.full(8, 0.5, np.float32), frames(10, scale=5.0)
    linear = nir_.Affine(np.random.default_rng(0).normal(size=(8, 10)).astype("f4"), np.zeros(8, "f4"))
    leak = nir_.LIF(tau=np.full(8, 9.0, "f4"), r=np.ones(8, "f4"), v_leak=np.zeros(8, "f4"), v_threshold=theta)
    for node in (nir_.IF(np.ones(8, "f4"), theta), leak):
        nir_.write(tmp_path / "a.nir", nir_.NIRGraph.from_list(linear, node))
        network = from_nir(nir_.read(tmp_path / "a.nir"), batch_size=x.shape[1])
        with torch.no_grad():
            rows = network(torch.tensor(x).transpose(0, 1).flatten(0, 1))
        rows = rows[0] if isinstance(rows, tuple) else rows
        theirs = rows.unflatten(0, (x.shape[1], x.shape[0])).transpose(0, 1).numpy()
        np.testing.assert_array_equal(ours(tmp_path / "a.nir", x, written_by="sinabs", bound="threshold"), theirs)


@pytest.mark.parametrize("kind", ["IF", "LIF", "LIF, decayed input"])
def test_spikingjellys_networks_run_here(kind, tmp_path):
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based import functional, layer, neuron, nir_exchange

    def neurons():
        if kind == "IF":
            return neuron.IFNode(v_reset=0.0)
        return neuron.LIFNode(tau=2.5, decay_input="decayed" in kind, v_threshold=0.2, v_reset=0.0)

    network = nn.Sequential(
        layer.Conv2d(2, 4, 3, padding=1), neurons(), layer.AvgPool2d(2), layer.Flatten(), layer.Linear(36, 8), neurons()
    )
    x = frames(2, 6, 6)
    nir_.write(tmp_path / "a.nir", nir_exchange.export_to_nir(network, torch.tensor(x[0])))
    functional.reset_net(network)
    check(stepped(network, x), ours(tmp_path / "a.nir", x, written_by="spikingjelly"))


class Spiking(nn.Module):
    """A neuron of somebody's own, a step a call: what people give nirtorch a converter for."""

    def __init__(self, decay, threshold):
        super().__init__()
        self.decay, self.threshold, self.v = decay, threshold, 0.0

    def forward(self, x):
        u = self.decay * self.v + x
        fired = (u > self.threshold).to(x.dtype)
        self.v = u * (1 - fired)
        return fired

    def node(self, size=16):
        leak = 1e-4 / (1 - self.decay)
        return nir_.LIF(*(np.full(size, value, f4) for value in (leak, 1 / (1 - self.decay), 0, self.threshold)))


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(10, 16), Spiking(0.75, 0.5)
        self.fc2, self.lif2 = nn.Linear(16, 16), Spiking(0.5, 0.25)
        self.fc3, self.lif3 = nn.Linear(16, 16), Spiking(0.5, 0.25)

    def forward(self, x):
        a = self.lif1(self.fc1(x))
        return self.lif3(self.fc3(self.lif2(self.fc2(a)) + a))


def test_what_nirtorch_traces_runs_here(tmp_path):
    """A sum around a layer, too, which nirtorch writes as two edges into one node."""
    nirtorch = pytest.importorskip("nirtorch")
    network, x = Residual(), frames(10)
    nir_.write(tmp_path / "a.nir", nirtorch.torch_to_nir(network, {Spiking: Spiking.node}))
    check(stepped(network, x), ours(tmp_path / "a.nir", x))
