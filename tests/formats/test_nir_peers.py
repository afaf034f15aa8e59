"""Other tools take part: they export and we run, we export and they run; spikes must be equal.

snntorch 1.0.0, norse 1.1.0, sinabs 2.0.3, spikingjelly 2.0.0, nirtorch 2.6 (the optional dependencies `peers`). Where a
tool cannot take part because of a defect of its own, the test states the defect.
"""

from __future__ import annotations

from itertools import pairwise

import nir as nir_
import numpy as np
import pytest
import torch
from torch import nn

from spikeport.engine import simulate
from spikeport.formats import nir
from spikeport.graph import LIF, Conv, Flatten, Graph, Input, Linear, Pool
from spikeport.target import Request

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, on import and on use

f4 = np.float32
T, B = 25, 4


def frames(*shape, seed=0, scale=3.0):
    """Random noise, then silence, then one constant frame: random and structured input."""
    x = np.random.default_rng(seed).normal(size=(T, B, *shape)).astype(f4) * scale
    x[12:16] = 0
    x[16:] = x[16]
    return x


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


def stepped(call, x):
    """Spikes [T, B, ...] of a stateful module, a frame at a time."""
    with torch.no_grad():
        return np.stack([call(torch.tensor(frame)).numpy() for frame in x])


def ours(graph_or_path, x, **options):
    """Spikes of the last layer on the engine."""
    found, _ = nir.read(graph_or_path, timesteps=len(x), **options)
    record = simulate(found, x, Request(trains=True))
    last = list(found.nodes_of(LIF))[-1]
    return record.trains[last].unpack()


def check(theirs, own):
    assert theirs.mean() > 0.01, "no spikes tell nothing"
    assert theirs.max() == 1
    np.testing.assert_array_equal(own, theirs.astype(bool))


# -- they export, we run ----------------------------------------------------------------------------------------------


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
    own = ours(tmp_path / "a.nir", x, written_by="snntorch")
    check(stepped(lambda frame: network(frame)[0], x), own)


def test_norses_networks_run_here(tmp_path):
    norse = pytest.importorskip("norse.torch")

    def cell(size, threshold):
        full = torch.full((size,), 200.0), torch.full((size,), threshold), torch.zeros(size)
        names = ("tau_mem_inv", "v_th", "v_leak")
        return norse.LIFBoxCell(norse.LIFBoxParameters(**dict(zip(names, full, strict=True))))

    network = norse.SequentialState(nn.Linear(10, 30), cell(30, 0.2), nn.Linear(30, 8), cell(8, 0.05))
    x = frames(10)
    nir_.write(tmp_path / "a.nir", norse.to_nir(network, torch.tensor(x[0])))
    state = None

    def call(frame):
        nonlocal state
        spikes, state = network(frame, state)
        return spikes

    check(stepped(call, x), ours(tmp_path / "a.nir", x, written_by="norse"))


@pytest.mark.parametrize("kind", ["IAF", "LIF"])
def test_sinabs_networks_run_here(kind, tmp_path):
    """Sinabs emits several spikes in a step where v reaches twice the threshold; the input is kept below that."""
    layers = pytest.importorskip("sinabs.layers")
    from sinabs.nir import to_nir

    def neurons():
        values = {"spike_threshold": torch.full((8,), 1.0)}
        return layers.IAF(**values) if kind == "IAF" else layers.LIF(torch.full((8,), 9.0), norm_input=False, **values)

    network = nn.Sequential(nn.Linear(10, 8), neurons(), nn.Linear(8, 8), neurons())
    x = frames(10, scale=0.6)
    with torch.no_grad():
        theirs = network(torch.tensor(x).transpose(0, 1)).transpose(0, 1).numpy()
    nir_.write(tmp_path / "a.nir", to_nir(network, torch.tensor(x[:, :1]).transpose(0, 1)))
    check(theirs, ours(tmp_path / "a.nir", x, written_by="sinabs"))


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


# -- we export, they run ----------------------------------------------------------------------------------------------


def exported(path, *, gain=1.0, convolution=True, compare=">"):
    """A constant-threshold network of ours, hard reset, as a plain NIR file; the graph."""
    rng = np.random.default_rng(11)
    size = (4, 6, 6) if convolution else (30,)

    def neurons(shape, threshold):
        return LIF(shape, f4(0.75), np.full(T, threshold * gain, f4), gain=f4(gain), compare=compare)

    nodes = {"in": Input((2, 6, 6) if convolution else (10,), "events")}
    if convolution:
        nodes["conv"] = Conv(rng.normal(size=(4, 2, 3, 3)).astype(f4), rng.normal(size=4).astype(f4), padding=(1, 1))
    else:
        nodes["fc0"] = Linear(rng.normal(size=(30, 10)).astype(f4), rng.normal(size=30).astype(f4))
    nodes["lif1"] = neurons(size, 2.0)
    if convolution:
        nodes |= {"pool": Pool("average", (2, 2), (2, 2)), "flat": Flatten()}
    inputs = 36 if convolution else 30
    nodes |= {
        "fc": Linear(rng.normal(size=(8, inputs)).astype(f4), rng.normal(size=8).astype(f4)),
        "lif2": neurons((8,), 1.0),
    }
    graph = Graph(nodes, tuple(pairwise(nodes)), T)
    assert nir.write(graph, path) == ()
    return graph


