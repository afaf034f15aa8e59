"""The integer engine's speed: against eager float32 PyTorch, and against the least that the work must take."""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
import pytest
import torch

import bench_networks
from bench_record import interleaved, record
from spikeport.engine.run import Engine
from spikeport.graph import LIF, Synapse
from spikeport.process import keep_freed_memory
from spikeport.target import Request, target

pytestmark = pytest.mark.bench


@pytest.fixture(autouse=True, scope="module")
def as_a_command():
    """The engine and its peers in a process as the commands have it."""
    keep_freed_memory()


NETWORKS = {
    "784-512-10": (bench_networks.mlp, 64, 101),
    "conv 32x32x64, two 3x3 layers": (bench_networks.two_convolutions, 64, 9),
    "ResNet-19": (bench_networks.resnet19, 8, 9),
}


@pytest.mark.lava
@pytest.mark.parametrize("name", ["784-512-10", "conv 32x32x64, two 3x3 layers"])
def test_the_integer_engine_against_lava(name):
    """Lava runs one sample, the engine a batch of 64; the spikes of that sample are the same.

    First of all, in a process that has done nothing else yet, as a command's.
    """
    lava = target("lava")
    if not lava.availability().ready:
        pytest.skip(lava.availability().why)
    build, batch, repetitions = NETWORKS[name]
    graph = build()
    x = bench_networks.samples(graph, batch)
    engine = Engine(graph)
    here = engine.simulate(x[:, :1], Request(trains=True))
    seconds = interleaved({"engine": lambda: engine.simulate(x)}, repetitions)["engine"]  # before Lava's processes end
    begun = time.perf_counter()
    there = lava.run(graph, x[:, :1], Request(trains=True))
    whole = time.perf_counter() - begun
    for layer in graph.nodes_of(LIF):
        np.testing.assert_array_equal(here.trains[layer].unpack(), there.trains[layer].unpack())
    more = {"batch": batch, "samples_per_second": batch / seconds, "lava_seconds_per_sample": there.seconds}
    record(name, "Lava fixed point", there.seconds / (seconds / batch), seconds, **more)
    record(name, "Lava fixed point, its start included", whole / (seconds / batch), seconds, **more)


def floor(graph, engine, batch):
    """The products alone on blocks of the engine's size, and one pass over each layer's sums and spikes."""
    program = engine._program
    size = program.samples_at_once(batch, None)
    steps = graph.timesteps
    work = []
    for name in graph.nodes_of(Synapse):
        shape = (steps, size, *graph.input_shape(name))
        x = (torch.rand(shape) < bench_networks.RATE).to(program.entering[name])
        x = x.movedim(2, -1).contiguous().movedim(-1, 2)
        reader = graph.targets(name)[0]
        step = program.neurons[reader].product if program.joined.get(reader) == name else program.steps[name]
        work.append((step, x, isinstance(graph.nodes[reader], LIF)))

    def run():
        with torch.inference_mode():
            for _ in range(-(-batch // size)):
                for step, x, spiking in work:
                    sums = step(x)
                    if spiking:
                        spikes = torch.empty_like(sums, dtype=torch.uint8)
                        spikes.copy_(sums)

    return run


@pytest.mark.parametrize("name", NETWORKS)
def test_the_integer_engine(name):
    measured(name, time.perf_counter, *NETWORKS[name])


@pytest.mark.parametrize("name", NETWORKS)
def test_the_integer_engine_on_one_thread(name):
    """Processor time, which other programs on the machine hardly change."""
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        measured(f"{name} (one thread, processor time)", time.thread_time, *NETWORKS[name])
    finally:
        torch.set_num_threads(threads)


def measured(title, clock, build, batch, repetitions):
    """Record the engine against eager PyTorch, the floor, and itself with event counts."""
    graph = build()
    x = bench_networks.samples(graph, batch)
    engine, eager = Engine(graph), bench_networks.eager(graph)
    rates = {layer: float(rate.mean()) for layer, rate in engine.simulate(x).rates().items()}
    assert all(0.02 < rate < 0.5 for rate in rates.values())  # dead or saturated layers would say little
    floats = torch.as_tensor(x, dtype=torch.float32)

    def run_eager():
        with torch.inference_mode():
            eager(floats)

    runs = {
        "engine": lambda: engine.simulate(x),
        "events": lambda: engine.simulate(x, Request(events=True)),
        "eager": run_eager,
        "floor": floor(graph, engine, batch),
    }
    took = interleaved(runs, repetitions, clock=clock)
    seconds = took["engine"]
    more = {"batch": batch, "samples_per_second": batch / seconds, "mean_rate": float(np.mean(list(rates.values())))}
    record(title, "eager float32 PyTorch", took["eager"] / seconds, seconds, **more)
    record(title, "floor", took["floor"] / seconds, seconds, **more)
    record(title, "itself without event counts", seconds / took["events"], took["events"], **more)


def test_peak_memory_of_a_full_resnet19():
    """The most this process has ever held, the other benchmarks and PyTorch included."""
    graph = bench_networks.resnet19()
    record_ = Engine(graph).simulate(bench_networks.samples(graph, 8), Request(events=True, trains=True))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    record("ResNet-19 peak memory", "2.5 GB", peak / 2.5e9, record_.seconds, bytes=peak)
    assert peak < 2.5e9
