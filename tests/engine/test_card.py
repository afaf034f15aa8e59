"""What a GPU runs, run here: its kernels in Triton's interpreter, its exact products and its packing on the CPU."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from card_layers import LAYERS, conv, layer
from equal_records import ALL, same
from interpreted import MISSING, interpreted
from random_graphs import random_graph
from spikeport.engine import cuda, simulate
from spikeport.engine.cuda import here, tf32
from spikeport.engine.devices import products_asked
from spikeport.engine.kept import bits_there
from spikeport.engine.margins import margins
from spikeport.engine.target import Integer
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, CubaLIF, Graph, Input, Linear, Loihi, Range, Real
from spikeport.record import Record
from spikeport.spike_train import Train

kernels = pytest.mark.skipif(bool(MISSING), reason=MISSING or "there")


@kernels
@pytest.mark.parametrize("name", LAYERS)
def test_every_way_to_lay_a_layer_on_tensor_cores_gives_the_definitions_bits(name):
    graph, samples = layer(name)
    with interpreted():
        there = simulate(graph, samples, ALL, kernels="triton")
    same(there, simulate(graph, samples, ALL, kernels="plain"))
    spikes = there.trains["lif"].unpack()
    assert 0.02 < spikes.mean() < 0.98


@kernels
def test_a_layer_that_alone_reads_a_synapse_makes_its_sums_and_adds_the_others():
    """In a residual block, for one: of the two synapses the larger one never writes its sums."""
    from spikeport.engine.build import build

    rng = np.random.default_rng(0)
    nodes = {
        "input": Input((4, 5, 5), "events", low=0, high=1),
        "main": conv(rng, 8, 4, 3, 3, padding=(1, 1)),
        "way": conv(rng, 8, 4, 1, 1, exponent=1),
        "lif": LIF((8, 5, 5), np.asarray(2048), np.full(2, 90), compare=">"),
    }
    edges = (("input", "main"), ("input", "way"), ("main", "lif"), ("way", "lif"))
    graph = Graph(nodes, edges, 2, Loihi(LOIHI2))
    with interpreted():
        program = build(graph, "cpu", "triton", Range(0, 1))
        assert program.joined == {"lif": "main"}
        assert set(program.steps) == {"way"}
        samples = rng.integers(0, 2, (2, 3, 4, 5, 5))
        same(simulate(graph, samples, ALL, kernels="triton"), simulate(graph, samples, ALL, kernels="plain"))


@kernels
@pytest.mark.parametrize("integers", [True, False])
def test_spikes_of_two_layers_are_added_where_the_later_one_writes_its_own(integers):
    """As in a residual block: what reads the sum gets it from the second layer's kernel."""
    from spikeport.engine.build import build

    rng = np.random.default_rng(0)
    number = np.int64 if integers else np.float32

    def neurons(channels=4):
        theta, decay = np.full(2, 90 if integers else 1.5), np.asarray(2048 if integers else 0.5, number)
        return LIF((channels, 5, 5), decay, theta.astype(number), compare=">")

    def synapse(outputs, *kernel):
        node = conv(rng, outputs, 4, *kernel, padding=(1, 1) if kernel[0] == 3 else (0, 0))
        return node if integers else node.with_(weight=(node.weight / np.float32(128)).astype(np.float32))

    nodes = {
        "input": Input((4, 5, 5), "events", low=0, high=1),
        "a": synapse(4, 3, 3),
        "first": neurons(),
        "b": synapse(4, 3, 3),
        "second": neurons(),
        "c": synapse(6, 1, 1),
        "d": synapse(6, 3, 3),
        "lif": neurons(6),
    }
    edges = (("input", "a"), ("a", "first"), ("first", "b"), ("b", "second"), ("first", "c"), ("second", "c"))
    edges += (("second", "d"), ("first", "d"), ("c", "lif"), ("d", "lif"))
    graph = Graph(nodes, edges, 2, Loihi(LOIHI2) if integers else Real())
    samples = rng.integers(0, 2, (2, 3, 4, 5, 5)).astype(np.float32)
    with interpreted():
        assert build(graph, "cpu", "triton", Range(0, 1) if integers else None).adding == {"second": "first"}
        there = simulate(graph, samples, ALL, kernels="triton")
    here = simulate(graph, samples, ALL, kernels="plain")
    assert 0.05 < here.trains["lif"].unpack().mean() < 0.95
    assert all(np.array_equal(there.trains[name].bits, train.bits) for name, train in here.trains.items())


