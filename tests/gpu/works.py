"""What `measure.py` measures: each function adds its rows to a table."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import torch

import bench_networks as networks
from equal_records import ALL, same
from spikeport.engine.run import Engine
from spikeport.target import Request

COMPILING = 70  #: seconds after which kernels are left to be compiled as they are launched


def cases(small):
    """Networks of integers, and samples at once."""
    return {
        "784-512-10, T = 4": (partial(networks.mlp, *((2, 40, 24) if small else ())), 8192),
        "conv 32 x 32 x 64, twice, T = 4": (partial(networks.two_convolutions, *((2, 4, 6) if small else ())), 512),
        "ResNet-19, T = 2": (partial(networks.resnet19, **({"width": 2, "size": 4} if small else {})), 256),
        "40-512-10, recurrent, T = 100": (partial(networks.recurrent, *((4, 16) if small else (100, 512))), 128),
    }


def kernels(table, small):
    """Compiles what the parts after it launch, into Triton's cache: one after the other they would take minutes."""
    if small:
        return
    most = max(1, min(16, (os.cpu_count() or 2) - 1))
    major, minor = torch.cuda.get_device_capability()
    script = [sys.executable, str(Path(__file__).with_name("compile_all.py")), str(10 * major + minor)]
    script += ["--only", "networks", "--only", "training", "--share"]
    begun = time.perf_counter()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    children = [subprocess.Popen([*script, str(i), str(most)], **pipes) for i in range(most)]
    texts, facts = [], {"processes": most}
    try:
        for child in children:
            texts.append(child.communicate(timeout=max(1, begun + COMPILING - time.perf_counter()))[0])
            if child.returncode:
                facts["failed"] = texts[-1].splitlines()[-1]
    except subprocess.TimeoutExpired:
        facts["left_out"] = f"what was not compiled after {COMPILING} s"
    finally:
        for child in children:
            child.kill()
    forms = [line for text in texts for line in text.splitlines() if line.endswith("shared")]
    table.add(f"{len(forms)} kernels compiled", took=time.perf_counter() - begun, **facts)


def checks(table, small):
    """All spikes, membranes, events and outputs against the CPU's definition; gradients against the plain steps."""
    for name, (make, _) in cases(small).items():
        table.tried(f"check {name}", partial(_check, table, name, make()))
    table.tried("check training kernels", partial(_check_training, table))


def _check(table, name, graph):
    x = networks.samples(graph, 3)
    here = Engine(graph, "cpu", "plain").simulate(x, ALL)
    one = Request(trains=True, membranes=True, events=True, batch=1)
    together, apart = (Engine(graph, table.device).simulate(x, request) for request in (ALL, one))
    same(together, here)
    same(apart, here)
    codes = [finding.code for finding in (*together.findings, *apart.findings)]
    spikes = sum(int(counts.sum()) for counts in here.spike_counts.values())
    table.add(f"check {name}", equal=f"{spikes} spikes, together and one by one", findings=codes)


