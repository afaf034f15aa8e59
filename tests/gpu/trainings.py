"""What `measure.py` measures of training and of whole verbs: each function adds its rows to a table."""

from __future__ import annotations

import time
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch
from works import kernels_named


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
    ours = table.timed(name, batch, lambda: neuron(linear(x)).sum().backward())
    for backend in ("torch",) if small else ("torch", "cupy", "triton"):
        what = f"{name}, SpikingJelly, {backend}"
        call = table.tried(what, partial(_theirs, linear, x, device, backend))
        if call:
            table.ratio(f"{what}, its time by ours", table.timed(what, batch, call), ours)


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