def engine(graph, x):
    return simulate(graph, x, Request(trains=True)).trains["lif2"].unpack()


@pytest.mark.parametrize("convolution", [False, True])
@pytest.mark.parametrize("compare", [">", ">="])
def test_snntorch_runs_our_files(convolution, compare, tmp_path):
    """Without a batch: snntorch's import takes NIR's start_dim 0 for torch's and would flatten the batch too."""
    pytest.importorskip("snntorch")
    from snntorch.import_nir import import_from_nir

    graph = exported(tmp_path / "a.nir", convolution=convolution, compare=compare)
    network = import_from_nir(nir_.read(tmp_path / "a.nir"))
    x = frames(*graph.shapes["in"])
    state = None

    def call(frame):
        nonlocal state
        spikes, state = network(frame[0], state)
        return spikes[None]

    check(stepped(call, x), engine(graph, x[:, :1]))


def test_norse_runs_our_files(tmp_path):
    """With r = 1, since norse's import only warns about another r and then ignores it."""
    norse = pytest.importorskip("norse.torch")
    graph = exported(tmp_path / "a.nir", gain=0.25, convolution=False)
    network = norse.from_nir(nir_.read(tmp_path / "a.nir"), dt=1e-4)
    x = frames(10)
    state = None

    def call(frame):
        nonlocal state
        spikes, state = network(frame, state)
        return spikes

    check(stepped(call, x), engine(graph, x))


@pytest.mark.parametrize("convolution", [False, True])
def test_spikingjelly_runs_our_files(convolution, tmp_path):
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based import nir_exchange

    graph = exported(tmp_path / "a.nir", convolution=convolution, compare=">=")
    network = nir_exchange.import_from_nir(nir_.read(tmp_path / "a.nir"))
    x = frames(*graph.shapes["in"])
    state = None

    def call(frame):
        nonlocal state
        spikes, state = network(frame, state)
        return spikes

    check(stepped(call, x), engine(graph, x))


def test_sinabs_resets_by_subtraction_whatever_the_file_says(tmp_path):
    """A waiver: sinabs' nir.py builds sl.IAFSqueeze without looking at v_reset, so a hard reset cannot arrive there."""
    pytest.importorskip("sinabs")
    from sinabs.nir import from_nir

    graph = Graph(
        {
            "in": Input((1,), "events"),
            "fc": Linear(np.ones((1, 1), f4)),
            "if": LIF((1,), f4(1), np.ones(4, f4), compare=">"),
        },
        (("in", "fc"), ("fc", "if")),
        4,
    )
    nir.write(graph, tmp_path / "a.nir")
    x = np.array([1.5, 0.75, 0, 0], f4).reshape(4, 1, 1)
    network = from_nir(nir_.read(tmp_path / "a.nir"), num_timesteps=4)
    with torch.no_grad():
        theirs = network(torch.tensor(x[:, 0]))[0].numpy().ravel()
    assert simulate(graph, x, Request(trains=True)).trains["if"].unpack().ravel().tolist() == [1, 0, 0, 0]
    assert theirs.tolist() == [1, 1, 0, 0]  # 1.5 - 1 is kept, so that 0.75 more fires again


def test_guarded_layers_fall_silent_elsewhere(tmp_path):
    """snnTorch ignores the metadata; it must not fire plausible wrong spikes."""
    pytest.importorskip("snntorch")
    from snntorch.import_nir import import_from_nir

    graph = exported(tmp_path / "a.nir", convolution=False)
    first = graph["lif1"]
    graph = graph.replace({"lif1": first.with_(threshold=np.linspace(1, 3, T).astype(f4))})
    nir.write(graph, tmp_path / "a.nir")
    network = import_from_nir(nir_.read(tmp_path / "a.nir"))
    seen = []
    network.get_submodule("lif1").register_forward_hook(lambda module, inputs, output: seen.append(output[0]))
    network(torch.tensor(frames(10)[0]))
    assert float(seen[0].sum()) == 0
    assert engine(graph, frames(10)).any()
