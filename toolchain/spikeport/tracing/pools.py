"""What pools become: averages and sums over windows, and the maximum over windows of spikes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spikeport.graph import Linear, Maximum, Pool, Repeat, Shape
from spikeport.tracing import views
from spikeport.tracing.algebra import is_spikes, scaled
from spikeport.tracing.arithmetic import spiking
from spikeport.tracing.call import Call
from spikeport.tracing.draft import memoryless
from spikeport.tracing.layers import pair, spatial
from spikeport.tracing.symbols import ALL, Out, Symbol, Unsupported


def avg_pool(axes: int) -> Callable[[Call], Symbol]:
    """avg_pool(input, kernel, stride, padding, ceil_mode, count_include_pad, divisor_override)."""

    def handler(call: Call) -> Symbol:
        x = call.input()
        kernel = pair(call.get(1, "kernel_size"), axes)
        stride = pair(call.get(2, "stride") or kernel, axes)
        padding = pair(call.get(3, "padding", 0), axes)
        if axes == 1 and len(x.axes) == 3 and x.axes[1] == () and kernel == stride and not any(padding):
            return _votes(call, x, kernel[0])
        kernel, stride, padding = over_maps(call, x, kernel, stride, padding)
        if any(padding) and not call.get(5, "count_include_pad", True):
            raise Unsupported("divides by fewer at the border (count_include_pad=False)")
        divisor = call.get(6, "divisor_override")
        node = Pool("average" if divisor is None else "sum", kernel, stride, padding)
        _no_ceiling(call, node, x, 4)
        y = call.apply(node, x, x.axes)
        return y if divisor is None else scaled(y, np.asarray(1 / divisor))

    return handler


def sum_pool(axes: int) -> Callable[[Call], Symbol]:
    """lp_pool(input, norm_type, kernel, stride, ceil_mode) of norm 1, which adds up: Sinabs' SumPool2d."""

    def handler(call: Call) -> Symbol:
        if call.get(1, "norm_type") != 1:
            raise Unsupported("takes a norm over windows, which is a sum only where norm_type is 1")
        x = call.input()
        kernel = pair(call.get(2, "kernel_size"), axes)
        stride = pair(call.get(3, "stride") or kernel, axes)
        kernel, stride, padding = over_maps(call, x, kernel, stride, pair(0, axes))
        node = Pool("sum", kernel, stride, padding)
        _no_ceiling(call, node, x, 4)
        return call.apply(node, x, x.axes)

    return handler


def over_maps(call: Call, x: Symbol, *options: Shape) -> tuple[Shape, ...]:
    """The options of a pool, (kernel, stride, padding) or a size alone, for the axes of the maps.

    [T, B, C, H, W] is pooled by a 3-d pool whose first window holds one channel; that axis is left out.
    """
    axes = len(options[0])
    if axes < len(x.shape):
        spatial(call, x, axes)
        return options
    spare = axes + 1 - len(x.shape)
    lengths = call.shape[-axes:][:spare]
    alone = [(size,) for size in lengths] if len(options) == 1 else [(1, 1, 0)] * spare
    last = tuple((n,) for n in range(len(x.shape)))
    if list(zip(*(option[:spare] for option in options), strict=True)) != alone or x.axes[-len(last) :] != last:
        spatial(call, x, axes)
    return tuple(option[spare:] for option in options)


def _votes(call: Call, x: Symbol, size: int) -> Symbol:
    """The mean of groups of features, [batch, 1, N] to [batch, 1, N / size]: a matrix of 1 / size."""
    x = views.flat(call.tracer, x)
    count = x.shape[0] // size
    if x.axes[2] != (0,) or len(x.shape) != 1:
        raise Unsupported("takes the mean of groups of features that share an axis")
    weight = np.zeros((count, x.shape[0]))
    for group in range(count):
        weight[group, group * size : (group + 1) * size] = 1 / size
    return call.apply(Linear(call.tracer.draft.number(weight)), x, x.axes)


def _no_ceiling(call: Call, node: Pool, x: Symbol, at: int) -> None:
    count = len(node.kernel)
    if call.get(at, "ceil_mode", False) and tuple(call.out.shape[-count:]) != node.output_shape(x.shape)[1:]:
        raise Unsupported("has windows that reach over the border (ceil_mode)")


