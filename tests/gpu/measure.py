"""What a GPU takes for the engine and for a step of training: checks, then a table, then JSON. At most four minutes.

    python tests/gpu/measure.py                  on a machine with a card; writes build/gpu.json
    python tests/gpu/measure.py --only training  engine, training, cell, epoch or comparison
    python tests/gpu/measure.py --try            small, in Triton's interpreter on the CPU: does the script run?

Every spike is held against the CPU's plain definition before anything is timed; a difference ends the script. Times are
medians of `REPEATS` runs after one that tunes and compiles, with the least and the largest, transfers to and from the
card included. SpikingJelly takes part where it is installed, in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

ORDER = argparse.ArgumentParser()
ORDER.add_argument("--only", action="append", default=[], choices=["engine", "training", "cell", "epoch", "comparison"])
ORDER.add_argument("--try", dest="small", action="store_true", help="small, in Triton's interpreter on the CPU")
ORDER.add_argument("--out", type=Path, default=Path("build/gpu.json"))
ORDER = ORDER.parse_args()
if ORDER.small:  # before anything loads a kernel
    os.environ |= {"TRITON_INTERPRET": "1", "SPIKEPORT_KERNELS": "triton"}
sys.path[:0] = [str(Path(__file__).parents[1])]

import numpy as np
import torch

import bench_networks as networks
from equal_records import ALL, same
from spikeport.engine.devices import fingerprint
from spikeport.engine.run import Engine
from spikeport.target import Request

DEVICE = "cpu" if ORDER.small else "cuda"
REPEATS = 1 if ORDER.small else 7
LIMIT = 210.0  #: seconds after which nothing new is begun; four minutes are not to be passed
BEGUN = time.perf_counter()
rows: list[dict[str, object]] = []


def measured(what, samples, call):
    """Time a call that ends when its result is here; one row of the table."""
    if time.perf_counter() - BEGUN > LIMIT:
        rows.append({"what": what, "left out": f"after {LIMIT:.0f} s"})
        return
    times = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        call()
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    seconds = sorted(times[1:])
    middle = statistics.median(seconds)
    row = {"what": what, "ms": middle * 1e3, "least": seconds[0] * 1e3, "most": seconds[-1] * 1e3, "first": times[0]}
    rows.append(row | {"samples a second": samples / middle})
    print("  {what}: {ms:.3f} ms ({least:.3f} to {most:.3f}), first {first:.1f} s".format(**row), flush=True)


def engine():
    """Integers: checks on a few samples, all spikes, membranes and events; then times."""
    small = ORDER.small
    cases = {
        "784-512-10, T = 4": (networks.mlp(), 8192),
        "conv 32 x 32 x 64, twice, T = 4": (networks.two_convolutions(*((2, 4, 6) if small else ())), 512),
        "ResNet-19, T = 2": (networks.resnet19(**({"width": 2, "size": 4} if small else {})), 256),
    }
    if small:
        del cases["784-512-10, T = 4"]  # its many weights take the interpreter long
    for name, (graph, batch) in cases.items():
        x = networks.samples(graph, 2 if small else 4)
        here = Engine(graph, "cpu", "plain").simulate(x, ALL)
        same(Engine(graph, DEVICE).simulate(x, ALL), here)
        one = Request(trains=True, membranes=True, events=True, batch=1)
        same(Engine(graph, DEVICE).simulate(x, one), here)
        spikes = sum(int(counts.sum()) for counts in here.spike_counts.values())
        print(f"{name}: {spikes} spikes are the definition's, whatever the batch", flush=True)
        batch = 2 if small else batch
        x, running = networks.samples(graph, batch), Engine(graph, DEVICE)
        first = networks.samples(graph, 1)
        measured(f"{name}, batch {batch}", batch, partial(running.simulate, x, Request(batch=batch)))
        measured(f"{name}, with events", batch, partial(running.simulate, x, Request(batch=batch, events=True)))
        if "ms" in rows[-1]:
            rows[-1]["times"] = rows[-1]["ms"] / rows[-2]["ms"]
            print(f"    {rows[-1]['times']:.2f} times as long", flush=True)
        if name.startswith("ResNet"):
            measured(f"{name}, batch 1", 1, partial(running.simulate, first, Request(batch=1)))
        eager(name, graph, x, batch)


def eager(name, graph, x, batch):
    """The same network in eager PyTorch on the same card, input copied to it, counts copied back."""
    run = networks.eager(graph)

    def call():
        with torch.inference_mode(), torch.device(DEVICE):
            return run(torch.as_tensor(x).to(DEVICE, torch.float32)).sum().cpu()

    for tf32 in (False, True):
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        measured(f"{name}, eager PyTorch, {'TF32' if tf32 else 'float32'}", batch, call)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False


def training():
    """One step of DS-ATGO; first the kernels against `stepwise` on the card, gradients too."""
    from spikeport.training.loop import optimiser_for, train_step
    from spikeport.training.networks import build
    from spikeport.training.recipe import parse

    agree()
    for name, shape, steps, batch in (("resnet19", (3, 32, 32), 2, 100), ("vggsnn", (2, 48, 48), 10, 32)):
        if ORDER.small and name == "vggsnn":
            continue
        torch.manual_seed(0)
        batch = 2 if ORDER.small else batch
        task = {"input_shape": shape, "classes": 10, "timesteps": steps, "train_with": "ds-atgo"}
        module = build(name, **task, options={"width": 0.02} if ORDER.small else None).train()
        module = module.to(DEVICE, memory_format=torch.channels_last)
        lead = (steps, batch) if name == "vggsnn" else (batch,)
        x, y = torch.rand(*lead, *shape, device=DEVICE), torch.randint(0, 10, (batch,), device=DEVICE)
        facts = {"model": "b", "dataset": "b", "network": name, "timesteps": steps, "epochs": 1, "lr": 0.01}
        recipe = parse(facts | {"weight_decay": 0.0, "precision": "bf16"})
        optimiser = optimiser_for(module, recipe)

        def step(module=module, x=x, y=y, optimiser=optimiser, recipe=recipe):
            return train_step(module, x, y, optimiser, recipe)

        measured(f"training step, {name}, batch {batch}, bf16", batch, step)
        if DEVICE == "cuda":
            rows[-1]["peak GB"] = torch.cuda.max_memory_allocated() / 1e9
            torch.cuda.reset_peak_memory_stats()


def agree():
    """Spikes equal, gradients within rounding, of a layer in float64."""
    from spikeport.training import PLIF, DsAtgo, TdBatchNorm

    shape, results = (3, 4, 8, 6, 6), []
    for kernels in ("triton", "plain"):
        torch.manual_seed(1)
        os.environ["SPIKEPORT_KERNELS"] = kernels
        method = DsAtgo()
        norm = TdBatchNorm(8, method).double().to(DEVICE)
        neuron = PLIF(method, 3, norm=norm).double().to(DEVICE)
        x = torch.randn(shape, dtype=torch.float64).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        x = x.to(DEVICE).reshape(shape).requires_grad_()
        spikes = neuron.normalised(x, norm)
        (spikes * torch.arange(spikes.numel(), device=DEVICE).reshape(shape).cos()).sum().backward()
        results.append((spikes.detach(), x.grad, norm.weight.grad, neuron.w.grad))
    os.environ["SPIKEPORT_KERNELS"] = "triton"
    assert torch.equal(results[0][0], results[1][0]), "spikes of the training kernels differ from stepwise"
    for a, b in zip(results[0][1:], results[1][1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)
    print("training kernels: spikes and gradients are those of stepwise", flush=True)


def cell():
    """Linear 512 and LIF, B = 16, T = 500, forward and backward: the cell of Open Neuromorphic's benchmark."""
    from spikeport.training import LIF, Fixed

    steps, batch, width = (20, 2, 16) if ORDER.small else (500, 16, 512)
    linear, neuron = torch.nn.Linear(width, width).to(DEVICE), LIF(Fixed(), steps).to(DEVICE)
    x = torch.rand(steps, batch, width, device=DEVICE)
    name = f"linear {width} and LIF, B = {batch}, T = {steps}, both ways"
    measured(name, batch, lambda: neuron(linear(x)).sum().backward())
    try:
        from spikingjelly.activation_based import neuron as theirs
    except ImportError:
        print("SpikingJelly is not installed: no row of its own", flush=True)
        return
    other = theirs.LIFNode(step_mode="m").to(DEVICE)

    def call():
        other.reset()
        other(linear(x)).sum().backward()

    measured(f"{name}, SpikingJelly", batch, call)


