"""Samples on their way to a card: spikes go as bits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from card_layers import conv
from equal_records import ALL, same
from interpreted import MISSING, interpreted
from spikeport.engine import simulate
from spikeport.graph import LIF, LOIHI2, Graph, Input, Loihi

kernels = pytest.mark.skipif(bool(MISSING), reason=MISSING or "there")


@kernels
@pytest.mark.parametrize(("integers", "batch"), [(True, None), (True, 2), (False, 2)])
def test_spikes_are_sent_to_a_card_a_bit_each(integers, batch, monkeypatch):
    """An eighth of the bytes over the way to it; what it unpacks are the samples, in any batch."""
    from spikeport.engine import enter

    rng, number = np.random.default_rng(0), np.int64 if integers else np.float32
    synapse, theta = conv(rng, 4, 8, 3, 3), np.asarray([200, 300] if integers else [1.5, 2]).astype(number)
    if not integers:  # short fractions, so that no sum is rounded
        synapse = synapse.with_(weight=(synapse.weight / np.float32(128)).astype(np.float32))
    decay = np.asarray(2048 if integers else 0.5, number)
    nodes = {"input": Input((8, 5, 5), "events", **({"low": 0, "high": 1} if integers else {})), "synapse": synapse}
    nodes["lif"] = LIF((4, 3, 3), decay, theta, compare=">")
    graph, sent = Graph.chain(nodes, 2, **({"arithmetic": Loihi(LOIHI2)} if integers else {})), []
    for samples in (rng.random((2, 5, 8, 5, 5)) < 0.4, np.ones((2, 5, 8, 5, 5), np.uint8)):
        with interpreted(), monkeypatch.context() as within:
            within.setattr(enter.cuda, "sent", lambda values, device: sent.append(values) or values)
            there = simulate(graph, samples, replace(ALL, batch=batch), kernels="triton")
        same(there, simulate(graph, samples, ALL, kernels="plain"))
    assert {each.dtype for each in sent} == {torch.uint8}
    assert sum(each.numel() for each in sent) == 2 * samples.size // 8


def test_what_are_no_spikes_is_not_packed():
    """A two among the last, a size that eight does not divide, floats: sent as they are."""
    from spikeport.engine.cpu import packed

    x = np.random.default_rng(1).integers(0, 2, (3, 8 * 5000)).astype(np.uint8)
    bits, least, largest = packed(x)
    assert np.array_equal(bits, np.packbits(x, bitorder="little"))
    assert (least, largest) == (0, 1)
    assert packed(np.ones(8, bool))[1:] == (1, 1)
    assert packed(np.zeros(16, np.uint8))[1:] == (0, 0)
    x[-1, -1] = 2
    assert packed(x) is packed(x[:, :7]) is packed(x[:, ::2]) is packed(x.astype(np.float32)) is None
