"""Files to the conventions of tools that cannot be installed here: Rockpool (AGPL), and lava-dl through NIR's importer.

The files are made with the nir package. The writer's own equations are stepped here, in plain numpy, from the writer's
own parameters, and know nothing of the file; spikes must be equal.
"""

from __future__ import annotations

from itertools import pairwise

import nir as peer
import numpy as np
import pytest

from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.formats import nir
from spikeport.formats.nir.hidden_dt import lambert
from spikeport.target import Request

f4 = np.float32
T, B = 30, 6


def saved(path, **nodes):
    peer.write(path, peer.NIRGraph(nodes=nodes, edges=list(pairwise(nodes)), type_check=False))
    return path


def frames(size, seed=0, scale=1.0):
    """Events, then silence, then one constant frame."""
    x = (np.random.default_rng(seed).random((T, B, size)) < 0.4).astype(f4) * f4(scale)
    x[12:18] = 0
    x[22:] = x[22]
    return x


def read(path, x, tool, **options):
    graph, findings = nir.read(path, options.pop("dt", None), timesteps=len(x), written_by=tool, **options)
    graph = graph.with_(arithmetic=type(graph.arithmetic)("float64"))
    return graph, findings, simulate(graph, x, Request(trains=True))


# -- Rockpool: isyn = beta (isyn + x), vmem = alpha vmem + isyn, spikes = floor(vmem / theta), vmem -= spikes theta --

DT = 1e-3


class Rockpool:
    """LIFTorch's parameters, float32 as there, and its steps in float64."""

    def __init__(self, size, seed):
        rng = np.random.default_rng(seed)
        self.tau_mem = rng.uniform(5e-3, 40e-3, size).astype(f4)
        self.tau_syn = rng.uniform(2e-3, 20e-3, size).astype(f4)
        self.threshold = rng.uniform(2.0, 3.0, size).astype(f4)

    def node(self):
        """What its export writes; v_leak is zero whatever the module's bias, and there is no v_reset."""
        r = (self.tau_mem * np.exp(-f4(DT) / self.tau_mem) / f4(DT)).astype(f4)
        return peer.CubaLIF(self.tau_syn, self.tau_mem, r, np.zeros_like(r), self.threshold)

    def run(self, currents):
        alpha, beta = (np.exp(-DT / tau.astype(float)) for tau in (self.tau_mem, self.tau_syn))
        v = i = np.zeros(currents.shape[1:])
        spikes, margin = [], np.inf
        for x in currents.astype(float):
            i = beta * (i + x)
            v = alpha * v + i
            fired = np.where(v > 0, np.floor(v / self.threshold), 0)
            margin = min(margin, np.abs(v - self.threshold).min())
            v = v - fired * self.threshold
            spikes.append(fired)
        return np.stack(spikes), margin


def rockpool(tmp_path, scale=0.12):
    rng = np.random.default_rng(5)
    w1, w2 = rng.normal(size=(20, 8)).astype(f4) * f4(scale), rng.normal(size=(5, 20)).astype(f4) * f4(0.2)
    bias = rng.normal(size=20).astype(f4) * f4(0.02)
    first, last = Rockpool(20, 1), Rockpool(5, 2)
    nodes = {
        "input": peer.Input(np.array([8])),
        "0_LinearTorch": peer.Affine(w1, bias),
        "1_LIFTorch": first.node(),
        "2_LinearTorch": peer.Linear(w2),
        "3_LIFTorch": last.node(),
        "output": peer.Output(np.array([5])),
    }

    def run(x):
        s1, m1 = first.run(x @ w1.T.astype(float) + bias)
        s2, m2 = last.run(s1 @ w2.T.astype(float))
        return s1, s2, min(m1, m2)

    return saved(tmp_path / "a.nir", **nodes), run


