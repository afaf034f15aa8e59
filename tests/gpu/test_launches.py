"""What is launched on a card, without one: tensors on PyTorch's "meta" device have no values and cannot be read.

So a launch that waits for the card, for a loss or a count, fails here; so does one that is given what lies elsewhere.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch

from interpreted import MISSING, interpreted
from random_graphs import Wish, draw
from random_graphs import samples as random_samples
from spikeport.engine.batch import Run
from spikeport.engine.build import build
from spikeport.engine.enter import Frames
from spikeport.engine.readout import Results
from spikeport.graph import LIF, Range
from spikeport.target import Request
from spikeport.training import PLIF, DsAtgo, Fixed, TdBatchNorm
from tape import Watch, kernels_to, tensors

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING or "there")
EVERYTHING = Request(trains=True, membranes=True, events=True)


@contextmanager
def launching():
    """Within, the names of kernels that are launched are put down; they get what lies on the card, and are not run."""
    names = []

    def hear(name, launch, given):
        assert {each.device.type for each in tensors(given)} == {"meta"}, f"{name} is given what lies on the CPU"
        names.append(name)

    with interpreted(), kernels_to(hear):
        yield names


@pytest.mark.parametrize(("seed", "integers"), [(n, n < 8) for n in range(13)])
def test_a_batch_is_launched_without_a_look_at_the_card(seed, integers):
    """Nothing is read, nothing brought: of the second batch, which finds what the first laid out."""
    graph = draw(np.random.default_rng(seed), Wish("loihi" if integers else "float32"))
    samples = random_samples(graph)
    steady = graph.entry.coding == "direct"
    frames = Frames(torch.empty((1, *samples.shape) if steady else samples.shape, device="meta"), graph.entry.coding)
    with launching() as names, torch.inference_mode():
        entering = Range(int(graph.entry.low), int(graph.entry.high)) if integers else None
        program = build(graph, "meta", "triton", entering)
        for watch in (nullcontext(), Watch()):
            with watch:
                run = Run(program, EVERYTHING, Results(program.outs, {}))
                run.launch(frames, 2)
    assert isinstance(watch, Watch)
    assert not watch.moved
    assert run.results.on_card[graph.output].there[0].device.type == "meta"
    assert names.count("fire" if integers else "fire_real") >= 2 * len(graph.nodes_of(LIF))


@pytest.mark.parametrize(("size", "beyond"), [(4 * 1024, False), (4 * 1024 + 1, True)])
def test_a_kernel_that_leaves_its_memory_is_seen(size, beyond):
    """A sum over windows of one place that is told of one value too many."""
    with interpreted():
        from spikeport.engine.cuda.pools import pool

        x, out = torch.ones(4, 1024, dtype=torch.uint8), torch.empty(4, 1024, dtype=torch.uint8)
        window = (1, 1024, 1, 1024, 1024, 1, 1, 1, 1, 0, 0)
        with pytest.raises(AssertionError, match="behind") if beyond else nullcontext():
            pool[(2,)](x, out, size, *window, 1 << 14)
    assert beyond or (out == 1).all()


@pytest.mark.parametrize("method", [DsAtgo(), DsAtgo(per_channel=True), Fixed()])
@pytest.mark.parametrize("steps", [2, 40])
def test_a_layer_is_trained_without_a_look_at_the_card(method, steps, monkeypatch):
    monkeypatch.setenv("SPIKEPORT_KERNELS", "triton")
    with launching() as names:
        norm = TdBatchNorm(4, method).to("meta")
        neuron = PLIF(method, steps, norm=norm, channels=4).to("meta")
        x = torch.empty(steps, 3, 4, 5, 6, device="meta", dtype=torch.bfloat16)
        rows = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).reshape(x.shape).requires_grad_()
        spikes = neuron.normalised(rows, norm)
        spikes.backward(torch.empty_like(spikes))
    assert spikes.device.type == rows.grad.device.type == norm.weight.grad.device.type == "meta"
    assert ("step" if neuron.adapts else "forward") in names
    assert {"moments", "merge", "backward", "through_norm"} <= set(names)


@pytest.mark.parametrize(("values", "applies"), [(2**31 - 1, True), (2**31, False)])
def test_a_layer_of_more_values_than_32_bits_count_is_trained_step_by_step(values, applies, monkeypatch):
    from spikeport.training import cuda
    from spikeport.training.rules import Rules

    monkeypatch.setenv("SPIKEPORT_KERNELS", "triton")
    x, threshold = torch.empty(3, 1, values, device="meta"), torch.ones(3)
    with interpreted():
        assert cuda.applies(x, threshold, Rules(Fixed(), "zero", False, "bptt")) == applies
