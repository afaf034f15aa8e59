"""Exact sums of integers: three ways to multiply, and the rule that chooses.

The rule is fixed by the graph, the range of its input and the processor, never by a stopwatch, and every way gives the
same integers. So does `sparse`, which adds events and takes the place of a product when few inputs are not zero. With S
the largest size of any partial sum (`ranges.product`):

- ``int8``: inputs 0 ... 255, S <= 2**24, and a processor that multiplies bytes into 32-bit sums (VNNI, AMX). oneDNN's
  uint8 x int8 convolution and matrix product sum in int32 and hand out float32, which holds whole numbers to 2**24.
  Without such instructions oneDNN sums pairs in saturating int16, so the way is taken only after a probe has passed.
  oneDNN 3.12 has faults off the beaten track: it reads beyond its input where a window lies in the padding
  altogether, and with one input channel, stride two and one column of output it gives wrong sums. So the way is taken
  only where no window lies in the padding and a group has at least `FILLED` input channels, and then each layer is
  tried once, at the ends of its input's range, against the float32 way.
- ``float32``: S <= 2**24, on a CPU whose float32 convolution multiplies and adds term by term in full precision
  (oneDNN's does; NNPACK's uses Winograd's transforms).
- ``float64``: S < 2**53, everywhere. A last rounding to whole numbers removes what a transforming algorithm may leave.

Measured on 2 cores with AVX512-VNNI, 128 -> 128 channels, 32 x 32, 3 x 3, 16 images: int8 6.4 ms, float32 23 ms.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache, partial
from threading import Lock
from typing import Any, Literal, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from spikeport.engine import synapse
from spikeport.engine.cpu import sparse
from spikeport.engine.cpu.trial import Even
from spikeport.graph import Array, Conv, Linear, Range, Shape, Synapse
from spikeport.graph.bounds import PIECE

FILLED = 4  #: bytes that one instruction multiplies and adds; layers with fewer input channels gain nothing
FLOAT32 = 2**24  #: float32 holds every whole number up to here
LARGE = 1 << 24  #: weights from which on a second layout costs memory that counts
LARGE_FEW = 0.17  #: events per input up to which they are added there, without a trial
SHAPES = 4  #: of what enters a convolution, for which its weights are kept packed
Way = Literal["int8", "float32", "float64"]


@dataclass(frozen=True)
class Product:
    """One synapse, ready to run: values [T, B, *in] to exact sums [T, B, *out], before the exponent."""

    way: Way
    run: Callable[[Tensor], Tensor]
    rows: sparse.Rows | None = None  #: the way of events, where there is one
    even: Even = field(default_factory=Even)  #: which of the two is faster, with neurons behind them too (`pair`)

    def __call__(self, x: Tensor) -> Tensor:
        rows = self.rows
        few = rows is not None and self.even.few(x, rows.share, rows.work, partial(_over_time, rows), self.dense)
        return _over_time(rows, x) if rows is not None and few else self.dense(x)

    def dense(self, x: Tensor) -> Tensor:
        """All inputs multiplied."""
        return _over_time(self.run, x)


def _over_time(run: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    y = run(x.flatten(0, 1))
    return y.reshape(*x.shape[:2], *y.shape[1:])


def choose(node: Synapse, x: Range, device: str) -> Way:
    """The fastest way that is exact for inputs in ``x``."""
    size = node.sums(x).size
    if size > FLOAT32 or device != "cpu":
        return "float64"
    if x.low >= 0 and x.high <= 255 and _beaten_track(node) and bytes_are_exact():
        return "int8"
    return "float32" if float32_is_exact() else "float64"


def prepare(node: Synapse, x: Range, shape: Shape, device: str = "cpu", way: Way | None = None) -> Product:
    """A synapse for inputs of ``shape`` with values in ``x``, laid out for the fastest exact way, or for ``way`` alone.

    The fastest way adds rows of weights instead (`sparse`) whenever few of the inputs that come are not zero, unless
    the synapse is too small for that to repay.
    """
    chosen = way or choose(node, x, device)
    events = way is None and device == "cpu" and sparse.repays(node)
    rows = sparse.rows(node, x, shape) if events else None
    if rows is not None and node.weight.size > LARGE:
        dense = Product(chosen, Later(lambda: _dense(node, x, shape, device, chosen, False).run))
    else:
        dense = _dense(node, x, shape, device, chosen, way is not None)
    return replace(dense, rows=rows, even=Even(LARGE_FEW if isinstance(dense.run, Later) else None))


class Later:
    """A way that is laid out when it is first taken, which a large layer of few events may never do."""

    def __init__(self, make: Callable[[], Callable[[Tensor], Tensor]]) -> None:
        self._make, self._making = make, Lock()
        self._run: Callable[[Tensor], Tensor] | None = None

    def __call__(self, x: Tensor) -> Tensor:
        with self._making:  # once for all threads
            run = self._run = self._run or self._make()
        return run(x)


def _dense(node: Synapse, x: Range, shape: Shape, device: str, way: Way, wanted: bool) -> Product:
    """A synapse that multiplies all its inputs; where ``wanted`` is false, tried before it is trusted."""
    if way != "int8":
        return Product(way, _float(node, torch.float32 if way == "float32" else torch.float64, device))
    fast = Product("int8", _int8_linear(node) if isinstance(node, Linear) else _int8_conv(cast(Conv, node)))
    sure: Way = "float32" if float32_is_exact() else "float64"
    trusted = wanted or all(_agree(fast, part, x, shape, sure, device) for part in _parts(node))
    return fast if trusted else _dense(node, x, shape, device, sure, True)


def _parts(node: Synapse) -> Iterator[tuple[slice, Synapse]]:
    """Some outputs of a synapse after the other, few enough of a large matrix that floats of it are small."""
    step = max(1, PIECE // max(1, node.weight.shape[1])) if isinstance(node, Linear) else node.channels
    for start in range(0, node.channels, step):
        outputs = slice(start, start + step)
        yield outputs, node if step >= node.channels else node.with_(weight=node.weight[outputs], bias=None)


def _agree(fast: Product, part: tuple[slice, Synapse], x: Range, shape: Shape, sure: Way, device: str) -> bool:
    """Whether two ways give the same sums of one sample whose values lie at the ends of the range."""
    outputs, node = part
    highs = torch.arange(int(np.prod(shape))).mul_(2654435761) % 7 < 3  # a fixed pattern without the map's own period
    sample = torch.where(highs, x.high, x.low).to(torch.uint8).reshape(1, 1, *shape)
    other = _dense(node, x, shape, device, sure, True)
    return torch.equal(fast(sample)[:, :, outputs].double(), other(sample).double())


def float32_is_exact() -> bool:
    """Whether float32 products of whole numbers below 2**24 are exact here: oneDNN at full precision."""
    here = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(here) and torch.get_float32_matmul_precision() == "highest"


def _beaten_track(node: Synapse) -> bool:
    """Whether a group has input channels enough, and no window of a convolution lies in the padding altogether."""
    if isinstance(node, Linear):
        return True
    assert isinstance(node, Conv)
    return node.weight.shape[1] >= FILLED and all(
        p <= d * (k - 1) for p, d, k in zip(node.padding, node.dilation, node.kernel, strict=True)
    )


@cache
def bytes_are_exact() -> bool:
    """Whether oneDNN's byte products are there and exact, tried at the extremes on a convolution and a matrix."""
    x = torch.full((2, 8, 5, 5), 255, dtype=torch.uint8)
    weight = np.stack([np.full((8, 3, 3), 127), np.full((8, 3, 3), -128)] * 8).astype(np.int8)
    conv, linear = Conv(weight, padding=(1, 1)), Linear(weight.reshape(16, 72))
    flat = x.flatten(1)[:, :72]
    try:
        same_conv = torch.equal(_int8_conv(conv)(x).double(), _float(conv, torch.float64, "cpu")(x))
        same_linear = torch.equal(_int8_linear(linear)(flat).double(), _float(linear, torch.float64, "cpu")(flat))
    except (AttributeError, RuntimeError, TypeError):  # other versions of torch have other or no such operators
        return False
    return same_conv and same_linear and bool(getattr(torch.cpu, "_is_vnni_supported", lambda: True)())


