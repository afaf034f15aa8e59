"""What layers become: synapses and norms."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from spikeport.graph import Array, Conv, Dilate, Linear, Norm
from spikeport.tracing import operations, taps, views
from spikeport.tracing.algebra import scaled, shifted
from spikeport.tracing.axes import words
from spikeport.tracing.call import Call
from spikeport.tracing.mixing import is_over_time, mixed
from spikeport.tracing.symbols import Axes, Membrane, Steps, Symbol, Unsupported
from spikeport.tracing.timing import timing


def pair(value: Any, axes: int) -> tuple[int, ...]:
    """An option of a layer as one whole number an axis."""
    if isinstance(value, int):
        return (value,) * axes
    numbers = tuple(int(v) for v in value)
    return numbers * axes if len(numbers) == 1 else numbers


def spatial(call: Call, x: Symbol, axes: int) -> None:
    """[batch, C, *size], with time folded into the batch where there is any."""
    wanted = ((0,), *((n,) for n in range(1, axes + 1)))
    if len(x.axes) != axes + 2 or x.axes[1:] != wanted or len(x.shape) != axes + 1:
        raise Unsupported(
            f"needs [batch, C{', size' * axes}] with time folded into the batch, gets {words(x.axes)} with features "
            f"{x.shape}"
        )


def biased(call: Call, build: Callable[[Array | None], Any], x: Symbol, bias: Any, axes: Axes | None = None) -> Symbol:
    """The node of ``build(bias)`` behind ``x``.

    Behind what was a constant at the first steps (spikes that feed back) the bias is a constant beside the node, as it
    was there: it counts at every step, not only from that on at which the node's first value arrives. Behind a sum over
    time it counts once, whatever the steps count together: it is a constant beside the node, too, or the rest of it
    where the node was drawn with the bias before, as behind a trace whose first step is no sum yet.
    """
    constant, axes = call.constant(bias), x.axes if axes is None else axes
    if constant is None:
        return call.apply(build(None), x, axes)
    whole = constant.astype(np.float64)
    when = timing(call.tracer.draft.gated(x))[2]
    if not isinstance(when, Mapping):
        if call.at_rest() and not call.drawn(build(constant), x):
            return shifted(call.apply(build(None), x, axes), whole)
        return call.apply(build(constant), x, axes)
    if call.drawn(build(constant), x):
        return shifted(call.apply(build(constant), x, axes), whole * (1 - math.fsum(when.values())))
    return shifted(call.apply(build(None), x, axes), whole)


#: what to do about a kernel over time
STEPS = "convolve each step by itself; of [B, C, T] a conv1d over time is followed where no step sees a later one"


def conv(axes: int) -> Callable[[Call], Symbol | Steps]:
    """conv1d, conv2d(input, weight, bias, stride, padding, dilation, groups)."""

    def handler(call: Call) -> Symbol | Steps:
        known = call.known(call.get(0, "input"))
        if known is not None and taps.over_time(known, axes):
            return taps.convolved(call, known)
        x = call.input()
        weight = call.constant(call.get(1, "weight"))
        assert weight is not None
        stride, dilation = (pair(call.get(i, n, 1), axes) for i, n in ((3, "stride"), (5, "dilation")))
        padding = _padding(call.get(4, "padding", 0), weight.shape[2:], dilation)
        bias = call.get(2, "bias")
        groups = int(call.get(6, "groups", 1))
        point = set(weight.shape[2:]) == {1} and set(stride) == {1} and not any(pair(padding, axes))
        if point and groups == 1 and len(x.axes) == axes + 2 and x.axes[1] == (0,):
            return per_channel(call, x, weight.reshape(weight.shape[:2]), bias)
        if len(x.axes) == axes + 2 and ("T",) in x.axes[2:]:
            raise Unsupported("convolves over time; a graph has delays, not kernels, over time", mend=STEPS)
        spatial(call, x, axes)
        options: dict[str, Any] = {"stride": stride, "padding": pair(padding, axes), "dilation": dilation}
        options["groups"] = groups
        return biased(call, lambda b: Conv(weight, b, **options), x, bias)

    return handler


def transposed(axes: int) -> Callable[[Call], Symbol]:
    """conv_transpose(x, weight, bias, stride, padding, output_padding, groups, dilation): a `Dilate` and a `Conv`."""

    def handler(call: Call) -> Symbol:
        x = call.input()
        spatial(call, x, axes)
        weight = call.constant(call.get(1, "weight"))
        assert weight is not None
        names = ((3, "stride", 1), (4, "padding", 0), (5, "output_padding", 0), (7, "dilation", 1))
        stride, padding, after, dilation = (pair(call.get(i, n, d), axes) for i, n, d in names)
        border = tuple(d * (k - 1) - p for d, k, p in zip(dilation, weight.shape[2:], padding, strict=True))
        if min(border) < 0:
            raise Unsupported("cuts its result by more than the kernel reaches (padding)")
        spread = call.apply(Dilate(stride, after), x, x.axes)
        groups = int(call.get(6, "groups", 1))
        turned = _turned(weight, groups)
        options: dict[str, Any] = {"stride": (1,) * axes, "padding": border, "dilation": dilation}
        return biased(call, lambda b: Conv(turned, b, **options, groups=groups), spread, call.get(2, "bias"))

    return handler


def _turned(weight: Array, groups: int) -> Array:
    """A transposed convolution's weight [in, out / groups, *kernel] as a convolution's [out, in / groups, *kernel]."""
    apart = weight.reshape(groups, -1, *weight.shape[1:]).swapaxes(1, 2)
    kernel = tuple(range(3, apart.ndim))
    return np.ascontiguousarray(np.flip(apart, kernel).reshape(-1, apart.shape[2], *weight.shape[2:]))


def _padding(padding: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> Any:
    if padding == "valid":
        return 0
    if padding != "same":
        return padding
    total = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    if any(n % 2 for n in total):
        raise Unsupported("pads one side more than the other (padding='same' with an even kernel)")
    return tuple(n // 2 for n in total)


def per_channel(call: Call, x: Symbol, weight: Array, bias: Any) -> Symbol:
    """The same matrix [out, in] at every place: a convolution of kernel 1, or a linear layer without places."""
    places = len(x.shape) - 1
    if places > 3:
        raise Unsupported("is over more than three axes of space")
    if not places:
        return biased(call, lambda b: Linear(weight, b), x, bias)
    ones = (1,) * places
    kernel = weight.reshape(*weight.shape, *ones)
    none = (0,) * places
    return biased(call, lambda b: Conv(kernel, b, stride=ones, padding=none, dilation=ones), x, bias)


def linear(call: Call) -> Symbol:
    """linear(input, weight, bias)."""
    weight = call.constant(call.get(1, "weight"))
    assert weight is not None
    return product(call, call.input(), weight, call.get(2, "bias"))


def product(call: Call, x: Symbol, weight: Array, bias: Any) -> Symbol:
    """x @ weight.T + bias over the last axis: all features in any order, or the channels of each place."""
    last = x.axes[-1]
    rest = [label for group in x.axes[:-1] for label in group if isinstance(label, int)]
    if last == (0,) and rest:
        return per_channel(call, x, weight, bias)
    if rest and last:
        x = operations.channels_first(call.tracer, x)
        return per_channel(call, x, weight, bias)
    if rest or not last or not all(isinstance(label, int) for label in last):
        raise Unsupported(f"is linear over the last axis of {words(x.axes)}, features {x.shape}; flatten them first")
    ordered: Axes = (*x.axes[:-1], tuple(range(len(x.shape))))
    if last != ordered[-1]:
        places = np.arange(math.prod(x.shape)).reshape(x.shape).transpose(last).reshape(-1)  # type: ignore[arg-type]
        weight = weight[:, np.argsort(places)]
        x = x.viewed(ordered)
    x = views.flat(call.tracer, x)
    return biased(call, lambda b: Linear(weight, b), x, bias, (*x.axes[:-1], (0,)))


def matmul(call: Call) -> Symbol | Steps:
    """x @ weight with a constant weight [in, out], weight @ x over time, or the product of two matrices of values."""
    if is_over_time(call, call.get(0, "input"), call.get(1, "other", call.get(1, "mat2"))):
        return mixed(call, call.get(0, "input"), call.get(1, "other", call.get(1, "mat2")))
    x, other = call.symbol(call.get(0, "input")), call.symbol(call.get(1, "other", call.get(1, "mat2")))
    if x is not None and other is not None:
        return operations.matrix_product(call, x, other)
    weight = call.constant(call.get(1, "other", call.get(1, "mat2")))
    if weight is None or weight.ndim != 2:
        raise Unsupported("is a product that is not x @ weight with features [in] and weight [in, out]")
    return product(call, call.input(), np.ascontiguousarray(weight.T), None)


def addmm(call: Call) -> Symbol | Steps:
    """addmm(bias, x, weight) with alpha and beta 1; addmm(bias, weight, x) over time."""
    if call.kwargs.get("alpha", 1) != 1 or call.kwargs.get("beta", 1) != 1:
        raise Unsupported("is not bias + x @ weight")
    if is_over_time(call, call.get(1, "mat1"), call.get(2, "mat2")):
        return mixed(call, call.get(1, "mat1"), call.get(2, "mat2"), call.get(0, "input"))
    x, weight = call.symbol(call.get(1, "mat1")), call.constant(call.get(2, "mat2"))
    if x is None or weight is None:
        raise Unsupported("is not bias + x @ weight")
    return product(call, x, np.ascontiguousarray(weight.T), call.get(0, "input"))


def batch_norm(call: Call) -> Symbol:
    """F.batch_norm(input, mean, var, weight, bias, training, momentum, eps), or torch.batch_norm with its own order."""
    x = views.flat(call.tracer, call.input())
    inner = call.name == "batch_norm" and len(call.args) == 9  # torch.batch_norm(input, weight, bias, mean, var, ...)
    order = (3, 4, 1, 2, 5, 7) if inner else (1, 2, 3, 4, 5, 7)
    names = ("running_mean", "running_var", "weight", "bias", "training", "eps")
    default = (None, None, None, None, False, 1e-5)
    mean, var, gamma, beta, training, eps = (call.get(i, n, d) for i, n, d in zip(order, names, default, strict=True))
    if training or mean is None or var is None:
        raise Unsupported("normalises with the statistics of the batch; a deployed network has running statistics")
    if len(x.axes) < 2 or x.axes[1] != (0,):
        raise Unsupported(f"normalises over the wrong axis of {words(x.axes)}: channels must be axis 1")
    number, channels = call.tracer.draft.number, x.shape[0]
    node = Norm(
        gamma=number(np.ones(channels)) if gamma is None else call.constant(gamma),  # type: ignore[arg-type]
        beta=number(np.zeros(channels)) if beta is None else call.constant(beta),  # type: ignore[arg-type]
        mean=call.constant(mean),  # type: ignore[arg-type]
        var=call.constant(var),  # type: ignore[arg-type]
        eps=float(eps),
    )
    return _of_membrane(call, x, node) if _in_a_loop(call, x) else call.apply(node, x, x.axes)


BOTH_SIGNS = "normalises a membrane with factors above 0 for some channels and not for others"
TURN = (
    "turn the channels below 0 round (weights and biases of the layers before, running_mean and weight of the "
    "normalisation, all times -1), take out those of factor 0"
)


def _in_a_loop(call: Call, x: Symbol) -> bool:
    """Whether a normalisation gets a membrane, as another run of the module showed; notes where it does."""
    membranes, line = call.tracer.membranes, call.tracer.where()
    if not x.timed and (len(x.steps() - {None}) > 1 or any(isinstance(f, Membrane) for f in x.factors())):
        membranes.inner.add(line)
    return line in membranes.normed


def _of_membrane(call: Call, x: Symbol, node: Norm) -> Symbol:
    """gain * x + shift. One layer's neurons fire above their thresholds, or all below them."""
    gain, shift = node.gain_and_shift(np.float64)
    if not ((gain > 0).all() or (gain < 0).all()):
        raise Unsupported(BOTH_SIGNS, mend=TURN, whole=True)
    normed = scaled(x, gain)
    return shifted(normed, shift) if shift.any() else normed  # what is zero would make it a membrane of its own


def dropout(call: Call) -> Any:
    """Nothing in evaluation."""
    if call.get(2, "training", False) and float(call.get(1, "p", 0.5)) > 0:
        mend = "pass training=self.training to it, whose own default is True; or use nn.Dropout"
        raise Unsupported("drops values at random, in evaluation too", mend=mend)
    return call.known(call.get(0, "input"))


HANDLERS: dict[str, Callable[[Call], Any]] = {
    **{f"conv{n}d": conv(n) for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": transposed(n) for n in (1, 2, 3)},
    "linear": linear,
    "matmul": matmul,
    "__matmul__": matmul,
    "mm": matmul,
    "bmm": matmul,
    "addmm": addmm,
    "batch_norm": batch_norm,
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d", "feature_dropout", "alpha_dropout"), dropout),
}