def test_rockpools_networks_fire_their_spikes(tmp_path):
    path, run = rockpool(tmp_path)
    x = frames(8)
    first, last, margin = run(x)
    assert margin > 1e-5, "float32 in the file moves nothing across a threshold"
    assert first.max() == last.max() == 1
    assert 0.02 < last.mean() < 0.9
    graph, findings, record = read(path, x, "rockpool")
    np.testing.assert_array_equal(record.trains["1_LIFTorch"].unpack(), first.astype(bool))
    np.testing.assert_array_equal(record.trains["3_LIFTorch"].unpack(), last.astype(bool))
    said = " ".join(finding.what for finding in findings)
    for choice in ("dt = 0.001 s", "exponential", "Rockpool hides dt in r", "before it decays", ">=", "subtracting"):
        assert choice in said
    assert graph.provenance["dt"] == pytest.approx(DT, rel=1e-5)


def test_rockpools_neurons_fire_several_times_in_a_step(tmp_path):
    """With input strong enough they do; a reading with one spike a step is another network."""
    path, run = rockpool(tmp_path, scale=1.0)
    x = frames(8, scale=3)
    first, last, margin = run(x)
    assert first.max() > 1
    assert margin > 1e-5, "float32 in the file moves nothing across a threshold"
    _, findings, record = read(path, x, "rockpool")
    np.testing.assert_array_equal(record.trains["1_LIFTorch"].unpack(), first)
    np.testing.assert_array_equal(record.trains["3_LIFTorch"].unpack(), last)
    assert any("as many times in a step as v holds thresholds" in finding.what for finding in findings)
    one = read(path, x, "rockpool", spikes="one")[2]
    assert one.trains["1_LIFTorch"].unpack().sum() < first.sum()


def test_rockpools_synapses_without_spikes_decay_what_enters(tmp_path):
    """ExpSynTorch: isyn = (isyn + x) exp(-dt / tau), exported as LI with the same r."""
    tau = np.array([3e-3, 9e-3, 30e-3], f4)
    r = (tau * np.exp(-f4(DT) / tau) / f4(DT)).astype(f4)
    path = saved(
        tmp_path / "a.nir",
        input=peer.Input(np.array([3])),
        syn=peer.LI(tau, r, np.zeros(3, f4)),
        output=peer.Output(np.array([3])),
    )
    x = frames(3)
    state, total = np.zeros((B, 3)), 0
    for frame in x:
        state = (state + frame) * np.exp(-DT / tau.astype(float))
        total = total + state
    _, _, record = read(path, x, "rockpool")
    np.testing.assert_allclose(record.outputs, total, rtol=1e-5)


def test_layers_with_different_steps_are_refused_and_dt_overrides(tmp_path):
    one, other = Rockpool(4, 1).node(), Rockpool(4, 2).node()
    other.r = other.r / 3
    path = saved(
        tmp_path / "a.nir",
        input=peer.Input(np.array([4])),
        a=one,
        w=peer.Linear(np.eye(4, dtype=f4)),
        b=other,
        output=peer.Output(np.array([4])),
    )
    with pytest.raises(SpikeportError, match="another step") as caught:
        nir.read(path, written_by="rockpool")
    assert caught.value.code == "SP213"
    graph, findings = nir.read(path, DT, written_by="rockpool")
    assert graph.provenance["dt"] == DT
    assert not any("hides" in finding.what for finding in findings)


def test_lamberts_function_solves_its_equation():
    z = np.logspace(-12, 12, 200)
    x = lambert(z)
    np.testing.assert_allclose(x * np.exp(x), z, rtol=1e-12)


# -- lava-dl: SLAYER's CUBA neuron in integers, as NIR's importer builds it ----------------------------------------

STATE = 1 << 12  #: units of SLAYER's states: scale 64 times 64


def toward_zero(value, bits):
    return np.sign(value) * (np.abs(value) >> bits)


def slayer(currents, current_decay, voltage_decay, threshold):
    """One layer: decays are integers over 4096, states are cut towards zero, v is set to zero where it fired."""
    kept = [4096 - int(np.rint(4096 * decay)) for decay in (current_decay, voltage_decay)]
    i = v = np.zeros(currents.shape[1:], np.int64)
    spikes, distances = [], []
    for x in currents.astype(float):
        i = toward_zero(i * kept[0], 12) + np.trunc(x * STATE).astype(np.int64)
        v = toward_zero(v * kept[1], 12) + i
        fired = v >= threshold * STATE
        distances.append(np.abs(v / STATE - threshold))
        v = np.where(fired, 0, v)
        spikes.append(fired)
    return np.stack(spikes), np.stack(distances)


