"""Training methods: how a layer's threshold and its surrogate's width follow from what the layer does.

A method is a small frozen object that a neuron takes. ``adaptive`` methods set the threshold of each step from the
membrane of the batch (`adapt`, or `watch` for more than its mean and spread); the others have a constant threshold and
give the widths beforehand (`widths`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from spikeport.training.surrogates import Shape

MIN_WIDTH = (
    1e-3  #: membrane units; keeps 1 / width finite where gamma collapses (ours: the published code divides by 0)
)


Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)]
Momentum = Annotated[float, Field(ge=0, lt=1, strict=True)]


@dataclass(frozen=True, slots=True)
class Method:
    """A fixed surrogate: constant width, constant threshold."""

    name: ClassVar[str] = "fixed"
    adaptive: ClassVar[bool] = False  #: whether thresholds follow the membrane in training
    watches: ClassVar[bool] = False  #: whether they follow by `watch`, which sees every membrane, not by `adapt`
    learns_width: ClassVar[bool] = False  #: whether the width is a parameter of each layer
    learns_readout: ClassVar[bool] = False  #: whether the readout's weights over time are learned

    threshold: Positive = 0.5  #: V_th, the threshold at the start, in membrane units
    width: Positive = 1.0  #: surrogate width at the start, in membrane units
    shape: Shape = "rectangular"
    alpha: Positive = 1.0  #: of tdBN, whose currents start with a deviation of alpha * V_th; 1 in both codes

    @property
    def masked(self) -> float:
        """Share of surrogate slopes that is dropped at random."""
        return 0.0

    @property
    def readout_momentum(self) -> float:
        """How slowly a learned readout follows the accuracy of each step."""
        return 1.0

    @property
    def compiled(self) -> bool:
        """Whether the compiled loops know this method."""
        return self.shape == "rectangular" and self.masked == 0 and not self.learns_width and not self.watches

    @property
    def norm_gamma(self) -> float:
        """Where tdBN's gamma starts."""
        return 1.0

    @property
    def norm_scale(self) -> float:
        """The factor alpha * V_th that tdBN keeps apart from gamma; 1 where gamma holds it."""
        return self.alpha * self.threshold

    def widths(self, threshold: Tensor, decay: Tensor, gamma: Tensor | None) -> Tensor:
        """Surrogate width of each step, [T], for thresholds [T]; ``gamma`` [C] is tdBN's, None without tdBN."""
        return torch.full_like(per_step(threshold), self.width)

    def adapt(self, mean: Tensor, std: Tensor, decay: Tensor) -> tuple[Tensor, Tensor]:
        """Threshold and width of one step, from mean, unbiased std and decay of the membrane before the reset."""
        raise NotImplementedError(f"{self.name} has constant thresholds")

    def watch(self, u: Tensor, decay: Tensor) -> tuple[Tensor, Tensor]:
        """Threshold and width [] of one step from its membranes ``u`` [B, *neurons] before the reset, and the decay."""
        raise NotImplementedError(f"{self.name} does not watch membranes")

    def adapted_width(self, std: Tensor, threshold: Tensor) -> Tensor:
        """Width of one step around ``threshold`` where the membrane has this unbiased standard deviation."""
        raise NotImplementedError(f"{self.name} has widths that are given beforehand")


class Fixed(Method):
    """Fixed surrogate of width 1 around a constant threshold: what both papers call vanilla."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class MpdAgl(Method):
    """MPD-AGL: the width follows the spread of the membrane, read from tdBN's gamma and the decay.

        width[0]     = 2 gamma_bar V_th
        width[t > 0] = 2 sqrt(1 + decay**2) gamma_bar V_th        gamma_bar = mean over channels of gamma

    Source: Jiang et al., IJCAI 2025, theorem 2, as in the public code (surrogate.py:21-25); width 1 without tdBN. Where
    gamma_bar is not positive the code divides by 0 or turns the gradient round; MIN_WIDTH is a floor under the width.
    """

    name: ClassVar[str] = "mpd-agl"

    def widths(self, threshold: Tensor, decay: Tensor, gamma: Tensor | None) -> Tensor:
        steps = per_step(threshold)
        if gamma is None:
            return torch.full_like(steps, self.width)
        later = 2 * torch.sqrt(1 + decay * decay) * gamma.mean() * steps
        first = 2 * gamma.mean() * steps[:1]
        return torch.cat([first, later[1:]]).clamp(min=MIN_WIDTH)


@dataclass(frozen=True, slots=True)
class DsAtgo(Method):
    """DS-ATGO: the threshold follows the membrane, the width follows the threshold.

        threshold[t] = f_c * (mean(u[t]) + std(u[t]))      over the batch, in training       (eq. 5, "true")
                       f_c * sqrt(1 + decay**2) * V_th                                       ("estimated")
        running      = (1 - m) * running + m * threshold   what inference fires with         (eq. 6)
        width[t]     = k0 * (1 + tanh(a - V_th))           a = std(u[t]): the published code (surrogate.py:36-43)
                                                           a = threshold[t]: the paper's text (eq. 7)

    Source: Jiang et al., AAAI 2026. f_c trades firing rate for accuracy: 1 - Phi(f_c), 15.87 % at 1. The ablations:
    ``threshold_from = "constant"`` keeps V_th (dynamic surrogate alone), ``width_from = "fixed"`` keeps the width
    (adaptive threshold alone), ``momentum = 1`` fires in inference with what the last batch had (no moving average).
    ``per_channel`` keeps one threshold a channel instead of one a layer (ours, not the paper's).
    """

    name: ClassVar[str] = "ds-atgo"
    adaptive: ClassVar[bool] = True

    threshold: Positive = 1.0
    f_c: Positive = 1.0  #: dimensionless
    momentum: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.1  #: m
    threshold_from: Literal["true", "estimated", "constant"] = "true"
    width_from: Literal["sigma", "threshold", "fixed"] = "sigma"
    per_channel: Annotated[bool, Field(strict=True)] = False

    @property
    def norm_gamma(self) -> float:
        return self.alpha * self.threshold

    @property
    def norm_scale(self) -> float:
        return 1.0

    def adapt(self, mean: Tensor, std: Tensor, decay: Tensor) -> tuple[Tensor, Tensor]:
        threshold = self.f_c * (mean + std)
        if self.threshold_from == "estimated":
            threshold = torch.full_like(threshold, self.threshold) * self.f_c * torch.sqrt(1 + decay * decay)
        elif self.threshold_from == "constant":
            threshold = torch.full_like(threshold, self.threshold)
        return threshold, self.adapted_width(std, threshold)

    def adapted_width(self, std: Tensor, threshold: Tensor) -> Tensor:
        if self.width_from == "fixed":
            return torch.full_like(std, self.width)
        follows = std if self.width_from == "sigma" else threshold
        return (self.width * (1 + torch.tanh(follows - self.threshold))).clamp(min=MIN_WIDTH)


def per_step(threshold: Tensor) -> Tensor:
    """[T] from [T] or [T, C]: channels averaged."""
    return threshold.detach() if threshold.ndim == 1 else threshold.detach().flatten(1).mean(1)
