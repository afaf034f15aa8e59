"""We export, other tools run; spikes must be equal.

The tools of test_nir_from_peers.py. Where one cannot take part because of a defect of its own, the test states it.
"""

from __future__ import annotations

from itertools import pairwise

import nir as nir_
import numpy as np
import pytest
import torch

from peer_runs import T, check, f4, frames, handed_on, stepped
from spikeport.engine import simulate
from spikeport.formats import nir
from spikeport.graph import LIF, Conv, Flatten, Graph, Input, Linear, Pool
from spikeport.target import Request

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs, on import and on use


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


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
    call = handed_on(lambda frame, state: network(frame[0], state))
    check(stepped(lambda frame: call(frame)[None], x), engine(graph, x[:, :1]))


def test_norse_runs_our_files(tmp_path):
    """With r = 1, since norse's import only warns about another r and then ignores it."""
    norse = pytest.importorskip("norse.torch")
    graph = exported(tmp_path / "a.nir", gain=0.25, convolution=False)
    network = norse.from_nir(nir_.read(tmp_path / "a.nir"), dt=1e-4)
    x = frames(10)
    check(stepped(handed_on(network), x), engine(graph, x))


@pytest.mark.parametrize("convolution", [False, True])
def test_spikingjelly_runs_our_files(convolution, tmp_path):
    pytest.importorskip("spikingjelly")
    from spikingjelly.activation_based import nir_exchange

    graph = exported(tmp_path / "a.nir", convolution=convolution, compare=">=")
    network = nir_exchange.import_from_nir(nir_.read(tmp_path / "a.nir"))
    x = frames(*graph.shapes["in"])
    check(stepped(handed_on(network), x), engine(graph, x))


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
