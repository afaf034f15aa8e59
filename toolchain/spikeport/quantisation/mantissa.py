"""How a synapse's weights are held: bits and sign mode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from spikeport.findings import fail
from spikeport.graph import Array

Sign = Literal["mixed", "excitatory", "inhibitory"]
SignMode = Literal["mixed", "auto", "excitatory", "inhibitory"]
SIGN_MODES: tuple[SignMode, ...] = get_args(SignMode)

BYTE = (-128, 127)  #: every mantissa is a signed byte in the end


@dataclass(frozen=True, slots=True)
class Mantissa:
    """Whole numbers of ``bits`` bits: two's complement, or of one sign only (Lava 0.10, ``utils/weightutils.py``).

    One sign holds one bit more of magnitude: 0 ... 2**bits - 1, within a signed byte.
    """

    bits: int
    sign: Sign = "mixed"

    @property
    def low(self) -> int:
        """The smallest mantissa."""
        if self.sign == "mixed":
            return -int(2 ** (self.bits - 1))
        return 0 if self.sign == "excitatory" else max(BYTE[0], 1 - int(2**self.bits))

    @property
    def high(self) -> int:
        """The largest mantissa."""
        if self.sign == "mixed":
            return int(2 ** (self.bits - 1)) - 1
        return 0 if self.sign == "inhibitory" else min(BYTE[1], int(2**self.bits) - 1)

    @property
    def top(self) -> int:
        """The magnitude that the largest |weight| becomes; the same for both signs (1 bit, mixed, holds -1 and 0)."""
        return max(1, self.high) if self.sign != "inhibitory" else -self.low


def mantissa_for(weight: Array, bits: int, mode: SignMode, name: str) -> Mantissa:
    """The format of a synapse. Raises SP424 where a mode of one sign is asked for and the weights have both."""
    least, most = float(weight.min()), float(weight.max())
    one: Sign = "excitatory" if least >= 0 else "inhibitory" if most <= 0 else "mixed"
    if mode == "mixed":
        return Mantissa(bits)
    if mode not in ("auto", one):
        fail(
            "SP424",
            f"its weights span {least:g} ... {most:g}, which {mode} mantissas cannot hold",
            where=f"node {name!r}",
            mend="use --signs auto or mixed",
        )
    return Mantissa(bits, one)