def epoch():
    """An epoch of fmnist-conv over 55,000 images as `spikeport train` runs it; of noise, which takes as long."""
    from spikeport.training.loop import Training, fit
    from spikeport.training.networks import network_of
    from spikeport.training.parts import Part
    from spikeport.training.precision import fastest
    from spikeport.training.recipe import read
    from spikeport.training.shipped import find

    number, epochs = (64, 1) if ORDER.small else (55_000, 3)
    recipe = read(find("fmnist-conv"), {"epochs": epochs}, lambda: fastest(DEVICE))
    torch.manual_seed(0)
    draw = np.random.default_rng(0)
    x, y = draw.random((number, 1, 28, 28), np.float32), draw.integers(0, 10, number)
    part, few = Part.of(x, y, "direct"), Part.of(x[:50], y[:50], "direct")
    module = network_of(recipe, (1, 28, 28), 10).to(DEVICE)
    training = Training.begin(module, recipe, number)
    fit(training, part, few)
    seconds = sorted(each.seconds for each in training.epochs[-2:])
    row = {
        "what": f"fmnist-conv, an epoch of {number:,} images, {recipe.precision}",
        "ms": statistics.median(seconds) * 1e3,
    }
    row |= {"least": seconds[0] * 1e3, "most": seconds[-1] * 1e3, "first": training.epochs[0].seconds}
    rows.append(row | {"samples a second": number / statistics.median(seconds)})
    print("  {what}: {ms:.0f} ms ({least:.0f} to {most:.0f}), first {first:.1f} s".format(**row), flush=True)


