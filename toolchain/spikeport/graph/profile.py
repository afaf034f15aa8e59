"""Number formats: how many bits a chip gives to each kind of number. Nothing else says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

STATE_SHIFT = 6  #: bits by which sums and thresholds are shifted into the membrane's scale (Lava proc/lif/models.py)
DECAY_ONE = 4096  #: decay is a numerator over 2**12 (Lava proc/lif/models.py)


@dataclass(frozen=True, slots=True, repr=False)
class Profile:
    """A number format. The defaults are Loihi's, as Lava 0.10 documents them (``proc/lif``, ``proc/dense``)."""

    name: str
    weight_bits: int = 8  #: signed mantissa, two's complement, 1 to 8
    weight_exponent: tuple[int, int] = (-8, 7)  #: smallest and largest; ours to choose
    decay_bits: int = 12  #: decay = numerator / 2**decay_bits
    threshold_bits: int = 17  #: unsigned mantissa
    bias_bits: int = 13  #: signed mantissa; every neuron has an exponent of its own
    bias_exponent: tuple[int, int] = (0, 7)
    state_bits: int = 24  #: signed, symmetric: |v| <= 2**23 - 1
    message_bits: int = 8  #: payload between layers; 1 means spikes only
    schedule: bool = True  #: thresholds may vary over time
    channel_thresholds: bool = True  #: thresholds and biases may vary over channels
    accumulator_bits: int | None = (
        None  #: of what arrives at a neuron in a step, in the membrane's unit; None: no limit
    )
    accumulator_overflow: Literal["wrap", "refuse"] = "wrap"  #: what a sum beyond them does; wrapping is counted
    weight_shift: Literal["sum", "each"] = "sum"  #: what a negative exponent shifts: their sum, or each weight
    fraction_bits: int = STATE_SHIFT  #: of the state's, how many lie below one unit of a sum; 0: it counts in these
    leak: bool = True  #: membranes and currents may decay; else a membrane keeps what it holds, and there is no current
    most_spikes: int = 1  #: a neuron may fire so many times a step
    neuron: Literal["loihi", "xylo"] = "loihi"  #: whose equations a step has: `loihi` or `xylo` beside this file

    @property
    def state_top(self) -> int:
        """The largest membrane (Lava 0.10, proc/lif/models.py: 24 bits and symmetric)."""
        return int(2 ** (self.state_bits - 1) - 1) << (STATE_SHIFT - self.fraction_bits)

    @property
    def state_least(self) -> int:
        """The smallest membrane: the largest below zero, or in Xylo's neurons two's complement's."""
        return -self.state_top - (1 << (STATE_SHIFT - self.fraction_bits)) * (self.neuron == "xylo")

    @property
    def accumulator_least(self) -> int | None:
        """The smallest sum that the accumulator holds; the largest is one less than its negative. None: no limit."""
        return None if self.accumulator_bits is None else -int(2 ** (self.accumulator_bits - 1))

    def facts(self) -> dict[str, Any]:
        """Its fields as JSON values; those that 0.1 did not know only where they say something."""
        values = {field.name: getattr(self, field.name) for field in fields(self) if self._says(field.name)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """What `facts` described. Raises TypeError for anything else."""
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in facts.items()}
        return cls(**values)

    def _says(self, name: str) -> bool:
        return name not in LATER or getattr(self, name) != LATER[name]

    def __repr__(self) -> str:
        """As 0.1 wrote it, which half-finished runs are known by, and what 0.2 brought where it says something."""
        stated = (f"{field.name}={getattr(self, field.name)!r}" for field in fields(self) if self._says(field.name))
        return f"Profile({', '.join(stated)})"


#: fields that 0.1 did not know, with what they say where a file is silent
LATER: dict[str, Any] = {
    "accumulator_bits": None,
    "accumulator_overflow": "wrap",
    "weight_shift": "sum",
    "fraction_bits": STATE_SHIFT,
    "leak": True,
    "most_spikes": 1,
    "neuron": "loihi",
}

LOIHI2 = Profile("loihi2")
#: spikes only, one threshold; accumulator and shift: nengo-loihi 1.1 (``Q_BITS`` = 21 and a sign; lossy two-part shift)
LOIHI1 = Profile("loihi1", message_bits=1, schedule=False, accumulator_bits=22, weight_shift="each")
#: whole sums only, biases of 8 bits, 16-bit states, no leak (sinabs 3.1.3, backend/dynapcnn/discretize.py); a membrane
#: ends at -32767, where the chip's low threshold is put
SPECK = Profile(
    "speck",
    weight_exponent=(0, 0),
    threshold_bits=15,
    bias_bits=8,
    bias_exponent=(STATE_SHIFT, STATE_SHIFT),
    state_bits=16,
    message_bits=1,
    schedule=False,
    channel_thresholds=False,
    fraction_bits=0,
    leak=False,
)
#: its own neurons, states, thresholds and biases of 16 bits in whole sums, up to 15 events of an input and 31 spikes a
#: step (xylosim 0.1.3, src/v2/cpp: XyloIAFNeuron.h, XyloLayer.h); weights are shifted left
XYLO = Profile(
    "xylo",
    weight_exponent=(0, 7),
    threshold_bits=15,
    bias_bits=16,
    bias_exponent=(STATE_SHIFT, STATE_SHIFT),
    state_bits=16,
    message_bits=5,
    schedule=False,
    fraction_bits=0,
    most_spikes=31,
    neuron="xylo",
)
