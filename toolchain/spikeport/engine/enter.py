"""Samples on their way in: checked, cut into batches, and made integers where the graph computes with integers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from spikeport.engine import cpu, cuda
from spikeport.engine.neuron import as_torch
from spikeport.engine.program import Program
from spikeport.findings import fail
from spikeport.graph import Array, Coding, Graph, Loihi, Range, Samples, Shape
from spikeport.graph.inputs import require_within


@dataclass(frozen=True, eq=False)
class Packed(Samples):
    """`Samples` of nothing but zeros and ones, eight of a frame in a byte: a card is sent an eighth, and unpacks it."""

    inside: Shape  #: of a frame
    between: tuple[int, int]  #: the least and the largest value

    @classmethod
    def of_samples(cls, samples: Samples) -> Packed | None:
        """None where there are other values, or their type or size is none for `cpu.packed`."""
        shape, inside = samples.array.shape[: samples.axis + 1], samples.shape
        if math.prod(inside) % 8 or (packed := cpu.packed(samples.array)) is None:
            return None
        bits, *between = packed
        return cls(bits.reshape(*shape, -1), samples.coding, inside, (between[0], between[1]))

    def cut(self, start: int, stop: int | None) -> Packed:
        """As `Samples`."""
        return replace(self, array=super().cut(start, stop).array)

    def during(self, start: int, stop: int) -> Packed:
        """As `Samples`."""
        return replace(self, array=super().during(start, stop).array)


def check(graph: Graph, samples: Array, *, pack: bool = False, loops: bool = True) -> tuple[Samples, Range | None]:
    """The samples, and in which range their integers lie (None for real numbers).

    Where the graph says which integers may enter, that is the range. ``pack`` those that are spikes; without ``loops``
    look for ends as for any numbers.
    Raises SP502 for input of the wrong shape or type, SP504 where integers lie outside what the graph was made for.
    """
    entering = Samples.of(graph, samples)
    if samples.dtype.kind not in "fiub":
        fail("SP502", f"the input holds {samples.dtype}, not numbers", where=f"node {graph.input!r}")
    packed = Packed.of_samples(entering) if pack else None
    if not isinstance(graph.arithmetic, Loihi):
        return packed or entering, None
    node = graph.entry
    unit, looked = float(node.unit), cpu.ends(entering.array) if loops and not packed else None
    ends = packed.between if packed else looked or entering.ends
    low, high = sorted([round(end / unit) for end in ends])  # ties to even; rounding keeps the order
    require_within(graph, low, high, entering)
    least, most = (bound if math.isfinite(bound) else end for bound, end in ((node.low, low), (node.high, high)))
    return packed or entering, Range(int(least), int(most))


@dataclass(frozen=True, eq=False)
class Frames:
    """`Samples` that lie on a device."""

    there: Tensor  #: [T or 1, B, *input], or as `Packed` has them
    coding: Coding
    inside: Shape | None = None  #: of a frame that is packed

    @property
    def number(self) -> int:
        """How many samples there are."""
        return int(self.there.shape[1])

    def during(self, start: int, stop: int) -> Frames:
        """Their frames of the steps ``start`` ... ``stop - 1``."""
        return replace(self, there=self.there[start:stop]) if self.coding == "events" else self


def values(program: Program, samples: Samples | Frames) -> Tensor:
    """The samples as [T or 1, B, *input]: integers in units of the input, or floats of the graph's type."""
    unit, dtype = float(program.graph.entry.unit), program.entering[program.graph.input]
    inside = getattr(samples, "inside", None)
    if isinstance(samples, Frames):
        value = samples.there
    elif program.integers and program.device == "cpu" and inside is None and program.kernels != "plain":
        return cpu.enter(samples.frames, unit, dtype)
    else:
        value = cuda.sent(raw(samples.frames), program.device)
    value = value if inside is None else spikes(value, inside)
    if program.integers and (unit != 1 or value.is_floating_point()):
        value = (value.double() / unit).round()
    return value.to(program.device, dtype)


def spikes(bits: Tensor, shape: Shape) -> Tensor:
    """Zeros and ones [T or 1, B, *shape] in bytes, of `Packed`'s."""
    place = torch.arange(8, dtype=torch.uint8, device=bits.device)
    return ((bits[..., None] >> place) & 1).reshape(*bits.shape[:2], *shape)


def raw(frames: Array) -> Tensor:
    """Frames as a tensor of their own type."""
    return as_torch(frames if frames.dtype.isnative else frames.astype(frames.dtype.newbyteorder("=")))