def seen(array: Array) -> Tensor:
    """An array as a tensor that nobody writes to, not copied; of one that is read-only torch would warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(np.ascontiguousarray(array))


def rows_last(x: Tensor) -> Tensor:
    """The same values [N, C, ...], laid out with the channels last; no copy where they are so already."""
    return x.movedim(1, -1).contiguous().movedim(-1, 1)


def _plane(node: Conv) -> tuple[dict[str, Any], bool]:
    """Options for a convolution over two axes or three; whether it is over a single axis, to be run with height one."""
    line = len(node.kernel) == 1
    stride, padding, dilation = (
        (0 if i == 1 else 1, *v) if line else v for i, v in enumerate((node.stride, node.padding, node.dilation))
    )
    return {"stride": list(stride), "padding": list(padding), "dilation": list(dilation), "groups": node.groups}, line


def _int8_conv(node: Conv) -> Callable[[Tensor], Tensor]:
    options, line = _plane(node)
    weight = seen(node.weight.astype(np.int8, copy=False))
    weight = weight.unsqueeze(2) if line else weight
    arguments = [options[name] for name in ("stride", "padding", "dilation", "groups")]
    ones, zeros = torch.ones(node.channels), torch.zeros(node.channels, dtype=torch.long)
    pack, run = packing(), torch.ops.onednn.qconv_pointwise

    @lru_cache(SHAPES)
    def packed(shape: torch.Size, threads: int) -> Any:
        """Weights as the product for this shape reads them: packed for another, each call would pack them anew."""
        return pack(weight, ones, 1.0, 0, *arguments, shape)

    def convolve(x: Tensor) -> Tensor:
        x = rows_last(x.unsqueeze(2) if line else x)
        there = packed(x.shape, torch.get_num_threads())
        y = run(x, 1.0, 0, there, ones, zeros, None, *arguments, 1.0, 0, torch.float32, "none", [], "")
        result: Tensor = y.squeeze(2) if line else y
        return result

    return convolve


def packing() -> Callable[..., Any]:
    """oneDNN's packing of a convolution's weights; the last that is given is the shape of what enters."""
    pack: Callable[..., Any] = torch.ops.onednn.qconv_prepack
    return pack


def _int8_linear(node: Linear) -> Callable[[Tensor], Tensor]:
    weight = seen(node.weight.astype(np.int8, copy=False))
    ones, zeros = torch.ones(node.channels), torch.zeros(node.channels, dtype=torch.long)
    packed = torch.ops.onednn.qlinear_prepack(weight, None)
    run = torch.ops.onednn.qlinear_pointwise

    def multiply(x: Tensor) -> Tensor:
        x = x.contiguous()
        y: Tensor = run(x, 1.0, 0, packed, ones, zeros, None, 1.0, 0, torch.float32, "none", [], "")
        return y

    return multiply


def _float(node: Synapse, dtype: torch.dtype, device: str) -> Callable[[Tensor], Tensor]:
    weight = seen(node.weight).to(device, dtype)
    if isinstance(node, Linear):
        return lambda x: F.linear(x.to(dtype), weight).round_()
    assert isinstance(node, Conv)
    options, line = _plane(node)
    weight = rows_last(weight.unsqueeze(2) if line else weight)

    def convolve(x: Tensor) -> Tensor:
        x = rows_last((x.unsqueeze(2) if line else x).to(dtype))
        y = synapse.convolve(x, weight, None, **options).round_()
        return y.squeeze(2) if line else y

    return convolve
