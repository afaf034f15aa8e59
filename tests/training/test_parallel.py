"""Processes that train together: two with half the batch equal one with the whole, and torchrun starts them."""

import json
import os
import re
import socket
import subprocess
import sys
import unittest.mock
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from spikeport import datasets
from spikeport.findings import SpikeportError
from spikeport.training import fused, parallel, shipped
from spikeport.training.loop import Training, fit, predict
from spikeport.training.parts import Part
from spikeport.training.recipe import parse
from tiny_training import TINY, blobs, network

#: method, its options, channels-last?, without the compiled loops (as on a GPU)?, tdBN and neurons as one operation?
CASES = {
    "ds-atgo": ("ds-atgo", {}, False, False, False),
    "mpd-agl": ("mpd-agl", {}, False, False, False),
    "ds-atgo, joined": ("ds-atgo", {}, True, False, True),
    "mpd-agl, joined": ("mpd-agl", {}, True, False, True),
    "ds-atgo, step by step": ("ds-atgo", {}, True, True, False),
    "mpd-agl, step by step": ("mpd-agl", {}, False, True, False),
    "a threshold a channel": ("ds-atgo", {"per_channel": True}, True, False, False),
    "a learned width": ("psg", {}, True, False, False),
    "a learned readout": ("masked", {"p": 0.0}, True, False, True),
}

WORKER = """
import sys, torch
torch.set_num_threads(1)
sys.path[:0] = {paths!r}
from test_parallel import CASES, one_training
from spikeport.training.parallel import together
from spikeport.training.reduce import rank
with together():
    results = {{name: one_training(*CASES[name]) for name in {names!r}}}
    if rank() == 0:
        torch.save(results, {out!r})
"""


def one_training(method, options, last, stepwise, joined):
    """Weights and curve in double precision."""
    recipe = parse({**TINY, "epochs": 2, "batch": 60, "method": method, "method_options": options, "lr": 0.02})
    module = network(recipe).double()
    if last:
        module = module.to(memory_format=torch.channels_last)
    train, val = (Part(part.x.double(), part.y, "direct") for part in (blobs(), blobs(30, 1)))
    training = Training.begin(module, recipe, 240)
    with unittest.mock.patch.object(fused, "normalise_and_fire", wraps=fused.normalise_and_fire) as as_one:
        applies = fused.applies
        with unittest.mock.patch.object(fused, "applies", lambda *given: not stepwise and applies(*given)):
            fit(training, train, val)
        # The dense layer is joined in every memory order: the convolutions are what `last` decides about.
        ranks_of = [call.args[0].ndim for call in as_one.mock_calls if call.args]
    assert (5 in ranks_of) == joined
    return module.state_dict(), [(e.loss, e.train_accuracy) for e in training.epochs]


def over_two(out, names, **env):
    """What cases give over two processes (gloo), each with half of every batch."""
    here = Path(__file__).parent
    code = WORKER.format(paths=[str(here), str(here.parent)], names=list(names), out=out)
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2", **env}
    ranks = [{**shared, "RANK": str(k), "LOCAL_RANK": str(k)} for k in range(2)]
    workers = [subprocess.Popen([sys.executable, "-W", "error::FutureWarning", "-c", code], env=env) for env in ranks]
    assert [worker.wait(250) for worker in workers] == [0, 0]
    return torch.load(out, weights_only=True)


@pytest.fixture(scope="module")
def by_two(tmp_path_factory):
    """All cases."""
    return over_two(str(tmp_path_factory.mktemp("two") / "two.pt"), CASES)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_with_half_the_batch_equal_one_with_the_whole(by_two, name):
    """Thresholds and tdBN take their statistics over both; gradients are the mean of both."""
    two, curve2 = by_two[name]
    one, curve = one_training(*CASES[name])
    for key, tensor in one.items():
        torch.testing.assert_close(tensor, two[key], rtol=1e-8, atol=1e-10)
    for epoch, epoch2 in zip(curve, curve2, strict=True):
        assert epoch == pytest.approx(epoch2, rel=1e-10)