@kernels
def test_real_neurons_that_fire_several_times_a_step_do_so_on_a_card_too():
    nodes = {
        "input": Input((4,), "events"),
        "synapse": Linear(np.ones((3, 4), np.float32)),
        "lif": LIF((3,), np.float32(0.5), np.ones(3, np.float32), reset="subtract", most_spikes=5),
    }
    graph, samples = Graph.chain(nodes, 3), np.float32(np.arange(24) % 9 / 8).reshape(3, 2, 4)  # no sum is rounded
    with interpreted():
        there = simulate(graph, samples, ALL, kernels="triton")
    same(there, simulate(graph, samples, ALL, kernels="plain"))
    assert there.trains["lif"].several


@pytest.mark.parametrize("steps", [1, 3])
def test_spikes_packed_on_their_device_are_those_packed_by_numpy(steps):
    spikes = torch.rand(steps, 2, 3, 5, 7) < 0.4
    spikes = spikes.movedim(-1, 2)
    assert np.array_equal(bits_there(spikes).numpy(), Train.pack(spikes.numpy()).bits)


@pytest.mark.parametrize(
    ("weight", "high", "exact"), [(127, 255, True), (127, 2048, True), (127, 2049, False), (128, 1024, False)]
)
def test_tensor_cores_multiply_without_kernels_where_a_bound_proves_them_exact(monkeypatch, weight, high, exact):
    """TF32 holds 11 bits of a factor and float32 sums up to 2**24: 64 x 127 x 2048 < 2**24 < 130 x 128 x 1024."""
    taken = []
    within = tf32.tensor_cores
    monkeypatch.setattr(tf32, "tensor_cores", lambda: taken.append(1) or within())
    size = 64 if weight == 127 else 130
    node = Linear(np.full((2, size), weight, np.int16))
    step = cuda.product(node, Range(0, high), "cpu")
    x = torch.full((1, 3, size), high)
    for _ in range(2):
        assert (step(x) == weight * high * size).all()
    assert len(taken) == (3 if exact else 0)  # tried once, then taken
    assert not torch.backends.cuda.matmul.allow_tf32


def test_products_that_a_trial_finds_inexact_are_never_taken(monkeypatch):
    node = Linear(np.ones((2, 4), np.int8))
    plain = tf32.synapse.prepare
    off = lambda node, dtype, device: lambda x: plain(node, dtype, device)(x) + (dtype == torch.float32)  # noqa: E731
    monkeypatch.setattr(tf32.synapse, "prepare", off)
    step = cuda.product(node, Range(0, 1), "cpu")
    assert (step(torch.ones(1, 3, 4, dtype=torch.int64)) == 4).all()


@pytest.mark.parametrize(
    ("hidden", "why"),
    [("triton", "Triton is not installed"), ("compiler", "no C compiler"), ("headers", "no Python.h"), ("", "")],
)
def test_what_triton_lacks_is_named_and_the_record_says_so(monkeypatch, tmp_path, hidden, why):
    monkeypatch.setattr(here, "find_spec", lambda name: None if hidden == "triton" else name)
    monkeypatch.setattr(here.shutil, "which", lambda name: None if hidden == "compiler" else name)
    (tmp_path / "Python.h").touch()
    folder = tmp_path / "none" if hidden == "headers" else tmp_path
    monkeypatch.setattr(here.sysconfig, "get_path", lambda name: str(folder))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    here.missing.cache_clear()
    try:
        assert why in here.missing()
        assert [finding.code for finding in Integer().ways("cuda")] == (["SP520"] if hidden else [])
    finally:
        here.missing.cache_clear()


def test_the_environment_may_name_the_kernels_and_a_card_takes_what_there_is(monkeypatch):
    from spikeport.engine.build import kernels_here

    monkeypatch.setattr(cuda, "missing", lambda: "")
    assert kernels_here("cuda") == "triton"
    monkeypatch.setattr(cuda, "missing", lambda: "Triton is not installed")
    assert kernels_here("cuda:1") == "products"
    monkeypatch.setenv("SPIKEPORT_KERNELS", "triton")
    assert kernels_here("cpu") == "triton"


@kernels
def test_no_batch_of_a_card_has_more_places_than_32_bits_count():
    from spikeport.engine.run import Engine

    graph, _ = layer("many channels")
    with interpreted():
        most, places = Engine(graph, kernels="triton").ready(Range(0, 1)).most_samples, graph.timesteps * 4 * 3
    assert most * places + 128 < 2**31 <= (most + 1) * places + 256  # 128 places is the longest tile


def test_batches_that_are_launched_ahead_are_read_in_their_order(monkeypatch):
    """On a card the next batch is launched before the one before it is read; here it is as if there were one."""
    from spikeport.engine.program import Program

    graph, samples = random_graph(3, integers=True, batch=7)
    whole = simulate(graph, samples, ALL)
    monkeypatch.setattr(Program, "ahead", 1)
    done = []
    request = type(ALL)(trains=True, membranes=True, events=True, batch=2, progress=lambda n, total: done.append(n))
    ahead = simulate(graph, samples, request)
    same(ahead, whole)
    assert isinstance(ahead, Record)
    assert done == [2, 4, 6, 7]


