"""A training step (ResNet-19, VGGSNN, digits-conv) against plain step-by-step PyTorch; never asserts a time."""

import copy
import importlib.util
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench_record import record
from spikeport import process
from spikeport.training.networks import build
from spikeport.training.precision import fastest

CHILD = Path(__file__).with_name("train_child.py")


def step(network, variant, turn=0):
    """What a child says. Threads of plain PyTorch turn while they wait, as it comes; in every other turn they sleep."""
    policy = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": str(process.TURNS)}  # as `spikeport train` has it
    environment = {name: value for name, value in os.environ.items() if name not in policy}
    if variant not in ("plain", "unbound") or turn % 2:
        environment |= policy
    done = subprocess.run(
        [sys.executable, str(CHILD), network, variant], capture_output=True, text=True, timeout=1200, env=environment
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_plain_network_is_the_same_network():
    """The same logits and gradients in float64: the times compare like with like, and whole networks are faithful."""
    specification = importlib.util.spec_from_file_location("train_child", CHILD)
    child = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(child)
    cases = (
        ("resnet19", (3, 16, 16), 2, {"width": 0.1}),
        ("vggsnn", (2, 16, 16), 3, {"width": 0.1}),
        ("conv", (1, 8, 8), 4, {"channels": [4, 8], "hidden": 16}),
    )
    for network, shape, timesteps, options in cases:
        torch.manual_seed(0)
        ours = (
            build(network, input_shape=shape, classes=10, timesteps=timesteps, train_with="ds-atgo", options=options)
            .double()
            .train()
        )
        other = child.plain(copy.deepcopy(ours)).double()
        x = torch.rand(*((timesteps, 8) if network == "vggsnn" else (8,)), *shape, dtype=torch.float64)
        weights = torch.randn(8, 10, dtype=torch.float64)
        logits = [module(x) for module in (ours, other)]
        for outputs in logits:
            (outputs * weights).sum().backward()
        torch.testing.assert_close(*logits, rtol=1e-10, atol=1e-12)
        synapses = [
            [part.weight.grad for part in module.modules() if isinstance(part, torch.nn.Conv2d | torch.nn.Linear)]
            for module in (ours, other)
        ]
        assert len(synapses[0]) == {"resnet19": 21, "vggsnn": 9, "conv": 4}[network]
        for a, b in zip(*synapses, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-10)


@pytest.mark.bench
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("network", ["resnet19", "vggsnn"])
def test_a_training_step(network):
    runs = {}
    half = fastest() == "bf16"  # a step takes minutes where products are emulated, and shows nothing
    ours = ("plain", "float32", *(["bf16"] if half else []))
    floors = ("unbound", "convolutions", *(["convolutions-bf16"] if half else []))
    if not half:
        print("this processor has no instructions for products of bf16, which is left out", flush=True)
    for turn, some in enumerate((ours, floors, ours)):  # in turns: no busy moment for one alone
        for variant in some:
            runs.setdefault(variant, []).append(step(network, variant, turn // 2))
    best = {variant: min(run["seconds"] for run in several) for variant, several in runs.items()}
    peak = {variant: min(run["peak_bytes"] for run in several) for variant, several in runs.items()}
    for variant, floor in (("float32", "convolutions"), ("bf16", "convolutions-bf16"))[: 1 + half]:
        for against, peer in (
            ("plain step-by-step PyTorch, float32", "plain"),
            ("the same, steps taken apart with unbind", "unbound"),
            ("torch's convolutions alone", floor),
        ):
            record(
                f"training step, {network}, {variant}",
                against,
                best[peer] / best[variant],
                best[variant],
                seconds_against=best[peer],
                peak_bytes=peak[variant],
                peak_bytes_against=peak[peer],
                table="training",
            )


@pytest.mark.bench
def test_a_step_of_a_tiny_training():
    """digits-conv, batch 64: what a step takes besides its convolutions shows here."""
    runs = {"plain": [], "float32": []}
    for turn in range(3):
        for variant, several in runs.items():
            several.append(step("conv", variant, turn))
    for what, key in (("minima", "seconds"), ("medians", "median")):
        ours, plain = (min(run[key] for run in runs[variant]) for variant in ("float32", "plain"))
        peaks = {
            name: min(run["peak_bytes"] for run in runs[variant])
            for name, variant in (("peak_bytes", "float32"), ("peak_bytes_against", "plain"))
        }
        record(
            "training step, digits-conv at batch 64, float32",
            f"plain step-by-step PyTorch, float32, {what} of 200 steps",
            plain / ours,
            ours,
            seconds_against=plain,
            table="training",
            **peaks,
        )


@pytest.mark.bench
@pytest.mark.timeout(3600)
def test_short_trainings_in_bf16(tmp_path):
    """Digits, three seeds, ten epochs: accuracy in float32 and in bf16."""
    from spikeport.verbs.train import train

    runs = {}
    for precision in ("float32", "bf16"):
        runs[precision] = [
            train(
                "digits",
                out=tmp_path / f"{precision}{seed}",
                overrides={"epochs": 10, "precision": precision, "seed": seed},
            )
            for seed in range(3)
        ]
    accuracy = {name: [run.metadata["test_accuracy"] for run in several] for name, several in runs.items()}
    means = {name: statistics.fmean(values) for name, values in accuracy.items()}
    record(
        "test accuracy, digits-conv, ten epochs, bf16",
        "float32, three seeds",
        means["bf16"] / means["float32"],
        statistics.fmean(run.seconds for run in runs["bf16"]),
        accuracy=accuracy,
        table="training",
    )
