"""Losses: on the readout, on every step, and on how near the membranes lie to their thresholds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikeport.findings import require
from spikeport.training.layers import Readout
from spikeport.training.membrane_norm import MembraneNorm
from spikeport.training.neurons import Neuron


def cross_entropy(logits: Tensor, labels: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of [B, classes]; ``smoothing`` 0.1 is DS-ATGO's code (functional.py:15-27)."""
    return F.cross_entropy(_whole(logits), labels, label_smoothing=smoothing)


def tet(steps: Tensor, labels: Tensor, *, share: float = 0.05, level: float = 1.0, smoothing: float = 0.0) -> Tensor:
    """TET: the mean over steps of the cross-entropy of each, and a pull of all outputs towards ``level``.

        (1 - share) * mean_t CE(y[t]) + share * mean (y - level)**2

    ``steps`` [T, B, classes]: what enters the readout. Source: Deng et al., ICLR 2022, eq. 10-13.
    """
    steps = _whole(steps)
    each = F.cross_entropy(steps.flatten(0, 1), labels.repeat(steps.shape[0]), label_smoothing=smoothing)
    return (1 - share) * each + share * (steps - level).square().mean()


def mean_square(logits: Tensor, labels: Tensor, *, smoothing: float = 0.0) -> Tensor:
    """Mean square of [B, classes] minus one-hot labels, smoothed as in `cross_entropy`: over samples and classes."""
    logits = _whole(logits)
    wanted = F.one_hot(labels, logits.shape[1]).to(logits.dtype) * (1 - smoothing) + smoothing / logits.shape[1]
    return F.mse_loss(logits, wanted)


def near_threshold(module: nn.Module) -> Tensor:
    """MPD-SGR: the share of membranes expected inside the surrogate, mean over layers, channels and steps, 0 ... 1.

        u[t] - V_th ~ N(beta D(decay, t) - V_th, (gamma scale)**2 D(decay**2, t))      D(a, t) = sum_{i <= t} a**(t-i)

    Add it to the loss with a factor: fewer membranes near the threshold make a network robust (arXiv 2511.12199, after
    a secondary source; its term for past resets is left out here). Where thresholds adapt, they are the moving
    averages, and the width follows the spread of these same normal distributions. Layers without tdBN do not count.
    Raises SP316 for a normalisation with numbers of its own at each step, of which this says nothing.
    """
    neurons = [part for part in module.modules() if isinstance(part, Neuron)]
    norms = {type(part.norm_before[0]).__name__ for part in neurons}
    other = norms - {"TdBatchNorm", "NoneType"} | {"MPBN" for part in neurons if isinstance(part, MembraneNorm)}
    require(
        not other, "SP316", f"MPD-SGR is for tdBN, not for {', '.join(sorted(other))}", mend="leave mpd_sgr or norm out"
    )
    shares = [_share_inside(part) for part in module.modules() if isinstance(part, Neuron) and part.norm_before[0]]
    return torch.stack(shares).mean() if shares else torch.zeros(())


def _share_inside(neuron: Neuron) -> Tensor:
    norm = neuron.norm_before[0]
    assert norm is not None
    steps = torch.arange(neuron.timesteps, device=norm.weight.device)
    decay = neuron.decay
    powers = decay ** steps[:, None].sub(steps).clamp(min=0) * steps[:, None].ge(steps)  # [t, i]: decay^(t - i), i <= t
    threshold = neuron.threshold if neuron.threshold.ndim == 2 else neuron.threshold[:, None]
    centre = norm.bias * powers.sum(1)[:, None]
    spread = (norm.weight * norm.scale).abs().clamp(min=1e-6) * powers.square().sum(1).sqrt()[:, None]
    half = _widths(neuron, centre, spread) / 2
    below, above = (centre - threshold - half) / spread, (centre - threshold + half) / spread
    return 0.5 * (torch.erf(above / math.sqrt(2)) - torch.erf(below / math.sqrt(2))).mean()


@torch.no_grad()
def _widths(neuron: Neuron, centre: Tensor, spread: Tensor) -> Tensor:
    """Surrogate widths [T, 1] or [T, C] of membranes that are normal in each channel, both [T, C]."""
    if not neuron.method.adaptive or isinstance(neuron.threshold, nn.Parameter):
        return neuron.surrogate_widths()[:, None]
    if neuron.threshold.ndim == 2:
        return neuron.method.adapted_width(spread, neuron.threshold)
    whole = (spread.square().mean(1) + centre.var(1, correction=0)).sqrt()  # over all channels together
    return neuron.method.adapted_width(whole, neuron.threshold)[:, None]


def _whole(values: Tensor) -> Tensor:
    """At least single precision."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


@contextmanager
def listening(module: nn.Module) -> Iterator[list[Tensor]]:
    """What enters the readouts of ``module`` while this is open, in the order of the calls: [T, B, classes] each."""
    heard: list[Tensor] = []
    handles = [
        part.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0]))
        for part in module.modules()
        if isinstance(part, Readout)
    ]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()
