"""Re-estimates a lost threshold table from data."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from spikeport.findings import fail
from spikeport.graph import Array, Coding, Samples
from spikeport.training.methods import DsAtgo
from spikeport.training.neurons import Neuron

BATCH = 100  #: the authors' batch size (base_config.py)
BATCHES = 50  #: enough for the mean to settle


def calibrate(module: nn.Module, x: Array, coding: Coding = "direct", *, seed: int = 0) -> int:
    """Set every layer's thresholds to the mean of DS-ATGO's training statistics over batches of ``x``.

    Norms stay in evaluation; the neurons fire with each batch's own threshold f_c * (mean + std), as in training
    (neuron.py:19-35). The public code takes a moving average from a start value of 1.0; of that start 0.9**50 = 0.5 %
    is left after 50 batches, which is a lot beside a threshold of 0.05, so the plain mean is taken instead. ``x`` is
    [N, ...] or [T, N, ...]; it is shuffled anew in each pass, until at least 50 batches of 100 were seen. Returns
    their number. The module is left in evaluation mode. Raises SP396 where there is nothing to calibrate.
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
    count = 0
    try:
        for part in neurons:
            part.train()
        while count < BATCHES:
            for index in torch.randperm(samples.number, generator=generator).split(BATCH):  # type: ignore[no-untyped-call]
                if len(index) < 2:
                    continue
                count += 1
                for part, method in zip(neurons, adaptive, strict=True):
                    part.method = replace(method, momentum=1 / count)  # the running mean of all batches
                with torch.no_grad():
                    module(torch.as_tensor(samples.take(index.numpy()).array).float())
    finally:
        for part, kept in zip(neurons, methods, strict=True):
            part.method = kept
        module.eval()
    return count
