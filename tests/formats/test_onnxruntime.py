"""onnxruntime's providers as targets: which one runs, and what happens where it cannot."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Graph, Input, Linear
from spikeport.target import Request, target
from spikeport_targets.onnxruntime import OnnxRuntime, cuda

f4 = np.float32


@pytest.fixture
def graph():
    nodes = {"in": Input((2,)), "fc": Linear(np.eye(2, dtype=f4)), "lif": LIF((2,), f4(0.5), np.ones(3, f4))}
    return Graph.chain(nodes, 3)


def refused(call):
    with pytest.raises(SpikeportError) as caught:
        call()
    return caught.value


def test_both_providers_are_targets_by_name():
    assert target("onnxruntime") == OnnxRuntime()
    assert target("onnxruntime-cuda") == cuda()
    assert target("onnxruntime").availability().ready


def test_a_package_without_the_provider_says_how_to_get_it(graph, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    availability = cuda().availability()
    assert not availability.ready
    assert "CUDAExecutionProvider" in availability.why
    assert "onnxruntime-gpu" in availability.mend
    error = refused(lambda: cuda().run(graph, np.ones((1, 2), f4), Request()))
    assert error.code == "SP261"
    assert "onnxruntime-gpu" in str(error)


class Session:
    """What onnxruntime makes of a model; ``got`` says which providers started."""

    asked = None
    got = ("CUDAExecutionProvider", "CPUExecutionProvider")

    def __init__(self, data, options, providers):
        type(self).asked = providers

    def get_providers(self):
        return list(self.got)

    def run(self, names, feed):
        return [np.zeros((1, 2), f4), np.zeros((3, 1, 2), f4)]


@pytest.fixture
def gpu(monkeypatch):
    """A machine whose onnxruntime offers CUDA: no such machine runs this test."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(Session.got))
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)


def test_the_gpu_is_asked_for_without_tf32(graph, gpu):
    cuda().run(graph, np.ones((1, 2), f4), Request())
    assert Session.asked == [("CUDAExecutionProvider", {"use_tf32": 0}), "CPUExecutionProvider"]


def test_a_gpu_that_does_not_start_is_an_error_not_the_cpu(graph, gpu, monkeypatch):
    """onnxruntime logs a warning and goes on with the CPU."""
    monkeypatch.setattr(Session, "got", ("CPUExecutionProvider",))
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    error = refused(lambda: cuda().run(graph, np.ones((1, 2), f4), Request()))
    assert error.code == "SP261"
    assert "could not start" in str(error)
