"""Lava-DL's .net files against netx's equations; what the file of results holds them to is netx itself, on Lava."""

from __future__ import annotations

import numpy as np
import pytest

import spikeport
from net_files import LOIHI, conv, dense, even, neurons, spikes, write
from spikeport.formats import lava_dl, nir, onnx
from spikeport.graph import LIF, LOIHI2, CubaLIF, Loihi, Readout

T = 16


def events(rng, *shape, share=0.3):
    return (rng.random((T, *shape)) < share).astype(np.int64)


def trains(graph, x):
    entered = x[None] if graph.entry.coding == "direct" else x[:, None]
    record = spikeport.simulate(graph, entered.astype(np.float32))
    return [train.unpack()[:, 0] for train in record.trains.values()]


def equal(graph, layers, x):
    ours, theirs = trains(graph, x), spikes(layers, x)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert b.any()
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("seed", range(4))
def test_dense_layers_with_currents_and_decays_a_neuron(tmp_path, seed):
    rng = np.random.default_rng(seed)
    first = neurons(iDecay=rng.integers(1, 4097, 20), vDecay=rng.integers(0, 4096, 20))
    layers = [
        dense(even(rng, 20, 12), neuron=first, bias=even(rng, 20, top=20).astype(np.float32)),
        dense(even(rng, 9, 20, top=254), neuron=neurons(iDecay=4096)),
    ]
    graph, _ = lava_dl.read(write(tmp_path / "a.net", layers), T)
    assert isinstance(graph["dense0.neuron"], CubaLIF)
    assert not isinstance(graph["dense1.neuron"], CubaLIF)
    assert graph.arithmetic == Loihi(LOIHI2)
    equal(graph, layers, events(rng, 12))


def test_convolutions_keep_rows_and_columns_apart(tmp_path):
    rng = np.random.default_rng(3)
    layers = [
        {"type": "input", "shape": [2, 9, 10]},
        conv(even(rng, 8, 2, 3, 2, 1), [8, 5, 9], stride=[2, 1], padding=[1, 0], bias=even(rng, 8, top=12)),
        conv(even(rng, 4, 4, 3, 3), [4, 1, 5], dilation=[2, 2], groups=2, neuron=LOIHI),
        {"type": "flatten", "shape": [1, 1, 20]},
        dense(even(rng, 5, 20), shape=[5, 1, 1]),
    ]
    graph, _ = lava_dl.read(write(tmp_path / "a.net", layers), T)
    assert list(graph.nodes)[-2:] == ["dense4", "dense4.neuron"]
    equal(graph, layers, events(rng, 2, 9, 10))


def test_input_neurons_take_their_bias_from_the_sample(tmp_path):
    rng = np.random.default_rng(4)
    layers = [
        {"type": "input", "shape": [3, 4, 5], "neuron": neurons(vThMant=90), "weight": 40.0, "bias": 36.0},
        {"type": "flatten", "shape": [60]},
        dense(even(rng, 7, 60), neuron=LOIHI),
    ]
    graph, notes = lava_dl.read(write(tmp_path / "a.net", layers, samples=T))
    assert (graph.entry.coding, graph.entry.low, graph.entry.high, graph.timesteps) == ("direct", -4, 76, T)
    assert [note.code for note in notes] == ["SP229", "SP229"]
    assert "from -4 to 76" in notes[0].what
    assert "80 x - 4" in notes[0].what
    assert "16 timesteps" in notes[1].what
    equal(graph, layers, rng.integers(-4, 77, (3, 4, 5)))


def test_neurons_feed_back_a_step_later(tmp_path):
    rng = np.random.default_rng(5)
    layer = dense(even(rng, 9, 12), weight_rec=even(rng, 9, 9).astype(np.float32)) | {"type": "dense_rec"}
    x = events(rng, 12)
    for layers in ([layer, dense(even(rng, 5, 9))], [layer]):
        graph, _ = lava_dl.read(write(tmp_path / "a.net", layers), T)
        equal(graph, layers, x)
    counts = spikes([layer], x)[0].sum(0)  # what leaves the last layer, though it feeds back
    np.testing.assert_array_equal(spikeport.simulate(graph, x[:, None].astype(np.float32)).outputs[0], counts)


@pytest.mark.parametrize("delay", [3.0, np.arange(20) % 6])
def test_delays_are_waited_for_before_an_output(tmp_path, delay):
    rng = np.random.default_rng(6)
    layers = [dense(even(rng, 20, 12), delay=delay), dense(even(rng, 5, 20))]
    graph, _ = lava_dl.read(write(tmp_path / "a.net", layers), T)
    equal(graph, layers, events(rng, 12))


