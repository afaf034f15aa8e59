"""The synapses: convolution and matrix product.

In Real arithmetic a synapse computes ``a = W x + b``. In Loihi arithmetic ``weight`` holds integer mantissas, there is
no bias (it sits in the neuron, in the membrane's unit), and ``a = (W x) * 2**exponent``; a negative exponent is an
arithmetic shift to the right, which rounds towards minus infinity (Lava 0.10, ``proc/dense/models.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from spikeport.findings import require
from spikeport.graph import bounds
from spikeport.graph.arrays import Array
from spikeport.graph.node import Node, Shape


@dataclass(frozen=True, eq=False)
class Synapse(Node):
    """What `Conv` and `Linear` share."""

    arrays: ClassVar[tuple[str, ...]] = ("weight", "bias")

    weight: Array
    bias: Array | None = None  #: [C_out], added at every step; None where there is none and in Loihi arithmetic
    exponent: int = 0  #: Loihi arithmetic: the sum is scaled by 2**exponent; 0 in Real arithmetic

    @property
    def channels(self) -> int:
        """Output channels (or features)."""
        return int(self.weight.shape[0])

    @cached_property
    def _sums(self) -> tuple[Array, Array]:
        """Found once: several rooms ask, and a large layer is long."""
        return bounds.sums(self.weight)

    def sums(self, x: bounds.Range) -> bounds.Range:
        """The range of every sum and partial sum for inputs in ``x``, the exponent left out: `bounds.product`."""
        return bounds.of_sums(*self._sums, x)

    def _check_bias(self) -> None:
        if self.bias is not None:
            require(
                self.bias.shape == (self.channels,),
                "SP105",
                f"bias has shape {self.bias.shape}, the weight has {self.channels} outputs",
                mend="give one bias an output channel",
            )


@dataclass(frozen=True, eq=False)
class Linear(Synapse):
    """``y[o] = sum_i weight[o, i] * x[i] + bias[o]``. weight [out, in]; input [in], output [out]."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.weight.ndim == 2, "SP105", f"a linear weight is [out, in], not {self.weight.shape}")
        self._check_bias()

    def output_shape(self, source: Shape) -> Shape:
        expected = (int(self.weight.shape[1]),)
        require(
            source == expected,
            "SP106",
            f"takes input of shape {expected}, gets {source}",
            mend="put a Flatten before it, or mend the weight's second axis",
        )
        return (self.channels,)


@dataclass(frozen=True, eq=False)
class Conv(Synapse):
    """Cross-correlation over one, two or three spatial axes, as torch's Conv1d, Conv2d and Conv3d compute it.

    weight [C_out, C_in / groups, *kernel]; input [C_in, *size], output [C_out, *size']. Padding is with zeros.
    """

    stride: tuple[int, ...] = (1, 1)  #: one a spatial axis, >= 1
    padding: tuple[int, ...] = (0, 0)  #: one a spatial axis, the same on both sides, >= 0
    dilation: tuple[int, ...] = (1, 1)  #: one a spatial axis, >= 1
    groups: int = 1  #: divides C_in and C_out

    def __post_init__(self) -> None:
        super().__post_init__()
        axes = self.weight.ndim - 2
        known = f"a convolution weight is [C_out, C_in/groups, *kernel] with 1 to 3 axes, not {self.weight.shape}"
        require(axes in (1, 2, 3), "SP105", known)
        for name, low in (("stride", 1), ("padding", 0), ("dilation", 1)):
            value = getattr(self, name)
            ok = isinstance(value, tuple) and len(value) == axes and all(v >= low for v in value)
            require(ok, "SP105", f"{name} is {value}; it needs {axes} whole numbers of at least {low}")
        ok = self.groups >= 1 and self.channels % self.groups == 0
        require(ok, "SP105", f"{self.channels} output channels do not divide into {self.groups} groups")
        self._check_bias()

    @property
    def kernel(self) -> tuple[int, ...]:
        """Size of the kernel, one a spatial axis."""
        return tuple(int(k) for k in self.weight.shape[2:])

    def output_shape(self, source: Shape) -> Shape:
        channels = int(self.weight.shape[1]) * self.groups
        require(
            len(source) == self.weight.ndim - 1 and source[0] == channels,
            "SP106",
            f"takes input of shape [{channels}, {', '.join('?' * len(self.kernel))}], gets {list(source)}",
            mend="mend the weight's input channels or the layer before",
        )
        size = window_count(source[1:], self.kernel, self.stride, self.padding, self.dilation)
        return (self.channels, *size)


def window_count(
    size: Shape, kernel: tuple[int, ...], stride: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...]
) -> Shape:
    """How many windows fit on each axis: floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1."""
    count = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    )
    require(
        all(n >= 1 for n in count),
        "SP106",
        f"a kernel of {kernel} does not fit on an input of {size} with padding {padding}",
        mend="use a smaller kernel, more padding or a larger input",
    )
    return count
