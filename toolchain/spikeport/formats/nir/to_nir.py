"""Each of our nodes in NIR's words, as near as NIR can say it, and a list of what it cannot say.

NIR's neurons follow continuous equations, so a step needs a length: with dt, Euler's rule and

    tau = dt / (1 - decay)      r = gain / (1 - decay)      v_leak = bias / (1 - decay)

gives u[t] = decay v[t-1] + gain x[t] + bias again (docs/formats/nir.md derives it). NIR fires where v > v_threshold, so
a threshold that fires on >= is written as the next smaller number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikeport.formats.choices import Thresholds
from spikeport.formats.nir.file import Filled, Packed, Tree, equal_or
from spikeport.graph import (
    ALIF,
    DECAY_ONE,
    LIF,
    STATE_SHIFT,
    Arithmetic,
    Array,
    Conv,
    CubaLIF,
    Delay,
    Flatten,
    Input,
    Linear,
    Loihi,
    Node,
    Norm,
    Operation,
    Peak,
    Pool,
    Readout,
    Real,
    Scale,
    Shape,
    over_neurons,
    schedule_over_neurons,
)

NEVER_TAU = 2.0**24  #: steps; the time constant written for a decay of 1 among others, which NIR has no word for


@dataclass(frozen=True)
class Context:
    """What lowering a node needs to know besides the node."""

    arithmetic: Arithmetic
    dt: float  #: seconds a step
    thresholds: Thresholds
    source: Shape  #: shape of what enters the node


@dataclass(frozen=True)
class Lowered:
    """A node in NIR's words."""

    fields: Tree
    kept: dict[str, str] = field(default_factory=dict)  #: our array -> the NIR field that holds exactly its bits
    needs: frozenset[str] = frozenset()  #: features that a reader must understand, since NIR cannot say them


def lower(node: Node, context: Context) -> Lowered:
    """The NIR node for one of ours; what NIR has no word for by its own name, and its fields in the metadata."""
    if own := own_word(node, context.source):
        return Lowered({"type": f"spikeport.{own}"}, needs=frozenset({own}) | _ends(node))
    return _RULES[type(node)](node, context)


def own_word(node: Node, source: Shape) -> str:
    """Our name for what NIR has no word for: operations, neurons that adapt, windows over volumes; else nothing."""
    if isinstance(node, Operation | ALIF | Peak):
        return type(node).__name__
    return f"{type(node).__name__}3d" if isinstance(node, Conv | Pool | Norm) and len(source) == 4 else ""


def _whole(values: Iterable[int]) -> Array:
    return np.array(list(values), dtype=np.int64)


def _input(node: Input, context: Context) -> Lowered:
    return Lowered({"type": "Input", "shape": _whole(node.shape)})


def _readout(node: Readout, context: Context) -> Lowered:
    needs = frozenset({"readout-channels"} if node.weight.ndim > 1 else ())
    return Lowered({"type": "Output", "shape": _whole(node.shape)}, needs=needs)


def _linear(node: Linear, context: Context) -> Lowered:
    fields: Tree = {"type": "Linear", "weight": node.weight}
    if node.bias is None:
        return Lowered(fields, {"weight": "weight"})
    return Lowered(fields | {"type": "Affine", "bias": node.bias}, {"weight": "weight", "bias": "bias"})


def _conv(node: Conv, context: Context) -> Lowered:
    weight, padding = dense(node)
    kept = {"weight": "weight"} if weight is node.weight else {}
    bias = node.bias
    if bias is None:
        bias = np.zeros(node.channels, node.weight.dtype)  # NIR cannot write a convolution without
    else:
        kept["bias"] = "bias"
    stored = weight if weight is node.weight else Packed(weight)
    fields: Tree = {"type": "Conv2d", "weight": stored, "bias": bias, "groups": _groups(node)}
    if weight.ndim == 3:
        plain = {"input_shape": context.source[1], "stride": node.stride[0], "padding": padding[0]}
        return Lowered(fields | plain | {"type": "Conv1d", "dilation": node.dilation[0]}, kept)
    sizes = {"input_shape": context.source[1:], "stride": node.stride, "padding": padding, "dilation": node.dilation}
    return Lowered(fields | {name: _whole(value) for name, value in sizes.items()}, kept)


