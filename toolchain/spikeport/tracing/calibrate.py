"""Re-estimates a lost threshold table from data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor, nn

from spikeport.findings import fail
from spikeport.graph import Array, Coding, Samples
from spikeport.target import Progress, silent
from spikeport.training.methods import DsAtgo
from spikeport.training.neurons import Neuron

BATCH = 100  #: the authors' batch size (base_config.py)
BATCHES = 50  #: enough for the mean to settle


def calibrate(
    module: nn.Module, x: Array, coding: Coding = "direct", *, seed: int = 0, progress: Progress = silent
) -> int:
    """Set every layer's thresholds to the mean of DS-ATGO's training statistics over batches of ``x``.

    Norms stay in evaluation; the neurons fire with each batch's own threshold f_c * (mean + std), as in training
    (neuron.py:19-35). The public code takes a moving average from a start value of 1.0; of that start 0.9**50 = 0.5 %
    is left after 50 batches, which is a lot beside a threshold of 0.05, so the plain mean is taken instead. ``x`` is
    [N, ...] or [T, N, ...]; it is shuffled anew in each pass, until 50 batches of 100 were seen, or of fewer
    where there are no 100. Returns their number. The module is left in evaluation mode. Raises SP396 where there is
    nothing to calibrate.
    """
    neurons = [part for part in module.modules() if isinstance(part, Neuron)]
    methods = [part.method for part in neurons]
    samples = Samples(x, coding)
    adaptive = [method for method in methods if isinstance(method, DsAtgo)]
    if not neurons or len(adaptive) < len(neurons) or samples.number < 2:
        fail(
            "SP396",
            f"cannot calibrate {len(neurons)} neuron layers on {samples.number} samples",
            mend="use data with at least two samples, and a DS-ATGO network",
        )
    generator = torch.Generator().manual_seed(seed)
    module.eval()
    try:
        for part in neurons:
            part.train()
        for count, index in enumerate(islice(_batches(samples.number, generator), BATCHES), 1):
            for part, method in zip(neurons, adaptive, strict=True):
                part.method = replace(method, momentum=1 / count)  # the running mean of all batches
            with torch.no_grad():
                module(torch.as_tensor(samples.take(index.numpy()).array).float())
            progress(count, BATCHES)
    finally:
        for part, kept in zip(neurons, methods, strict=True):
            part.method = kept
        module.eval()
    return BATCHES


def _batches(number: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Indices of the samples, shuffled anew in each pass, without end; a rest of one has no deviation: left out."""
    while True:
        order = torch.randperm(number, generator=generator)
        yield from (index for index in order.split(BATCH) if len(index) > 1)  # type: ignore[no-untyped-call]