@pytest.mark.slow
@pytest.mark.skipif(find_spec("triton") is None, reason="pip install 'spikeport[gpu-tests]'")
@pytest.mark.timeout(600)
def test_two_processes_on_a_cards_kernels_equal_one_without(tmp_path):
    """In Triton's interpreter: statistics are added over both processes there too."""
    names = ("a threshold a channel", "ds-atgo")
    two = over_two(str(tmp_path / "two.pt"), names, TRITON_INTERPRET="1", SPIKEPORT_KERNELS="triton")
    for name in names:
        one, curve = one_training(*CASES[name])
        for key, tensor in one.items():
            torch.testing.assert_close(tensor, two[name][0][key], rtol=1e-8, atol=1e-10)
        assert [each[1] for each in curve] == [each[1] for each in two[name][1]]


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_torchrun_trains_and_writes_the_folder_once(tmp_path):
    """The documented command. The first process writes and speaks; what it wrote is a trained network."""
    torchrun, out = Path(sys.executable).with_name("torchrun"), tmp_path / "out"
    fields = ["epochs=3", "architecture.channels=[4, 8]", "architecture.hidden=16", "batch=80"]
    done = subprocess.run(
        [
            torchrun,
            "--nproc-per-node",
            "2",
            "--master-port",
            str(free_port()),
            "-m",
            "spikeport",
            "train",
            "digits-conv",
            *(part for field in fields for part in ("--set", field)),
            "--out",
            out,
        ],
        capture_output=True,
        text=True,
        timeout=250,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "Warning" not in said
    assert re.findall(r"^epoch (\d)/3", said, re.MULTILINE) == ["1", "2", "3"]
    assert said.count("wrote ") == 1
    assert {path.name for path in out.iterdir()} == {
        "recipe.toml",
        "metrics.json",
        "metrics.csv",
        "curves.png",
        "best.safetensors",
        "last.safetensors",
        "resume.safetensors",
    }
    epochs = json.loads((out / "metrics.json").read_text())
    assert [epoch["epoch"] for epoch in epochs] == [1, 2, 3]
    assert epochs[0]["loss"] > epochs[2]["loss"]
    right = 1280 * epochs[0]["train_accuracy"]  # 16 batches of 80, the 13 samples left are too few: each seen once
    assert right == pytest.approx(round(right), abs=1e-6)
    module, facts = shipped.load(out / "best.safetensors")
    for split in ("val", "test"):
        data = datasets.load("digits", split)
        part = Part.of(data.x, data.y, data.coding)
        share = float((predict(module, part).argmax(1) == part.y).double().mean())
        assert share == pytest.approx(facts[f"{split}_accuracy"], abs=1e-9)


@pytest.fixture
def gpus(monkeypatch):
    """Pretend to have so many of them; returns the device that the process then chose."""
    chosen = []

    def have(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
        return chosen

    return have


def test_each_process_of_torchrun_takes_its_own_gpu(gpus, monkeypatch):
    chosen = gpus(2)
    assert parallel.own_device("cuda") == "cuda"  # one process: torch's own choice
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert parallel.own_device("cuda") == "cuda:1"
    assert chosen == [1]
    assert parallel.own_device("cuda:0") == "cuda:0"
    assert parallel.own_device("cpu") == "cpu"


@pytest.mark.parametrize(
    ("count", "device", "words"),
    [(0, "cuda", "can use no CUDA GPU"), (1, "cuda", "process 1 has none of its own"), (1, "gpu", "is no device")],
)
def test_a_device_that_is_not_there_is_refused(gpus, monkeypatch, count, device, words):
    gpus(count)
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(SpikeportError, match=words) as error:
        parallel.own_device(device)
    assert error.value.code == "SP319"


@pytest.mark.parametrize(("device", "carrier"), [("cpu", "gloo"), ("cuda:1", "cpu:gloo,cuda:nccl")])
def test_every_kind_of_memory_has_its_way_between_processes(monkeypatch, device, carrier):
    """Counts lie in the CPU's memory also where the network lies on a GPU; nccl alone cannot carry them."""
    seen = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(torch.distributed, "init_process_group", seen.append)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: seen.append("left"))
    with parallel.together(device):
        assert seen == [carrier]
    assert seen == [carrier, "left"]
