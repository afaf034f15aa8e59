"""What `measure.py` measures: each function adds its rows to a table."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch

import bench_networks as networks
from equal_records import ALL, same
from spikeport.engine import cpu
from spikeport.engine.batch import Run
from spikeport.engine.cuda import recorder_for
from spikeport.engine.devices import whole_factors
from spikeport.engine.enter import Frames
from spikeport.engine.readout import Results
from spikeport.engine.run import Engine
from spikeport.graph import Range
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
    alone = {events: _alone(table, name, graph, x, batch, events=events) for events in (False, True)}
    table.ratio(f"{name}, events, with transfers", counted, plain)
    table.ratio(f"{name}, events", alone[True], alone[False])
    run(f"{name}, batch 1", first, 1)
    if name.startswith("ResNet"):
        run(f"{name}, {len(many) // batch} batches of {batch}", many, batch)
        os.environ["SPIKEPORT_GRAPHS"] = "off"
        running = Engine(graph, table.device)
        run(f"{name}, batch 1, no graphs", first, 1)
        run(f"{name}, batch {batch}, no graphs", x, batch)
        del os.environ["SPIKEPORT_GRAPHS"]
    if cpu.packed(x) is not None:
        table.timed(f"{name}, spikes packed by the host", batch, partial(cpu.packed, x))
    if "recurrent" not in name:
        for kind, eager in _eager(table, name, graph, x, batch).items():
            table.ratio(f"{name}, speed, of eager PyTorch's, {kind}", eager, alone[False] if "there" in kind else plain)


def _alone(table, name, graph, x, batch, *, events):
    """A batch whose samples lie on the card, as they are brought, and of which nothing is brought back."""
    program = Engine(graph, table.device, "triton").ready(Range(int(graph.entry.low), int(graph.entry.high)))
    coding, recorder = graph.entry.coding, recorder_for(table.device)
    frames = Frames(torch.as_tensor(x if coding == "events" else x[None]).to(table.device), coding)

    def launch():
        Run(program, Request(events=events), Results(program.outs, {})).launch(frames, graph.timesteps)

    def prepared():
        with torch.inference_mode(), whole_factors(table.device):
            launch()
            return recorder(launch) if recorder else launch

    what = f"{name}, {'with events, ' if events else ''}samples there"
    again = table.tried(what, prepared)
    return again and table.timed(what, batch, again)


def _eager(table, name, graph, x, batch):
    """The same network in eager PyTorch on the same card: input copied to it, counts copied back; or input there."""
    run, seconds = networks.eager(graph, device=table.device), {}

    def call(x):
        with torch.inference_mode(), torch.device(table.device):
            return run(x.to(table.device).float()).sum()

    there = torch.as_tensor(x).to(table.device)
    for tf32 in (False, True):
        kind = "TF32" if tf32 else "float32"
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
        what = f"{name}, eager PyTorch, {kind}"
        seconds[kind] = table.timed(what, batch, lambda: call(torch.as_tensor(x)).cpu())
        seconds[f"{kind}, samples there"] = table.timed(f"{what}, samples there", batch, partial(call, there))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    return seconds