@kernels
def test_a_layer_is_left_the_tiles_that_fit_it_and_the_card():
    """Sides no longer than the layer's, registers enough for its state, a program for each processor."""
    with interpreted():
        from spikeport.engine.cuda.tiles import TILES, TRIED, Card, suited

    card = Card(1, 132, 96 << 10)
    large = suited(TILES, card, 256 * 32 * 32, 128, 128, 2, 1)
    assert large[0] == TILES[0]
    assert len(large) == TRIED
    assert all(bm * bn <= 64 * 64 for bm, bn, *_ in suited(TILES, card, 256 * 32 * 32, 128, 128, 5, 1))  # 64 bits
    for shared in (96 << 10, 48 << 10):
        for bm, bn, bk, _, stages in suited(TILES, card._replace(shared=shared), 256 * 32 * 32, 128, 128, 2, 4):
            assert stages * bk * (bm + bn) * 4 <= shared
    assert suited(TILES, card, 1, 10, 3, 2, 1) == suited(TILES, card, 8192, 10, 512, 2, 1) == [TILES[-1]]
    (one,) = suited(TILES, card, 1024, 128, 128, 2, 1)  # a single sample: small tiles, so that all processors compute
    assert one[:2] == (32, 16)
    (one,) = suited(TILES, card._replace(processors=16), 1024, 128, 128, 2, 1)
    assert one[:2] == (128, 64)  # sixteen programs


@kernels
def test_what_one_card_found_fastest_is_not_taken_on_another(monkeypatch):
    """Triton's cache tells capabilities apart, but not two cards of one."""
    with interpreted():
        from spikeport.engine.cuda.tiles import bucket, card_of

    def number(name, processors=132):
        facts = SimpleNamespace(name=name, multi_processor_count=processors, shared_memory_per_block_optin=232448)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: facts)
        card_of.cache_clear()
        return bucket(torch.device("cuda"), 4096, 128, 128)

    numbers = [number("NVIDIA H100 PCIe", 114), number("NVIDIA H100", 132), number("NVIDIA H100", 114)]
    assert len(set(numbers)) == 3
    assert all(2**61 < each < 2**63 for each in numbers)  # one type, whichever card
    assert number("NVIDIA H100") == numbers[1]
    card_of.cache_clear()


@kernels
@pytest.mark.parametrize("name", ["many channels", "few channels", "depthwise", "one axis", "dense"])
def test_real_layers_on_a_card_differ_from_exact_numbers_by_rounding_alone(name, monkeypatch):
    """Sums, bias, gain, current, thresholds and counts in one kernel; bounds of `margins` hold every spike."""
    rng = np.random.default_rng(len(name))
    make, shape, _ = LAYERS[name]
    weight = (synapse := make(rng)).weight / np.float32(300)
    out = synapse.output_shape(shape)
    parts = {"current_decay": np.float32(0.5)} if name == "dense" else {}
    kind = CubaLIF if parts else LIF
    bias, gain = (rng.normal(size=out[0]).astype(np.float32) for _ in range(2))
    neurons = kind(out, np.float32(0.7), np.float32([0.2, 0.1, 0.3]), bias=bias, gain=gain, reset="subtract", **parts)
    first = synapse.with_(weight=weight, exponent=0, bias=bias)
    graph = Graph.chain({"input": Input(shape, "events"), "synapse": first, "lif": neurons}, timesteps=3)
    samples = rng.normal(size=(3, 4, *shape)).astype(np.float32)
    with interpreted():
        there = simulate(graph, samples, ALL, kernels="triton")
        monkeypatch.setenv("SPIKEPORT_PRODUCTS", "bf16")
        coarse = simulate(graph, samples, ALL, kernels="triton")
    here, train = simulate(graph, samples, ALL, kernels="plain"), there.trains["lif"]
    margin = margins(graph, samples, there)["lif"]
    assert margin.above_rounding(train).sum() == 0
    assert 0.02 < train.unpack().mean() < 0.98
    assert np.array_equal(train.bits, here.trains["lif"].bits)
    assert (np.abs(there.membranes["lif"] - here.membranes["lif"]) <= 3 * margin.bound).all()  # of both, and the reset
    assert not np.array_equal(there.membranes["lif"], coarse.membranes["lif"])
    assert there.events["lif"].active.tolist() == here.events["lif"].active.tolist()


def test_a_word_that_is_no_way_to_multiply_is_refused(monkeypatch):
    monkeypatch.setenv("SPIKEPORT_PRODUCTS", "fp8")
    with pytest.raises(SpikeportError) as caught:
        products_asked()
    assert caught.value.code == "SP526"