def test_as_many_delays_as_inputs_delay_these(tmp_path):
    rng = np.random.default_rng(7)
    weight, delay, x = even(rng, 5, 12), np.arange(12) % 4, events(rng, 12)
    graph, _ = lava_dl.read(write(tmp_path / "a.net", [dense(weight, delay=delay)]), T)
    late = np.stack([np.roll(x[:, i], wait) * (np.arange(T) >= wait) for i, wait in enumerate(delay)], 1)
    (ours,) = trains(graph, x)
    np.testing.assert_array_equal(ours, spikes([dense(weight)], late)[0])


def test_a_first_layer_that_slides_says_how_large_its_map_is(tmp_path):
    rng = np.random.default_rng(12)
    first = conv(even(rng, 4, 2, 3, 2), [4, 7, 6], padding=[2, 1], dilation=[2, 3])
    pool = conv(np.full((1, 1, 3, 2), 26.0), [2, 3, 5], stride=[3, 2]) | {"type": "pool"}
    for layer, size in ((first, (2, 7, 7)), (pool, (2, 9, 10))):
        graph, _ = lava_dl.read(write(tmp_path / "a.net", [layer]), T)
        assert (graph.entry.shape, graph.entry.coding) == (size, "events")


def late(spikes, waits):
    """Trains [T, C, ...] that leave a channel later."""
    there = np.zeros_like(spikes)
    for channel, wait in enumerate(waits):
        there[wait:, channel] = spikes[: len(spikes) - wait, channel]
    return there


def test_channels_of_maps_are_late_and_pools_keep_them_apart(tmp_path):
    """As SLAYER has them: a layer's delays hold its spikes back, and one kernel pools each channel."""
    rng = np.random.default_rng(11)
    waits, later = np.array([0, 3, 1, 3]), np.array([2, 0, 1, 0])
    first = conv(even(rng, 4, 2, 3, 3), [4, 8, 6], padding=[1, 1], delay=waits.astype(np.float32))
    grouped = conv(even(rng, 4, 2, 1, 1), [4, 8, 6], groups=2, delay=later)
    kernel = np.full((1, 1, 4, 2, 1), 26.0)
    pool = conv(kernel, [4, 2, 3], stride=[4, 2], delay=2.0) | {"type": "pool"}
    del pool["groups"]
    last = dense(even(rng, 5, 24), delay=np.array([0, 1, 0, 0, 2]))
    layers = [{"type": "input", "shape": [2, 8, 6]}, first, grouped, pool, {"type": "flatten", "shape": [24]}, last]
    graph, notes = lava_dl.read(write(tmp_path / "a.net", layers), T)
    assert [note.what.split(",")[0] for note in notes] == 3 * ["its channels are late by their delays"]
    x = events(rng, 2, 8, 6)
    (a,) = spikes([first], x)
    (b,) = spikes([grouped], late(a, waits))
    whole = np.tile(kernel, (4, 1, 1, 1, 1))
    (c,) = spikes([pool | {"type": "conv", "weight": whole, "groups": 4}], late(b, later))
    (d,) = spikes([last], late(c, 4 * [2]).reshape(T, -1))
    for ours, theirs in zip(trains(graph, x), (a, b, c, d), strict=True):
        assert theirs.any()
        np.testing.assert_array_equal(ours, theirs)


def test_a_weight_may_have_a_delay_of_its_own(tmp_path):
    rng = np.random.default_rng(13)
    weight, wait, x = even(rng, 3, 4), rng.integers(0, 5, (3, 4)), events(rng, 4)
    graph, _ = lava_dl.read(write(tmp_path / "a.net", [dense(weight, delay=wait)]), T)
    sums = [
        [sum(weight[o, i] * x[t - wait[o, i], i] for i in range(4) if t >= wait[o, i]) for o in range(3)]
        for t in range(T)
    ]
    one = dense(np.eye(3))  # whose sums are what enters
    np.testing.assert_array_equal(trains(graph, x)[0], spikes([one], np.array(sums))[0])


@pytest.mark.parametrize(
    "before",
    [
        [{"type": "input", "shape": [2, 3, 2]}],  # netx reads no shape before a matrix
        [{"type": "input"}],
        [{"type": "flatten"}],
        [{"type": "input", "shape": [2, 3, 2]}, {"type": "flatten", "shape": [7]}],
    ],
)
def test_what_stands_before_the_first_matrix_tells_little(tmp_path, before):
    rng = np.random.default_rng(14)
    layer, x = dense(even(rng, 5, 12)), events(rng, 12)
    graph, _ = lava_dl.read(write(tmp_path / "a.net", [*before, layer]), T)
    shape = graph.entry.shape
    assert shape == ((2, 3, 2) if len(before) == 2 else (12,))
    np.testing.assert_array_equal(trains(graph, x.reshape(T, *shape))[0], spikes([layer], x)[0])