def adaptive_avg_pool(axes: int) -> Callable[[Call], Symbol]:
    """adaptive_avg_pool(input, output_size) where all windows have one size, or every value is repeated."""

    def handler(call: Call) -> Symbol:
        x = call.input()
        (size,) = over_maps(call, x, tuple(call.out.shape[-axes:]))
        if size != x.shape[1:] and not any(m % n for n, m in zip(x.shape[1:], size, strict=True)):
            counts = (m // n for n, m in zip(x.shape[1:], size, strict=True))
            return call.apply(Repeat((1, *counts)), x, x.axes)  # each window holds one value
        return whole_pool(call, x, size, "average")

    return handler


def whole_pool(call: Call, x: Symbol, size: Shape, kind: Any) -> Symbol:
    """A pool whose windows divide the map evenly into ``size``."""
    kernel = _windows(x, size)
    return call.apply(Pool(kind, kernel, kernel, (0,) * len(kernel)), x, x.axes)


def _windows(x: Symbol, size: Shape) -> Shape:
    """Windows that divide the map evenly into ``size``."""
    if any(n % m for n, m in zip(x.shape[1:], size, strict=True)):
        raise Unsupported(f"pools {x.shape[1:]} to {size}, which does not divide evenly")
    return tuple(n // m for n, m in zip(x.shape[1:], size, strict=True))


def _are_spikes(call: Call, x: Symbol) -> bool:
    return is_spikes(x, spiking(call)) and not x.constant.any()


def max_pool(axes: int) -> Callable[[Call], Symbol]:
    """The maximum over windows; of spikes a sum over the window, and neurons without memory that fire above a half."""

    def handler(call: Call) -> Symbol:
        x = call.input()
        kernel = pair(call.get(1, "kernel_size"), axes)
        stride = pair(call.get(2, "stride") or kernel, axes)
        if set(pair(call.get(4, "dilation", 1), axes)) != {1}:
            raise Unsupported("has a dilation, which no pool of a graph has")
        kernel, stride, padding = over_maps(call, x, kernel, stride, pair(call.get(3, "padding", 0), axes))
        node = Pool("sum", kernel, stride, padding)
        _no_ceiling(call, node, x, 5)
        if not _are_spikes(call, x):
            return call.apply(Maximum(kernel, stride, padding), x, x.axes)
        sums = call.apply(node, x, x.axes)
        return _above_half(call, sums)

    return handler


def adaptive_max_pool(axes: int) -> Callable[[Call], Symbol]:
    """adaptive_max_pool where all windows have one size."""

    def handler(call: Call) -> Symbol:
        x = call.input()
        out = call.out[0] if isinstance(call.out, tuple) else call.out
        (size,) = over_maps(call, x, tuple(out.shape[-axes:]))
        if _are_spikes(call, x):
            return _above_half(call, whole_pool(call, x, size, "sum"))
        kernel = _windows(x, size)
        return call.apply(Maximum(kernel, kernel, (0,) * len(kernel)), x, x.axes)

    return handler


def _above_half(call: Call, sums: Symbol) -> Symbol:
    draft = call.tracer.draft
    ((factor,),) = sums.terms
    assert isinstance(factor, Out)
    key = ("max", factor.node)
    if key not in draft.keys:
        draft.keys[key] = name = draft.name(factor.node, False, "max")
        draft.add(name, memoryless(sums.shape, 0.5), [factor.node], sums.shape, sums.causes)
    step = factor.step if factor.step is not None else (ALL if sums.timed else 0)
    spikes = Symbol({frozenset([Out(draft.keys[key], step)]): np.ones(())}, sums.shape, sums.axes, causes=sums.causes)
    values = call.out[0] if isinstance(call.out, tuple) else call.out
    call.tracer.trains.of(spikes, values)
    return spikes


HANDLERS: dict[str, Callable[[Call], Any]] = {
    **{f"avg_pool{n}d": avg_pool(n) for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": adaptive_avg_pool(n) for n in (1, 2, 3)},
    **{f"lp_pool{n}d": sum_pool(n) for n in (1, 2, 3)},
    **{f"max_pool{n}d": max_pool(n) for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": adaptive_max_pool(n) for n in (1, 2, 3)},
}
