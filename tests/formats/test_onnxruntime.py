"""onnxruntime's providers as targets: which one runs, and what happens where it cannot."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from spikeport.findings import SpikeportError
from spikeport.graph import LIF, LOIHI2, Graph, Input, Linear, Loihi, Pool, Readout
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
    for there, device, number in ((cuda(), "cpu", 0), (OnnxRuntime(), "cuda:1", 1), (OnnxRuntime(), "auto", 0)):
        there.run(graph, np.ones((1, 2), f4), Request(device=device))
        options = {"use_tf32": 0, "device_id": number}
        assert Session.asked == [("CUDAExecutionProvider", options), "CPUExecutionProvider"]


def test_auto_is_the_cpu_where_onnxruntime_has_no_cuda_and_the_record_says_so(graph):
    record = OnnxRuntime().run(graph, np.ones((1, 2), f4), Request(device="auto"))
    assert [finding.code for finding in record.findings] == ["SP522"]


def test_a_gpu_that_does_not_start_is_an_error_not_the_cpu(graph, gpu, monkeypatch):
    """onnxruntime logs a warning and goes on with the CPU."""
    monkeypatch.setattr(Session, "got", ("CPUExecutionProvider",))
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    error = refused(lambda: cuda().run(graph, np.ones((1, 2), f4), Request()))
    assert error.code == "SP261"
    assert "could not start" in str(error)


@pytest.mark.parametrize(("low", "high"), [(0, 255), (-128, 127)])
def test_sums_of_whole_bytes_do_not_saturate(low, high):
    """255 * 127 + 255 * 127 leaves the 16 bits in which x86 without VNNI adds two products with signed bytes."""
    lif = LIF((2,), np.asarray(4096), np.full(1, 9), compare=">", reset="none")
    weight = np.asarray([[127] * 64, [-128] * 64], np.int8)
    nodes = {
        "in": Input((64,), low=low, high=high),
        "fc": Linear(weight),
        "lif": lif,
        "back": Linear(np.eye(2, dtype=np.int8)),
    }
    nodes |= {"out": Readout((2,), np.ones(1, int), np.asarray(0))}
    edges = (("in", "fc"), ("fc", "out"), ("fc", "lif"), ("lif", "back"), ("back", "out"))
    record = target("onnxruntime").run(Graph(nodes, edges, 1, Loihi(LOIHI2)), np.full((1, 64), high), Request())
    fired = [high * 127 * 64 > 9, high * -128 * 64 > 9]
    assert record.outputs.tolist() == [[(high * 127 * 64 + fired[0]) * 64, (high * -128 * 64 + fired[1]) * 64]]


def test_an_average_pool_padded_as_wide_as_its_kernel_runs():
    """Of 1 2 3 under a window of two, padded by two: the outermost windows hold nothing."""
    pool = Pool("average", (2,), (1,), (2,))
    lif = LIF((1, 6), f4(0), f4([0.75]), compare=">=")
    record = target("onnxruntime").run(
        Graph.chain({"in": Input((1, 3)), "pool": pool, "lif": lif}, 1), f4([[[1, 2, 3]]]), Request(trains=True)
    )
    assert record.trains["lif"].unpack().ravel().tolist() == [False, False, True, True, True, False]