def test_numbers_that_netx_changes_are_changed_and_told(tmp_path):
    weight = np.array([[300.0, -2.0], [4.5, -400.0]])
    graph, notes = lava_dl.read(write(tmp_path / "a.net", [dense(weight, delay=np.array([70.0, 0.0]))]), T)
    values = {name: node for name, node in graph.nodes.items() if name.startswith("dense0") and hasattr(node, "weight")}
    total = sum(node.weight.astype(int) << node.exponent for node in values.values())
    assert total.tolist() == [[254, -2], [4, -256]]
    assert graph["dense0.after62"].steps == 62
    told = [note.what for note in notes if note.code == "SP228"]
    assert [part.split(" as netx")[0] for part in told] == [
        "1 values of weight are no whole numbers: what lies behind the point was left out,",
        "2 values of weight lie beyond -256 … 254 and were cut to it,",
        "1 values of delay lie beyond 0 … 62 and were cut to it,",
    ]
    assert all(note.severity == "substituted" for note in notes if note.code == "SP228")


@pytest.mark.parametrize("bias", [None, [3, 0, -2]])
def test_a_last_layer_that_sums_up_is_read_by_its_membrane(tmp_path, bias):
    """As Bootstrap's, without neurons, and PilotNet's: no leak, the highest threshold."""
    rng = np.random.default_rng(8)
    last = dense(even(rng, 3, 20), neuron=neurons(iDecay=4096, vDecay=0, vThMant=131071), bias=np.array(bias or 0.0))
    if bias is None:
        del last["neuron"]
    layers = [dense(even(rng, 20, 12)), last]
    graph, notes = lava_dl.read(write(tmp_path / "a.net", layers), T)
    assert isinstance(graph["dense1.membrane"], Readout)
    assert "its membrane after the last step is the output" in notes[0].what
    x = events(rng, 12)
    hidden = spikes(layers[:1], x)[0]
    expected = 64 * (hidden @ last["weight"].astype(int).T + (bias or 0)).sum(0)
    np.testing.assert_array_equal(spikeport.simulate(graph, x[:, None].astype(np.float32)).outputs[0], expected)


def test_an_affine_layer_never_fires_and_says_so(tmp_path):
    graph, notes = lava_dl.read(write(tmp_path / "a.net", [dense([[2, 4]], neuron=neurons(vThMant=2**18 - 1))]), T)
    assert [note.code for note in notes] == ["SP228", "SP229"]
    assert "262143" in notes[0].what
    assert "look at its membranes" in notes[1].what
    assert graph["dense0.neuron"].threshold.max() == 131071


def test_older_files_keep_words_in_arrays_and_matrices_flat(tmp_path):
    weight = even(np.random.default_rng(9), 1, 6)
    layer = dense(weight, shape=[1, 1, 1]) | {"weight": weight.reshape(-1).astype(np.float32)}
    layer["neuron"] = {**neurons(), "type": "CUBA"}  # an array of one word
    graph, _ = lava_dl.read(write(tmp_path / "a.net", [layer]), T)
    assert (graph["dense0"].weight.astype(int) << graph["dense0"].exponent).tolist() == weight.tolist()


def test_what_netx_does_not_read_is_left_out_and_told(tmp_path):
    layer = dense([[2, 4]], neuron=neurons(tauRefr=7), weightScale=3.0)
    _, notes = lava_dl.read(write(tmp_path / "a.net", [layer]), T)
    told = [(note.code, note.what.split(" ")[0], note.severity) for note in notes]
    assert told == [("SP229", "'weightScale'", "substituted"), ("SP229", "'tauRefr'", "substituted")]


def test_the_whole_way_through_formats_and_verbs(tmp_path):
    rng = np.random.default_rng(10)
    path = write(tmp_path / "a.net", [dense(even(rng, 20, 12)), dense(even(rng, 5, 20))])
    model = spikeport.load_model(path, timesteps=T)
    assert (model.kind, model.target, model.graph.timesteps) == ("net", "integer", T)
    assert "1;" in spikeport.load_model(path).findings[0].what
    nir.write(model.graph, tmp_path / "a.nir")
    onnx.write(model.graph, tmp_path / "a.onnx")
    assert nir.read(tmp_path / "a.nir")[0] == onnx.read(tmp_path / "a.onnx")[0] == model.graph
    longer = spikeport.load_model(path, timesteps=40).graph
    assert longer.timesteps == 40
    assert isinstance(longer["dense1.neuron"], LIF)