def comparison():
    """The whole test part of Fashion-MNIST, if it is here: real numbers against integers, margins and causes too."""
    from spikeport.findings import SpikeportError
    from spikeport.verbs.compare import compare
    from spikeport.verbs.quantize import quantize

    name, data = ("digits-conv", "digits") if ORDER.small else ("fmnist-conv", "fashion-mnist")
    what, begun = f"compare {name} with its integers, causes included", time.perf_counter()
    try:
        graph = quantize(name, data=data, device=DEVICE, calibration=16 if ORDER.small else 512).graph
        print(f"  quantize {name}: {time.perf_counter() - begun:.1f} s", flush=True)
        begun = time.perf_counter()
        compared = compare(f"{name}@reference", graph, data, limit=4 if ORDER.small else None, device=DEVICE)
    except SpikeportError as error:
        rows.append({"what": what, "left out": error.findings[0].what})
        return
    ms = (time.perf_counter() - begun) * 1e3
    samples = compared.parity.samples
    rows.append(
        {"what": what, "ms": ms, "least": ms, "most": ms, "first": ms / 1e3, "samples a second": samples / ms * 1e3}
    )
    print(f"  {what}: {ms / 1e3:.1f} s", flush=True)


def card():
    """Where this ran."""
    facts = {"python": platform.python_version(), "torch": torch.__version__, "numpy": np.__version__}
    facts |= {"kernels": fingerprint(), "date": time.strftime("%Y-%m-%d"), "repeats": REPEATS}
    try:
        import triton

        facts["triton"] = triton.__version__
    except ImportError:
        facts["triton"] = "none"
    if DEVICE == "cuda":
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        facts["card"] = torch.cuda.get_device_name()
        facts["driver"] = subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip()
    return facts


def main():
    if DEVICE == "cuda" and not torch.cuda.is_available():
        print("torch can use no GPU here; --try runs the script on the CPU")
        return 2
    for part in (engine, training, cell, epoch, comparison):
        if ORDER.small and part in (epoch, comparison):
            os.environ["SPIKEPORT_KERNELS"] = "plain"  # too long for the interpreter
        if not ORDER.only or part.__name__ in ORDER.only:
            part()
    facts = card()
    print("\n" + ", ".join(f"{name} {value}" for name, value in facts.items()) + "\n")
    print("| what | median ms | least | most | samples a second |\n|---|---|---|---|---|")
    for row in rows:
        if "ms" in row:
            print("| {what} | {ms:.3f} | {least:.3f} | {most:.3f} | {samples a second:,.0f} |".format(**row))
        else:
            print(f"| {row['what']} | {row['left out']} | | | |")
    text = json.dumps({"where": facts, "rows": rows, "seconds": time.perf_counter() - BEGUN})
    ORDER.out.parent.mkdir(parents=True, exist_ok=True)
    ORDER.out.write_text(text, encoding="utf-8")
    print("\n" + text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
