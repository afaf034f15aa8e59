"""What the numbers of a graph mean: real numbers, or Loihi's integers in a stated format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

STATE_SHIFT = 6  #: bits by which sums and thresholds are shifted into the membrane's scale (Lava proc/lif/models.py)
DECAY_ONE = 4096  #: decay is a numerator over 2**12 (Lava proc/lif/models.py)


@dataclass(frozen=True, slots=True)
class Real:
    """Real numbers in floating point; a neuron whose membrane equals its threshold fires where `compare` is ">="."""

    dtype: Literal["float32", "float64"] = "float32"


@dataclass(frozen=True, slots=True)
class Profile:
    """A number format. The defaults are Loihi's, as Lava 0.10 documents them (``proc/lif``, ``proc/dense``)."""

    name: str
    weight_bits: int = 8  #: signed mantissa, two's complement, 1 to 8
    weight_exponent: tuple[int, int] = (-8, 7)  #: smallest and largest; ours to choose, applied after the sum
    decay_bits: int = 12  #: decay = numerator / 2**decay_bits
    threshold_bits: int = 17  #: unsigned mantissa
    bias_bits: int = 13  #: signed mantissa; every neuron has an exponent of its own
    bias_exponent: tuple[int, int] = (0, 7)
    state_bits: int = 24  #: signed, symmetric: |v| <= 2**23 - 1
    message_bits: int = 8  #: payload between layers; 1 means spikes only
    schedule: bool = True  #: thresholds may vary over time
    channel_thresholds: bool = True  #: thresholds and biases may vary over channels


@dataclass(frozen=True, slots=True)
class Loihi:
    """Loihi's integers, as Lava's fixed-point models compute them; the formulas stand at the nodes."""

    profile: Profile


LOIHI2 = Profile("loihi2")
LOIHI1 = Profile("loihi1", message_bits=1, schedule=False)

Arithmetic = Real | Loihi
