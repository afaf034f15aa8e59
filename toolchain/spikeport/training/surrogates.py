"""What stands in for the derivative of a spike: a bump around the threshold.

Every shape has area 1 and height 1 / width at the threshold, so that one width means about the same in all of them.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

Shape = Literal["rectangular", "triangular", "sigmoid", "atan"]
SHAPES: tuple[str, ...] = get_args(Shape)


def slope(distance: Tensor, width: Tensor, shape: Shape = "rectangular") -> Tensor:
    """Surrogate of ds/du at ``distance`` = u - threshold; ``width`` > 0 broadcasts, both in membrane units.

    rectangular: 1/k where \\|d\\| < k/2 (MPD-AGL and DS-ATGO: open interval, as in both published codes).
    triangular: max(0, 1 - \\|d\\|/k)/k. sigmoid: derivative of sigmoid(4 d/k). atan: of atan(pi d/k)/pi.
    """
    if shape == "rectangular":
        return (distance.abs() < width / 2).to(distance.dtype) / width
    scaled = distance / width
    if shape == "triangular":
        return (1 - scaled.abs()).clamp(min=0) / width
    if shape == "sigmoid":
        soft = torch.sigmoid(4 * scaled)
        return 4 * soft * (1 - soft) / width
    return 1 / (width * (1 + (math.pi * scaled).square()))
