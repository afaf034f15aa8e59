"""Names of devices, and what is said of one that is not here."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from random_graphs import random_graph
from spikeport.engine import devices
from spikeport.engine.target import Integer, IntegerCuda
from spikeport.findings import SpikeportError
from spikeport.record import Record
from spikeport.target import Request
from spikeport.verbs.compare import compare
from spikeport.verbs.evaluate import evaluate
from spikeport.verbs.load import load_model
from spikeport.verbs.quantize import quantize
from spikeport.verbs.run import run
from spikeport.verbs.simulate import simulate


@pytest.fixture
def cards(monkeypatch):
    """A machine with two GPUs, or with none; nothing is run on them."""

    def there(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device="cuda": f"Card of {device}")

    return there


def code_of(call):
    with pytest.raises(SpikeportError) as caught:
        call()
    return caught.value.code


def test_a_name_is_the_processor_that_it_says(cards):
    cards(2)
    for name in ("cpu", "cuda", "cuda:1"):
        assert devices.resolve(name) == (name, ())
    assert devices.resolve("auto") == ("cuda", ())
    assert code_of(lambda: devices.resolve("cuda:2")) == "SP514"
    assert devices.remembers("cuda:1")["device"] == "cuda:1 (Card of cuda:1)"
    assert devices.remembers("cuda:1")["kernels"] == devices.fingerprint()


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:one", "mps", ""])
def test_what_is_no_name_is_refused_with_the_names(cards, name):
    cards(2)
    assert code_of(lambda: devices.resolve(name)) == "SP521"


def test_without_a_gpu_every_verb_refuses_one_and_runs_nothing_elsewhere(cards, tmp_path):
    cards(0)
    graph, samples = random_graph(2, integers=True)
    for call in (
        lambda: devices.resolve("cuda"),
        lambda: simulate(graph, samples, "integer", device="cuda"),
        lambda: evaluate("digits-conv", "digits", target="reference", limit=2, device="cuda:1"),
        lambda: compare("digits-conv@reference,device=cuda", "digits-conv", "digits", limit=2),
        lambda: compare("digits-conv@reference", "digits-conv@reference", "digits", limit=2, device="cuda"),
        lambda: quantize("digits-conv", data="digits", device="cuda"),
        lambda: run("digits", tmp_path, device="cuda"),
    ):
        assert code_of(call) == "SP514"


def test_auto_takes_the_cpu_and_says_so(cards):
    cards(0)
    graph, samples = random_graph(2, integers=True)
    record = simulate(graph, samples, "integer", device="auto")
    assert [finding.code for finding in record.findings if finding.code == "SP522"] == ["SP522"]
    assert np.array_equal(record.outputs, simulate(graph, samples, "integer").outputs)


def test_a_target_that_has_no_gpu_says_so():
    x = np.zeros((2, 1, 8, 8), np.float32)
    digits = load_model("digits-conv")
    assert code_of(lambda: simulate(digits, x, "pytorch", device="cuda")) == "SP524"
    said = [finding.code for finding in simulate(digits, x, "pytorch", device="auto").findings]
    assert "SP522" in said


def test_behind_a_target_stands_a_device_and_nothing_else():
    assert code_of(lambda: compare("digits-conv@reference,batch=3", "digits-conv", "digits", limit=2)) == "SP525"
    compared = compare("digits-conv@reference,device=cpu", "digits-conv@reference", "digits", limit=2)
    assert compared.first is None


def test_a_target_named_for_a_gpu_is_another_name():
    assert [finding.code for finding in IntegerCuda().ways("cuda") if finding.code != "SP520"] == ["SP523"]
    assert Integer().devices == {"cpu", "cuda"}
    assert IntegerCuda().devices == {"cuda"}


def test_a_record_says_on_which_card_it_ran_and_a_file_keeps_it(cards, monkeypatch, tmp_path):
    """The run itself is the CPU's: only its device is said to be another."""
    import spikeport.engine.run as engine

    cards(1)
    graph, samples = random_graph(2, integers=True)
    here = engine.simulate
    monkeypatch.setattr(engine, "simulate", lambda graph, x, request, device="cpu": here(graph, x, request, "cpu"))
    record = simulate(graph, samples, "integer", device="cuda", out=tmp_path)
    assert record.origin["device"] == "cuda (Card of cuda)"
    read = Record.load(tmp_path / "record.npz")
    assert dict(read.origin) == dict(record.origin)
    assert json.dumps(read.origin["kernels"])


def test_a_whole_run_on_a_gpu_keeps_its_record_and_says_where_it_ran(cards, monkeypatch, tmp_path):
    """The run itself is the CPU's; what it leaves is compared later, where no GPU is."""
    from importlib import import_module

    import spikeport.engine.run as engine

    cards(1)
    here, quantize_verb = engine.simulate, import_module("spikeport.verbs.quantize")
    monkeypatch.setattr(engine, "simulate", lambda graph, x, request, device="cpu": here(graph, x, request, "cpu"))
    monkeypatch.setattr(quantize_verb, "on", lambda device: devices.on("cpu"))
    result = run("digits-conv", tmp_path, data="digits", limit=3, target_samples=0, device="cuda")
    assert result["device"] == "cuda (Card of cuda)"
    cards(0)
    compared = compare(str(tmp_path / "model.nir"), str(tmp_path / "record.npz"), "digits", limit=3)
    assert compared.parity.mismatches_above_rounding == 0
    assert compared.parity.samples == 3


def test_parts_of_a_run_on_a_gpu_are_not_those_of_a_run_here():
    from spikeport.engine.resume import _facts
    from spikeport.graph import Samples

    graph, samples = random_graph(2, integers=True)
    here, there = (_facts(graph, Samples.of(graph, samples), Request(device=device), 4) for device in ("cpu", "cuda"))
    assert there == here | {"device": "cuda"}
