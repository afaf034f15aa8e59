"""A training step of ResNet-19 and VGGSNN (batch 8) against plain step-by-step PyTorch; never asserts a time."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("train_child.py")
BENCH = Path("build/bench.json")


def entry(**facts):
    """Add one entry to build/bench.json, in place of an older one of the same name."""
    BENCH.parent.mkdir(exist_ok=True)
    old = json.loads(BENCH.read_text()) if BENCH.exists() else []
    BENCH.write_text(json.dumps([e for e in old if e["name"] != facts["name"]] + [facts], indent=1) + "\n")
    print(facts)


def step(network, variant):
    done = subprocess.run([sys.executable, str(CHILD), network, variant], capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.bench
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("network", ["resnet19", "vggsnn"])
def test_a_training_step(network):
    plain = step(network, "plain")
    for variant in ("float32", "bf16"):
        ours = step(network, variant)
        # The same first loss: it is the same network.
        assert ours["losses"][0] == pytest.approx(plain["losses"][0], rel=0.05 if variant == "bf16" else 1e-3)
        entry(
            name=f"train/{network}/{variant}", against="plain step-by-step PyTorch, float32",
            ratio=plain["seconds"] / ours["seconds"], seconds=ours["seconds"], seconds_against=plain["seconds"],
            peak_bytes=ours["peak_bytes"], peak_bytes_against=plain["peak_bytes"],
        )  # fmt: skip


@pytest.mark.bench
@pytest.mark.timeout(3600)
def test_short_trainings_in_bf16(tmp_path):
    """Digits, three seeds, ten epochs: accuracy in float32 and in bf16."""
    from spikeport.api.train import train

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
    accuracy = {name: [run.metadata["test_accuracy"] for run in some] for name, some in runs.items()}
    means = {name: statistics.fmean(values) for name, values in accuracy.items()}
    entry(
        name="train/digits-conv/bf16-accuracy", against="float32, three seeds", ratio=means["bf16"] / means["float32"],
        seconds=statistics.fmean(run.seconds for run in runs["bf16"]), accuracy=accuracy,
    )  # fmt: skip