def _check_training(table):
    from spikeport.training import PLIF, DsAtgo, TdBatchNorm

    shape, results = (3, 4, 8, 6, 6), []
    for kernels in ("triton", "plain"):
        torch.manual_seed(1)
        method = DsAtgo()
        with kernels_named(kernels):
            norm = TdBatchNorm(8, method).double().to(table.device)
            neuron = PLIF(method, 3, norm=norm).double().to(table.device)
            x = torch.randn(shape, dtype=torch.float64).flatten(0, 1).contiguous(memory_format=torch.channels_last)
            x = x.to(table.device).reshape(shape).requires_grad_()
            spikes = neuron.normalised(x, norm)
            (spikes * torch.arange(spikes.numel(), device=table.device).reshape(shape).cos()).sum().backward()
            results.append((spikes.detach(), x.grad, norm.weight.grad, neuron.w.grad))
    assert torch.equal(results[0][0], results[1][0]), "spikes of the training kernels differ from stepwise"
    for a, b in zip(results[0][1:], results[1][1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)
    table.add("check training kernels", equal="spikes to the bit, gradients within rounding")


@contextmanager
def kernels_named(name):
    """Within, the functions that ``SPIKEPORT_KERNELS`` names."""
    before = os.environ.get("SPIKEPORT_KERNELS")
    os.environ["SPIKEPORT_KERNELS"] = name
    try:
        yield
    finally:
        os.environ.pop("SPIKEPORT_KERNELS")
        os.environ |= {} if before is None else {"SPIKEPORT_KERNELS": before}


def engine(table, small):
    """Integers, without trains: batches, with event counts, one sample, several batches; eager PyTorch beside them."""
    wrong = {row["what"].removeprefix("check ") for row in table.rows if "failed" in row}
    for name, (make, batch) in cases(small).items():
        if name in wrong:
            table.add(name, left_out="it differs from the definition")
        else:
            table.tried(name, partial(_engine, table, name, make(), 2 if small else batch, small))


def _engine(table, name, graph, batch, small):
    running = Engine(graph, table.device)
    x, first, many = (networks.samples(graph, count) for count in (batch, 1, (3 if small else 8) * batch))

    def run(what, x, size, **asked):
        record = running.simulate(x, Request(batch=size, **asked))  # what it says of itself
        facts = {"findings": [finding.code for finding in record.findings]} if record.findings else {}
        number = x.shape[1] if graph.entry.coding == "events" else len(x)
        return table.timed(what, number, partial(running.simulate, x, Request(batch=size, **asked)), **facts)

    plain = run(f"{name}, batch {batch}", x, batch)
    counted = run(f"{name}, with events", x, batch, events=True)
    if plain and counted:
        table.add(f"{name}, events", times=counted / plain)
    run(f"{name}, batch 1", first, 1)
    if name.startswith("ResNet"):
        run(f"{name}, {len(many) // batch} batches of {batch}", many, batch)
        os.environ["SPIKEPORT_GRAPHS"] = "off"
        running = Engine(graph, table.device)
        run(f"{name}, batch 1, no graphs", first, 1)
        run(f"{name}, batch {batch}, no graphs", x, batch)
        del os.environ["SPIKEPORT_GRAPHS"]
    if "recurrent" not in name:
        _eager(table, name, graph, x, batch)


def _eager(table, name, graph, x, batch):
    """The same network in eager PyTorch on the same card, input copied to it, counts copied back."""
    run = networks.eager(graph, device=table.device)

    def call():
        with torch.inference_mode(), torch.device(table.device):
            return run(torch.as_tensor(x).to(table.device, torch.float32)).sum().cpu()

    for tf32 in (False, True):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        table.timed(f"{name}, eager PyTorch, {'TF32' if tf32 else 'float32'}", batch, call)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def steps(table, small):
    """One step of DS-ATGO, launched kernel by kernel and as one graph."""
    for name, shape, timesteps, batch in (("resnet19", (3, 32, 32), 2, 100), ("vggsnn", (2, 48, 48), 10, 32)):
        if not small or name == "resnet19":
            work = partial(_step, table, name, shape, timesteps, 2 if small else batch, small)
            table.tried(f"training step, {name}", work)


def _step(table, name, shape, timesteps, batch, small):
    from spikeport.training.loop import optimiser_for, train_step
    from spikeport.training.networks import build
    from spikeport.training.recipe import parse
    from spikeport.training.repeated import Repeated

    torch.manual_seed(0)
    device = torch.device(table.device)
    task = {"input_shape": shape, "classes": 10, "timesteps": timesteps, "train_with": "ds-atgo"}
    module = build(name, **task, options={"width": 0.02} if small else None).train()
    module = module.to(device, memory_format=torch.channels_last)
    lead = (timesteps, batch) if name == "vggsnn" else (batch,)
    x, y = torch.rand(*lead, *shape, device=device), torch.randint(0, 10, (batch,), device=device)
    facts = {"model": "b", "dataset": "b", "network": name, "timesteps": timesteps, "epochs": 1, "lr": 0.01}
    recipe = parse(facts | {"weight_decay": 0.0, "precision": "bf16"})
    optimiser = optimiser_for(module, recipe)

    def step(x, y):
        return train_step(module, x, y, optimiser, recipe)

    what = f"training step, {name}, batch {batch}, bf16"
    table.timed(f"{what}, no graphs", batch, partial(step, x, y), warm=3)
    repeated = Repeated.on(device, step, optimiser)
    table.timed(what, batch, partial(repeated, x, y), warm=5)
    if repeated.why:
        table.add(what, findings=["SP527"], why=repeated.why)


def cell(table, small):
    """Linear 512 and LIF, B = 16, T = 500, forward and backward: the cell of Open Neuromorphic's benchmark."""
    from spikeport.training import LIF, Fixed

    timesteps, batch, width = (20, 2, 16) if small else (500, 16, 512)
    device = table.device
    linear, neuron = torch.nn.Linear(width, width).to(device), LIF(Fixed(), timesteps).to(device)
    x = torch.rand(timesteps, batch, width, device=device)
    name = f"linear {width} and LIF, B = {batch}, T = {timesteps}, both ways"
    table.timed(name, batch, lambda: neuron(linear(x)).sum().backward())
    for backend in ("torch",) if small else ("torch", "cupy", "triton"):
        what = f"{name}, SpikingJelly, {backend}"
        call = table.tried(what, partial(_theirs, linear, x, device, backend))
        if call:
            table.timed(what, batch, call)


def _theirs(linear, x, device, backend):
    from spikingjelly.activation_based import neuron

    other = neuron.LIFNode(step_mode="m").to(device)
    other.backend = backend

    def call():
        other.reset()
        other(linear(x)).sum().backward()

    return call


def epoch(table, small):
    """Epochs of fmnist-conv over 55,000 images as `spikeport train` runs them; of noise, which takes as long."""
    from spikeport.training.loop import Training, fit
    from spikeport.training.networks import network_of
    from spikeport.training.parts import Part
    from spikeport.training.precision import fastest
    from spikeport.training.recipe import read
    from spikeport.training.shipped import find

    number, epochs = (64, 1) if small else (55_000, 4)
    recipe = read(find("fmnist-conv"), {"epochs": epochs}, lambda: fastest(table.device))
    torch.manual_seed(0)
    draw = np.random.default_rng(0)
    x, y = draw.random((number, 1, 28, 28), np.float32), draw.integers(0, 10, number)
    part, few = Part.of(x, y, "direct"), Part.of(x[:50], y[:50], "direct")
    module = network_of(recipe, (1, 28, 28), 10).to(table.device)
    training = Training.begin(module, recipe, number)
    with kernels_named("plain") if small else nullcontext():  # too long for the interpreter
        fit(training, part, few)
    first, *others = (each.seconds for each in training.epochs)
    ms = sorted(seconds * 1e3 for seconds in (others or [first]))
    facts = {"ms": ms[len(ms) // 2], "least": ms[0], "most": ms[-1], "first": first, "runs": len(ms)}
    facts |= {"a_second": number / ms[len(ms) // 2] * 1e3, "findings": [note.code for note in training.notes]}
    table.add(f"fmnist-conv, an epoch of {number:,} images, {recipe.precision}", **facts)


def comparison(table, small):
    """The whole test part of Fashion-MNIST, if it is here: real numbers against integers, margins and causes too."""
    from spikeport.verbs.compare import compare
    from spikeport.verbs.quantize import quantize

    name, data = ("digits-conv", "digits") if small else ("fmnist-conv", "fashion-mnist")
    with kernels_named("plain") if small else nullcontext():
        begun = time.perf_counter()
        graph = quantize(name, data=data, device=table.device, calibration=16 if small else 512).graph
        table.add(f"quantize {name}", took=time.perf_counter() - begun)
        begun = time.perf_counter()
        compared = compare(f"{name}@reference", graph, data, limit=4 if small else None, device=table.device)
    samples = compared.parity.samples
    what = f"compare {name} with its integers, causes included, {samples} samples"
    table.add(what, took=time.perf_counter() - begun)