def _groups(node: Conv) -> int:
    return 1 if readable(node) else node.groups


def weight_size(node: Node, source: Shape) -> int:
    """How many numbers the weight has that NIR's words need for a node, zeros included; 0 where there is none."""
    if own_word(node, source):
        return 0
    if isinstance(node, Norm):
        return int(node.gamma.size) ** 2
    if isinstance(node, Pool) and len(node.kernel) == 1:
        return source[0] ** 2 * node.kernel[0]
    if isinstance(node, Conv):
        side = max(node.kernel) if readable(node) else 0
        dense_size: int = node.channels * int(node.weight.shape[1]) * node.groups * side ** len(node.kernel)
        return max(dense_size, int(node.weight.size))
    return 0


def readable(node: Conv) -> bool:
    """Whether nir.read's type check can be satisfied: kernel sizes that differ by an odd number cannot be padded."""
    return len({k % 2 for k in node.kernel}) == 1


def dense(node: Conv) -> tuple[Array, tuple[int, ...]]:
    """Weight and padding of the same convolution without groups and with a square kernel, both filled with zeros.

    nir 1.0.8's type check ignores groups and takes the first kernel size for all axes (ir/conv.py, ir/graph.py), so
    that nobody could read the file otherwise. Where the sizes differ by an odd number the padding would not be
    symmetric, and the convolution stays as it is.
    """
    kernel, side = node.kernel, max(node.kernel)
    if not readable(node) or (node.groups == 1 and len(set(kernel)) == 1):
        return node.weight, node.padding
    rim = [(side - k) // 2 for k in kernel]
    padding = tuple(p + r * d for p, r, d in zip(node.padding, rim, node.dilation, strict=True))
    inner = tuple(slice(r, r + k) for r, k in zip(rim, kernel, strict=True))
    inputs, outputs = int(node.weight.shape[1]), node.channels // node.groups
    weight = np.zeros((node.channels, inputs * node.groups, *(side for _ in kernel)), node.weight.dtype)
    for g in range(node.groups):
        rows, columns = slice(g * outputs, (g + 1) * outputs), slice(g * inputs, (g + 1) * inputs)
        weight[(rows, columns, *inner)] = node.weight[rows]
    return weight, padding


def _pool(node: Pool, context: Context) -> Lowered:
    if len(node.kernel) == 2:
        name = "AvgPool2d" if node.kind == "average" else "SumPool2d"
        sizes = {"kernel_size": node.kernel, "stride": node.stride, "padding": node.padding}
        return Lowered({"type": name} | {key: _whole(value) for key, value in sizes.items()})
    channels, (width,) = context.source[0], node.kernel  # NIR pools over two axes only
    share = 1.0 / width if node.kind == "average" else 1.0
    weight = np.zeros((channels, channels, width), np.float32)
    weight[np.arange(channels), np.arange(channels)] = share
    fields: Tree = {"type": "Conv1d", "weight": Packed(weight), "bias": np.zeros(channels, np.float32), "groups": 1}
    plain = {"input_shape": context.source[1], "stride": node.stride[0], "padding": node.padding[0], "dilation": 1}
    return Lowered(fields | plain)


def _flatten(node: Flatten, context: Context) -> Lowered:
    return Lowered({"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": _whole(context.source)})


def _scale(node: Scale, context: Context) -> Lowered:
    factor = np.broadcast_to(over_neurons(node.factor, context.source), context.source)
    kept = {"factor": "scale"} if node.factor.shape == tuple(context.source) else {}
    return Lowered({"type": "Scale", "scale": equal_or(factor)}, kept)


def _norm(node: Norm, context: Context) -> Lowered:
    """NIR has no normalisation; it is a diagonal map with a bias: Affine over a vector, else a 1 x 1 convolution."""
    gain, bias = node.gain_and_shift()
    axes = len(context.source) - 1
    weight = np.diag(gain).reshape((*(2 * gain.shape), *(1,) * axes))
    if axes == 0:
        return Lowered({"type": "Affine", "weight": Packed(weight), "bias": bias})
    conv = Conv(weight, bias, stride=(1,) * axes, padding=(0,) * axes, dilation=(1,) * axes)
    fields = _conv(conv, context).fields
    return Lowered(fields | {"weight": Packed(weight)})


def _delay(node: Delay, context: Context) -> Lowered:
    return Lowered({"type": "Delay", "delay": Filled(node.shape, np.asarray(node.steps * context.dt))})


def _neuron(node: LIF, context: Context) -> Lowered:
    real = not isinstance(context.arithmetic, Loihi)
    dtype = np.dtype(context.arithmetic.dtype if isinstance(context.arithmetic, Real) else "float64")
    one, lift = (1.0, 1.0) if real else (float(DECAY_ONE), float(1 << STATE_SHIFT))

    def spread(value: Array, divisor: float = 1.0) -> Array:
        return np.asarray(over_neurons(value, node.shape), np.float64) / divisor

    decay, gain, bias = spread(node.decay, one), spread(node.gain), spread(node.bias, lift)
    reset = spread(node.reset_value, lift) if node.reset == "value" else np.zeros(())
    never = decay >= 1
    integrates = bool(never.all()) and not isinstance(node, CubaLIF) and not bias.any()
    leak = np.where(never, 1.0 / NEVER_TAU, 1.0 - decay)
    needs = _needs(node, context.arithmetic) | ({"decay"} if never.any() and not integrates else set())
    if integrates:
        values = {"r": gain}
    elif isinstance(node, CubaLIF):
        current = spread(node.current_decay, one)
        needs |= {"decay"} if (current >= 1).any() else set()
        fade = np.where(current >= 1, 1.0 / NEVER_TAU, 1.0 - current)
        values = {
            "tau_syn": context.dt / fade,
            "tau_mem": context.dt / leak,
            "r": 1.0 / leak,
            "v_leak": bias / leak,
            "w_in": gain / fade,
        }
    else:
        values = {"tau": context.dt / leak, "r": gain / leak, "v_leak": bias / leak}
    guard = bool(needs) and context.thresholds == "guard"
    values["v_threshold"] = np.asarray(np.inf) if guard else _threshold(node, dtype, real=real)
    values["v_reset"] = reset
    kind = "IF" if integrates else type(node).__name__
    arrays = {name: equal_or(np.broadcast_to(value.astype(dtype), node.shape)) for name, value in values.items()}
    return Lowered({"type": kind, **arrays}, needs=frozenset(needs))


def _needs(node: LIF, arithmetic: Arithmetic) -> set[str]:
    needs = {"loihi": {"integers"}, "real": set()}.get(arithmetic.kind, {"arithmetic"})
    if not bool((node.threshold == node.threshold[:1]).all()):
        needs.add("schedule")
    if node.reset in ("subtract", "none"):
        needs.add(f"reset-{node.reset}")
    if node.most_spikes > 1:
        needs.add("several-spikes")
    return needs | _ends(node)


def _ends(node: Node) -> frozenset[str]:
    bounded = isinstance(node, LIF) and node.lower_bound is not None
    return frozenset({"lower-bound"}) if bounded else frozenset()


def _threshold(node: LIF, dtype: np.dtype[Any], *, real: bool) -> Array:
    """One threshold a neuron: the first where all are equal, else their mean over time."""
    schedule = schedule_over_neurons(node.threshold, node.shape)
    constant = bool((schedule == schedule[:1]).all())
    value: Array = schedule[0] if constant else schedule.mean(0, dtype=np.float64)
    value = value.astype(dtype)
    if not real:
        return np.asarray(value + 2.0 ** -(STATE_SHIFT + 1), dtype)  # half a unit of u: right for > and >= alike
    lower_by_one: Array = np.nextafter(value, dtype.type(-np.inf))
    return lower_by_one if node.compare == ">=" and np.isfinite(value).all() else value


_RULES: dict[type[Node], Callable[[Any, Context], Lowered]] = {
    Input: _input,
    Readout: _readout,
    Linear: _linear,
    Conv: _conv,
    Pool: _pool,
    Flatten: _flatten,
    Scale: _scale,
    Norm: _norm,
    Delay: _delay,
    LIF: _neuron,
    CubaLIF: _neuron,
}
