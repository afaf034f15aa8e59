"""Methods near MPD-AGL and DS-ATGO. None of them changes the forward pass of a trained neuron."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from spikeport.training.methods import Method, Momentum, per_step


@dataclass(frozen=True, slots=True)
class Lsg(Method):
    """LSG: width = 2 V_th sqrt(1 + decay**2) at every step, with the learned decay. Lian et al., IJCAI 2023."""

    name: ClassVar[str] = "lsg"

    def widths(self, threshold: Tensor, decay: Tensor, gamma: Tensor | None) -> Tensor:
        return 2 * torch.sqrt(1 + decay * decay) * per_step(threshold)


@dataclass(frozen=True, slots=True)
class Psg(Method):
    """PSG: the width is a parameter of each layer, learned through the surrogate's antiderivative.

    A spike counts as F((u - threshold) / width), so that its slope in the width is -(u - threshold) / width times the
    surrogate's. After arXiv 2304.13289, of which we know the idea only: the update of the paper may differ.
    """

    name: ClassVar[str] = "psg"
    learns_width: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Masked(Method):
    """Masked surrogate gradients with a learned readout (arXiv 2406.19645): slopes are dropped with probability p.

    Kept slopes are not scaled by 1 / (1 - p). The readout's weights over time follow the accuracy of each step,
    ``f[t] <- momentum * f[t] + (1 - momentum) * accuracy[t] / sum(accuracy)``.

    Masks come from torch's global random state. Under torch.compile they are drawn in the backward pass, in an order
    that torch chooses: as good as the plain module's, but at the same seed each layer gets another draw.
    """

    name: ClassVar[str] = "masked"
    learns_readout: ClassVar[bool] = True

    p: Annotated[float, Field(ge=0, lt=1, strict=True)] = 0.5  #: the paper's best lie between 0.4 and 0.6
    momentum: Momentum = 0.99  #: beta, of the readout; ours, the paper's is not known to us

    @property
    def masked(self) -> float:
        return self.p

    @property
    def readout_momentum(self) -> float:
        return self.momentum
