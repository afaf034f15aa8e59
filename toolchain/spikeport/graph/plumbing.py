"""What is neither synapse nor neuron: input, pools, flatten, scale, normalisation, delay and readout."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import DTypeLike

from spikeport.findings import require
from spikeport.graph.arrays import Array, over_neurons, schedule_over_neurons
from spikeport.graph.node import Node, Shape
from spikeport.graph.synapses import window_count

#: `direct`: a sample is one frame, the same at each timestep; `events`: a frame each timestep
Coding = Literal["direct", "events"]


def _one() -> Array:
    return np.asarray(1.0, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Input(Node):
    """Where samples enter. `direct`: the same analog frame at each step. `events`: a frame each step.

    Loihi arithmetic: the integer that enters is ``round(x / unit)`` (ties to even); `low` and `high` bound it.
    """

    arrays: ClassVar[tuple[str, ...]] = ("unit",)

    shape: Shape
    coding: Coding = "direct"
    unit: Array = field(default_factory=_one)  #: [], real value of one unit of the input; 1 in Real arithmetic
    low: float = -np.inf  #: smallest value that may enter, in units; unknown in Real arithmetic
    high: float = np.inf  #: largest value that may enter, in units

    def output_shape(self, source: Shape) -> Shape:
        return self.shape


@dataclass(frozen=True, eq=False)
class Pool(Node):
    """Sum or average over windows. The average divides by the whole window, padding included.

    Loihi arithmetic knows the sum only; an average is folded into the synapses after it (`passes.fold_pool`).
    """

    kind: Literal["sum", "average"]
    kernel: tuple[int, ...]  #: one a spatial axis, >= 1
    stride: tuple[int, ...]  #: one a spatial axis, >= 1
    padding: tuple[int, ...] = (0, 0)  #: one a spatial axis, the same on both sides, >= 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.kind in ("sum", "average"), "SP105", f"pools by {self.kind!r}", mend="use sum or average")
        for name, low in (("kernel", 1), ("stride", 1), ("padding", 0)):
            value = getattr(self, name)
            ok = isinstance(value, tuple) and len(value) == len(self.kernel) and all(v >= low for v in value)
            require(ok, "SP105", f"{name} is {value}; it needs {len(self.kernel)} whole numbers of at least {low}")

    @property
    def area(self) -> int:
        """How many values one window covers."""
        return int(np.prod(self.kernel, dtype=np.int64))

    def output_shape(self, source: Shape) -> Shape:
        require(len(source) == len(self.kernel) + 1, "SP106", f"pools over {len(self.kernel)} axes, gets {source}")
        return (source[0], *window_count(source[1:], self.kernel, self.stride, self.padding, (1,) * len(self.kernel)))


@dataclass(frozen=True, eq=False)
class Flatten(Node):
    """All axes into one, the last axis running fastest ([C, H, W] in C order, as torch does)."""

    def output_shape(self, source: Shape) -> Shape:
        return (int(np.prod(source, dtype=np.int64)),)


@dataclass(frozen=True, eq=False)
class Scale(Node):
    """``y = factor * x``; factor [], [C] or the input's shape. Loihi arithmetic: whole numbers only."""

    arrays: ClassVar[tuple[str, ...]] = ("factor",)

    factor: Array

    def output_shape(self, source: Shape) -> Shape:
        over_neurons(self.factor, source, name="factor")
        return source


@dataclass(frozen=True, eq=False)
class Norm(Node):
    """Batch normalisation in evaluation: ``y = gamma * scale * (x - mean) / sqrt(var + eps) + beta``, a channel.

    `scale` is alpha * V_th where tdBN keeps it apart from gamma (MPD-AGL's code, models/layers.py), else 1.
    """

    arrays: ClassVar[tuple[str, ...]] = ("gamma", "beta", "mean", "var")

    gamma: Array  #: [C]
    beta: Array  #: [C]
    mean: Array  #: [C]
    var: Array  #: [C], >= 0
    eps: float = 1e-5
    scale: float = 1.0

    def gain_and_shift(self, dtype: DTypeLike = None) -> tuple[Array, Array]:
        """Both [C], of ``y = gain * x + shift``; computed in ``dtype``, or in the arrays' own where None."""
        gamma, beta, mean, var = (np.asarray(getattr(self, name), dtype) for name in self.arrays)
        gain = gamma * self.scale / np.sqrt(var + self.eps)
        return gain, beta - mean * gain

    def output_shape(self, source: Shape) -> Shape:
        require(
            bool((self.var + self.eps > 0).all()),
            "SP114",
            "a variance and its eps are not above zero together: no root of them divides",
            mend="check the running variances of the checkpoint",
        )
        require(
            self.gamma.shape == source[:1],
            "SP106",
            f"normalises {self.gamma.shape[0]} channels, gets input of shape {source}",
        )
        return source


@dataclass(frozen=True, eq=False)
class Delay(Node):
    """``y[t] = x[t - steps]``, zero for t < steps. Every cycle of a graph passes through one."""

    shape: Shape
    steps: int = 1  #: >= 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.steps >= 1, "SP107", f"a delay of {self.steps} steps", mend="use at least one step")

    def output_shape(self, source: Shape) -> Shape:
        require(source == self.shape, "SP106", f"delays values of shape {self.shape}, gets {source}")
        return self.shape


@dataclass(frozen=True, eq=False)
class Readout(Node):
    """The output layer, which does not spike: ``output = sum_t weight[t] * (x[t] + bias)``.

    Real: weight is uniform 1/T by default (the mean over T). Loihi: whole-number weights, x enters shifted by 6 bits as
    it does in a neuron, ``output = sum_t weight[t] * ((x[t] << 6) + bias)``, and ``output * unit`` is the real value.
    Where each channel has weights of its own, it reads membranes that leak otherwise from channel to channel.
    """

    arrays: ClassVar[tuple[str, ...]] = ("weight", "bias", "unit")
    schedules: ClassVar[tuple[str, ...]] = ("weight",)

    shape: Shape
    weight: Array  #: [T], [T, C] or [T, *shape]
    bias: Array = field(default_factory=lambda: np.asarray(0.0, dtype=np.float32))  #: [], [C] or shape
    unit: Array = field(default_factory=_one)  #: [], real value of one unit of the output; 1 in Real arithmetic

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.weight.ndim > 0, "SP101", "readout weights are numbers a timestep, [T], [T, C] or [T, *shape]")
        schedule_over_neurons(self.weight, self.shape, name="weight")
        over_neurons(self.bias, self.shape, name="bias")

    @property
    def follows_length(self) -> bool:
        """Whether its real weights are those of a mean, or of the last step alone, over two steps or more."""
        weight = self.weight
        if len(weight) < 2 or weight.dtype.kind != "f":
            return False
        mean = bool((weight == np.asarray(1 / len(weight), weight.dtype)).all())
        return mean or bool((weight[:-1] == 0).all() and weight[-1].any())

    def for_length(self, timesteps: int) -> Array:
        """The weights [timesteps] of the same mean, or of the same last step, over another number of steps."""
        if self.weight[0].any():
            return np.full(timesteps, 1 / timesteps, self.weight.dtype)
        weight = np.zeros((timesteps, *self.weight.shape[1:]), self.weight.dtype)
        weight[-1] = self.weight[-1]
        return weight

    def output_shape(self, source: Shape) -> Shape:
        require(source == self.shape, "SP106", f"reads out values of shape {self.shape}, gets {source}")
        return self.shape
