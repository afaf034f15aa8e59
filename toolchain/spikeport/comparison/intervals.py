"""How sure an accuracy is: the interval of a share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from spikeport.findings import require
from spikeport.graph import Array

Z95 = 1.959963984540054  #: quantile of the standard normal distribution at 0.975


@dataclass(frozen=True, slots=True)
class Share:
    """``successes`` of ``trials``, with the 95 % interval of Wilson; all shares between 0 and 1."""

    successes: int
    trials: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share itself."""
        return self.successes / self.trials

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.trials}


def wilson(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """The score interval for a binomial share: Wilson, J. Am. Stat. Assoc. 22 (1927) 209, between 0 and 1.

    Unlike the textbook interval it does not shrink to nothing at 0 % and 100 %. Raises SP802 for impossible counts.
    """
    require(0 <= successes <= trials and trials > 0, "SP802", f"{successes} successes of {trials}")
    p = successes / trials
    middle = p + z * z / (2 * trials)
    half = z * math.sqrt(p * (1 - p) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    low, high = (middle - half) / scale, (middle + half) / scale
    return (0.0 if successes == 0 else low, 1.0 if successes == trials else high)


def share(hits: Array) -> Share:
    """Share of the true values of a boolean array [B]."""
    return Share(int(np.count_nonzero(hits)), int(hits.size), *wilson(int(np.count_nonzero(hits)), int(hits.size)))


def lost(before: float, after: float) -> float:
    """By how much a share fell, free of the float error of a difference: 0.98 - 0.975 is more than 0.005 in float64.

    Twelve decimals: shares of up to a hundred thousand samples that differ do so by more.
    """
    return round(before - after, 12)
