"""Quantisation-aware fine-tuning: training that computes with the very integers that will be deployed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from spikeport.findings import fail
from spikeport.graph import Array, Graph, Samples
from spikeport.quantisation import Quantised
from spikeport.target import Progress, silent
from spikeport.training.integers import IntegerNet

Augment = Callable[[Tensor, torch.Generator], Tensor]

RATE = 0.004  #: learning rate of Adam for weights, as a share of the largest mantissa
BIAS_RATE = 0.002  #: of biases, as a share of the layer's threshold


@dataclass(frozen=True)
class Tuned:
    """What fine-tuning made."""

    graph: Graph  #: Loihi arithmetic; its spikes are those of the trained forward pass
    losses: tuple[float, ...]  #: mean training loss, an epoch
    accuracies: tuple[float, ...]  #: on the training data as they passed, between 0 and 1


def fine_tune(
    quantised: Quantised,
    x: Array | Samples,
    y: Array,
    *,
    epochs: int = 3,
    batch: int = 64,
    rate: float = RATE,
    teacher: Array | None = None,
    augment: Augment | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Tuned:
    """Train the mantissas and biases of a quantised graph on labelled samples.

    ``x``: [N, *input], or [T, N, *input] for events; samples of unequal length are read out at their own last steps.
    ``y``: [N]. ``teacher``: outputs of the real network for ``x`` in real units, [N, classes]; where given, half of the
    loss is the divergence from them.

    1. The forward pass is the integer network itself: mantissas and biases on their grid, decay and thresholds as
       deployed. Gradients pass the rounding as if it were not there (straight-through; Bengio et al., arXiv 1308.3432),
       and are zero for mantissas beyond the format.
    2. Spikes have a rectangular surrogate of the threshold's width around it, and the reset passes no gradient.
    3. Units, exponents, decays and thresholds stay as they were quantised.

    Deterministic for a seed and a number of threads. Raises SP430 for recurrent graphs and for epochs below 1.
    """
    if epochs < 1:
        fail("SP430", f"fine-tuning over {epochs} epochs", mend="use at least one epoch")
    net = IntegerNet(quantised.graph, quantised.plan.before_rounding())
    samples = Samples.of(quantised.graph, x)
    labels = torch.as_tensor(np.asarray(y, dtype=np.int64))
    goal = None if teacher is None else torch.as_tensor(np.asarray(teacher, dtype=np.float32).reshape(len(labels), -1))
    optimiser = torch.optim.Adam(net.groups(rate, BIAS_RATE))
    generator = torch.Generator().manual_seed(seed)
    steps = epochs * (-(-len(labels) // batch))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    done, losses, accuracies = 0, [], []
    for _ in range(epochs):
        total, right = 0.0, 0
        for pick in _batches(len(labels), batch, generator):
            some = samples.take(pick.numpy())
            part = torch.as_tensor(np.asarray(some.array, dtype=np.float32))
            part = part if augment is None else augment(part, generator)
            output = net(part, None if some.lengths is None else torch.as_tensor(some.lengths)).flatten(1)
            loss = _loss(output, labels[pick], None if goal is None else goal[pick])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += float(loss.detach()) * len(pick)
            right += int((output.argmax(1) == labels[pick]).sum())
            done += 1
            progress(done, steps)
        losses.append(total / len(labels))
        accuracies.append(right / len(labels))
    return Tuned(net.graph(), tuple(losses), tuple(accuracies))


def _batches(count: int, size: int, generator: torch.Generator) -> list[Tensor]:
    order = torch.randperm(count, generator=generator)
    return [order[start : start + size] for start in range(0, count, size)]


def _loss(output: Tensor, labels: Tensor, goal: Tensor | None) -> Tensor:
    loss = F.cross_entropy(output, labels)
    if goal is None:
        return loss
    return 0.5 * loss + 0.5 * F.kl_div(
        output.log_softmax(1), goal.log_softmax(1), reduction="batchmean", log_target=True
    )