def cuba(size, current_decay, voltage_decay, threshold, dt=1e-4):
    """r = tau_mem / dt and w_in = tau_syn / dt, which the importer asks for; v_reset is left out."""
    tau_syn, tau_mem = dt / current_decay, dt / voltage_decay
    values = (tau_syn, tau_mem, tau_mem / dt, 0.0, threshold)
    return peer.CubaLIF(*(np.full(size, value) for value in values), w_in=np.full(size, tau_syn / dt))


def lava_dl(path, weight, decays, threshold):
    size = len(weight)
    return saved(
        path,
        input=peer.Input(np.array([8])),
        dense=peer.Linear(weight),
        lif=cuba(size, *decays, threshold),
        output=peer.Output(np.array([size])),
    )


def test_lava_dls_networks_fire_slayers_spikes_where_its_integers_cut_nothing(tmp_path):
    """Decays of a half and three quarters, weights in quarters, few steps: every product is a whole number."""
    weight = (np.random.default_rng(1).integers(-4, 8, (16, 8)) / 4).astype(f4)
    path = lava_dl(tmp_path / "a.nir", weight, (0.5, 0.75), 1.0)
    x = frames(8)[:5]
    spikes, _ = slayer(x @ weight.T, 0.5, 0.75, 1.0)
    assert 0.1 < spikes.mean() < 0.9
    _, _, record = read(path, x, "lava-dl")
    np.testing.assert_array_equal(record.trains["lif"].unpack(), spikes)


@pytest.mark.parametrize("seed", range(5))
def test_lava_dls_decays_are_rounded_to_twelve_bits_and_the_finding_says_so(seed, tmp_path):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(16, 8)).astype(f4)
    decays, threshold = rng.uniform(0.05, 0.6, 2), 1.5
    path = lava_dl(tmp_path / "a.nir", weight, decays, threshold)
    x = frames(8, seed)
    spikes, distances = slayer(x @ weight.T.astype(float), *decays, threshold)
    assert 0.02 < spikes.mean() < 0.9
    graph, findings, record = read(path, x, "lava-dl")
    for own, decay in ((graph["lif"].current_decay, decays[0]), (graph["lif"].decay, decays[1])):
        assert (1 - own) * 4096 == pytest.approx(np.rint(4096 * decay), abs=1e-9)
    # a cut takes less than a unit of i and of v at each step, and both sums decay: at most so much of v is lost
    cut = (1 + 2 / decays[0]) / decays[1] / STATE
    differ = record.trains["lif"].unpack() != spikes
    neurons = differ.any(0)
    assert neurons.mean() < 0.1
    first = np.take_along_axis(distances, differ.argmax(0)[None], 0)[0]
    assert (first[neurons] <= cut).all(), "a neuron parts only where SLAYER's cuts decide"
    (said,) = [finding for finding in findings if finding.code == "SP218"]
    change = max(abs(np.rint(4096 * decay) / 4096 - decay) for decay in decays)
    assert f"{change:.2g}" in said.what
    text = " ".join(finding.what for finding in findings)
    assert all(choice in text for choice in ("dt = 0.0001 s", "euler", ">=", "v_reset"))


def test_time_constants_in_steps_want_a_dt_of_one(tmp_path):
    """Decays as lava's processes hold them, n / 4096 a step: tau = 4096 / n steps."""
    weight = np.eye(8, dtype=f4)
    n = (1024, 300)
    path = saved(
        tmp_path / "a.nir",
        input=peer.Input(np.array([8])),
        dense=peer.Linear(weight),
        lif=cuba(8, n[0] / 4096, n[1] / 4096, 1.0, dt=1.0),
        output=peer.Output(np.array([8])),
    )
    graph, findings, _ = read(path, frames(8), "lava-dl", dt=1.0)
    assert ((1 - graph["lif"].current_decay) * 4096, (1 - graph["lif"].decay) * 4096) == n
    assert any("by up to 0" in finding.what for finding in findings)
