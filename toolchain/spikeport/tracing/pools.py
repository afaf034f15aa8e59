"""What pools become: averages and sums over windows, and the maximum over windows of spikes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from spikeport.graph import Array, Linear, Maximum, Pool, Repeat, Shape
from spikeport.tracing import views
from spikeport.tracing.algebra import is_spikes, scaled
from spikeport.tracing.arithmetic import spiking
from spikeport.tracing.call import Call
from spikeport.tracing.layers import pair, spatial
from spikeport.tracing.padding import surrounded
from spikeport.tracing.registry import array
from spikeport.tracing.resampling import weighed
from spikeport.tracing.symbols import ALL, Out, Symbol, Unsupported
from spikeport.tracing.waiting import memoryless


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
        divisor, beyond = call.get(6, "divisor_override"), call.get(5, "count_include_pad", True)
        node = Pool("average" if divisor is None else "sum", kernel, stride, padding)
        if divisor is None and (_reaches_over(call, node, x) or (any(padding) and not beyond)):
            return weighed(call, x, [_averages(call, n, node, x, beyond) for n in range(len(kernel))])
        if _reaches_over(call, node, x):
            y = weighed(call, x, _membership(call, node, (1,) * len(kernel), x))
        else:
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
        if not _reaches_over(call, node, x):
            return call.apply(node, x, x.axes)
        # torch takes the mean of what lies inside, times the size of a whole window
        return weighed(call, x, [size * _averages(call, n, node, x, True) for n, size in enumerate(kernel)])

    return handler


def _reaches_over(call: Call, node: Pool, x: Symbol) -> bool:
    """Whether windows reach over the border (ceil_mode)."""
    sizes = zip(x.shape[1:], node.kernel, node.stride, node.padding, strict=True)
    return _lengths(call, node) != tuple((n + 2 * p - k) // s + 1 for n, k, s, p in sizes)


def _lengths(call: Call, node: Pool | Maximum) -> Shape:
    out = call.out[0] if isinstance(call.out, tuple) else call.out
    return tuple(out.shape[-len(node.kernel) :])


def _averages(call: Call, n: int, node: Pool, x: Symbol, beyond: bool) -> Array:
    """The weights [new, old] of an average along the n-th axis: what torch makes of each of its places alone."""
    places = torch.eye(x.shape[1 + n], dtype=torch.float64)[:, None]
    told = node.kernel[n], node.stride[n], node.padding[n]
    means: Array = F.avg_pool1d(places, *told, ceil_mode=True, count_include_pad=beyond)[:, 0].numpy().T
    return means[: _lengths(call, node)[n]]


def _membership(call: Call, node: Pool, dilation: Shape, x: Symbol) -> list[Array]:
    """For each axis the places [new, old] that a window holds."""
    matrices = []
    for n, length in enumerate(_lengths(call, node)):
        matrix = np.zeros((length, x.shape[1 + n]))
        first = np.arange(length)[:, None] * node.stride[n] - node.padding[n]
        at = first + np.arange(node.kernel[n]) * dilation[n]
        inside = (at >= 0) & (at < matrix.shape[1])
        matrix[np.nonzero(inside)[0], at[inside]] = 1
        matrices.append(matrix)
    return matrices


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
    alone = [(size,) for size in lengths] if len(options) == 1 else [(1, 1, 0, 1)[: len(options)]] * spare
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


def adaptive_avg_pool(axes: int) -> Callable[[Call], Symbol]:
    """adaptive_avg_pool(input, output_size); windows of unequal sizes are matrices."""

    def handler(call: Call) -> Symbol:
        x = call.input()
        (size,) = over_maps(call, x, tuple(call.out.shape[-axes:]))
        if size != x.shape[1:] and not any(m % n for n, m in zip(x.shape[1:], size, strict=True)):
            counts = (m // n for n, m in zip(x.shape[1:], size, strict=True))
            return call.apply(Repeat((1, *counts)), x, x.axes)  # each window holds one value
        if any(n % m for n, m in zip(x.shape[1:], size, strict=True)):
            return weighed(call, x, [_areas(n, m) for n, m in zip(x.shape[1:], size, strict=True)])
        return whole_pool(call, x, size, "average")

    return handler


def _areas(old: int, new: int) -> Array:
    """The weights [new, old] of an adaptive average along an axis."""
    means: Array = F.adaptive_avg_pool1d(torch.eye(old, dtype=torch.float64)[:, None], new)[:, 0].numpy().T
    return means


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
        padding, dilation = (pair(call.get(i, name, d), axes) for i, name, d in ((3, "padding", 0), (4, "dilation", 1)))
        kernel, stride, padding, dilation = over_maps(call, x, kernel, stride, padding, dilation)
        node = Pool("sum", kernel, stride, padding)
        plain = set(dilation) == {1} and not _reaches_over(call, node, x)
        if _are_spikes(call, x):
            if plain:
                return _above_half(call, call.apply(node, x, x.axes))
            return _by_axis(call, x, _membership(call, node, dilation, x))
        if set(dilation) != {1}:
            raise Unsupported("has gaps in its windows (dilation), and takes values that are no spikes")
        largest = Maximum(kernel, stride, padding)
        if not plain and x.causes:  # behind something that was refused no node fits any more
            return replace(x, shape=(x.shape[0], *_lengths(call, largest)))
        return call.apply(largest, x if plain else _replicated(call, largest, x), x.axes)

    return handler


def _replicated(call: Call, node: Maximum, x: Symbol) -> Symbol:
    """The last places again, as far as windows reach over the border (ceil_mode): which changes no maximum, since a
    window that reaches there holds the last place, too."""
    sides: list[int] = []
    places = zip(_lengths(call, node), x.shape[1:], node.kernel, node.stride, node.padding, strict=True)
    for length, n, k, s, p in reversed(list(places)):
        sides += [0, max(0, (length - 1) * s + k - n - 2 * p)]
    return surrounded(call, x, tuple(sides), "replicate")


def adaptive_max_pool(axes: int) -> Callable[[Call], Symbol]:
    """adaptive_max_pool; where windows have unequal sizes, of spikes alone."""

    def handler(call: Call) -> Symbol:
        x = call.input()
        out = call.out[0] if isinstance(call.out, tuple) else call.out
        (size,) = over_maps(call, x, tuple(out.shape[-axes:]))
        if _are_spikes(call, x):
            areas = [(_areas(n, m) > 0).astype(float) for n, m in zip(x.shape[1:], size, strict=True)]
            even = not any(n % m for n, m in zip(x.shape[1:], size, strict=True))
            return _above_half(call, whole_pool(call, x, size, "sum")) if even else _by_axis(call, x, areas)
        kernel = _windows(x, size)
        return call.apply(Maximum(kernel, kernel, (0,) * len(kernel)), x, x.axes)

    return handler


def _by_axis(call: Call, x: Symbol, matrices: Sequence[Array]) -> Symbol:
    """Whether one of the places [new, old] fires along one axis, then along the next: neurons stand between."""
    values = array(call.get(0, "input"))
    for n, matrix in enumerate(matrices):
        axis = n - len(matrices)
        values = np.moveaxis(np.moveaxis(values, axis, -1) @ matrix.T, -1, axis) > 0
        whole = [np.eye(x.shape[1 + m]) for m in range(len(matrices))]
        sums = weighed(call, x, [*whole[:n], matrix, *whole[n + 1 :]])
        x = x if sums is x else _above_half(call, sums, torch.from_numpy(values))
    return x


def _above_half(call: Call, sums: Symbol, values: Tensor | None = None) -> Symbol:
    """Neurons without memory that fire above a half; ``values``: what they do, if not what the call returns."""
    draft = call.tracer.draft
    ((factor,),) = sums.terms
    assert isinstance(factor, Out)
    key = ("max", factor.node)
    if key not in draft.keys:
        draft.keys[key] = name = draft.name(factor.node, False, "max")
        draft.add(name, memoryless(sums.shape, 0.5), [factor.node], sums.shape, sums.causes)
    step = factor.step if factor.step is not None else (ALL if sums.timed else 0)
    spikes = Symbol({frozenset([Out(draft.keys[key], step)]): np.ones(())}, sums.shape, sums.axes, causes=sums.causes)
    returned = call.out[0] if isinstance(call.out, tuple) else call.out
    call.tracer.trains.of(spikes, returned if values is None else values)
    return spikes


HANDLERS: dict[str, Callable[[Call], Any]] = {
    **{f"avg_pool{n}d": avg_pool(n) for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": adaptive_avg_pool(n) for n in (1, 2, 3)},
    **{f"lp_pool{n}d": sum_pool(n) for n in (1, 2, 3)},
    **{f"max_pool{n}d": max_pool(n) for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": adaptive_max_pool(n) for n in (1, 2, 3)},
}
