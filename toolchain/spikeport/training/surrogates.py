"""What stands in for the derivative of a spike: a bump around the threshold.

Every shape has area 1 and height 1 / width at the threshold, so that one width means about the same in all of them.
Others are functions ``(distance, width) -> slope`` that a plug-in brings (`spikeport.surrogates`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import AfterValidator
from torch import Tensor

from spikeport.training import options


def rectangular(distance: Tensor, width: Tensor) -> Tensor:
    """1/k where \\|d\\| < k/2 (MPD-AGL and DS-ATGO: open interval, as in both published codes)."""
    return (distance.abs() < width / 2).to(distance.dtype) / width


def triangular(distance: Tensor, width: Tensor) -> Tensor:
    """max(0, 1 - \\|d\\|/k)/k."""
    return (1 - (distance / width).abs()).clamp(min=0) / width


def sigmoid(distance: Tensor, width: Tensor) -> Tensor:
    """The derivative of sigmoid(4 d/k)."""
    soft = torch.sigmoid(4 * (distance / width))
    return 4 * soft * (1 - soft) / width


def atan(distance: Tensor, width: Tensor) -> Tensor:
    """The derivative of atan(pi d/k)/pi."""
    return 1 / (width * (1 + (math.pi * (distance / width)).square()))


OWN: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    each.__name__: each for each in (rectangular, triangular, sigmoid, atan)
}
SHAPES = tuple(OWN)


def _known(shape: str) -> str:
    known = options.names("surrogates", OWN)
    if shape not in known:
        raise ValueError(f"should be one of {', '.join(known)}")
    return shape


Shape = Annotated[str, AfterValidator(_known)]  #: a name that `slope` knows


def slope(distance: Tensor, width: Tensor, shape: str = "rectangular") -> Tensor:
    """Surrogate of ds/du at ``distance`` = u - threshold; ``width`` > 0 broadcasts, both in membrane units."""
    by = OWN.get(shape) or options.find("surrogates", shape, OWN, "SP313")
    slopes: Tensor = by(distance, width)
    return slopes
