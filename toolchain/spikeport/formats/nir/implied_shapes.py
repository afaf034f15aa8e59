"""Shapes of what leaves each node of a foreign NIR network, as far as the file implies them."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from spikeport.findings import SpikeportError, fail
from spikeport.formats.nir.subgraphs import Flat, Raw
from spikeport.graph import Shape
from spikeport.graph.synapses import window_count

NEURONS = {
    "I": ("r",),
    "IF": ("r", "v_threshold", "v_reset"),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "Threshold": ("threshold",),
    "Delay": ("delay",),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "Scale": ("scale",),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "w_in", "v_threshold", "v_reset"),
}
MOST_SIZES = 32  #: that a field may list: one an axis
LARGEST_LAYER = 2**26  #: values that leave a node at one step, of one sample
AXES = {"Conv1d": 1, "Conv2d": 2, "SumPool2d": 2, "AvgPool2d": 2}


def shapes(flat: Flat) -> dict[str, Shape]:
    """Shape of what leaves each node; nodes whose shape nothing implies are left out."""
    known = {name: sample_shape(flat, name) for name, raw in flat.nodes.items() if raw.kind == "Input"}
    for name, size in known.items():
        _sane(name, size)
    reached: deque[str] = deque(known)
    _follow(flat, reached, known)
    for name in flat.nodes:  # what cannot be reached so far, as far as it says its shape itself
        if name not in known and (shape := _shape(flat, name, None)) is not None:
            known[name] = shape
            _follow(flat, deque([name]), known)
    return known


def _follow(flat: Flat, reached: deque[str], known: dict[str, Shape]) -> None:
    """Put what leaves the nodes behind ``reached`` to the shapes that are known."""
    while reached:
        name = reached.popleft()
        for target in flat.targets[name]:
            if target not in known and (shape := _shape(flat, target, known[name])) is not None:
                known[target] = shape
                reached.append(target)


def _shape(flat: Flat, name: str, entering: Shape | None) -> Shape | None:
    """What leaves a node, where that can be known."""
    try:
        shape = leaving(flat.nodes[name], entering)
    except SpikeportError as error:
        fail(error.code, error.findings[0].what, where=f"node {name!r}", mend=error.findings[0].mend)
    if shape is not None:
        _sane(name, shape)
    return shape


def _sane(name: str, shape: Shape) -> None:
    """Raises SP207 for a layer of a size that only a damaged or hostile file claims."""
    if not shape or min(shape) < 1 or math.prod(shape) > LARGEST_LAYER:
        fail(
            "SP207",
            f"claims values of shape {list(shape)}",
            where=f"node {name!r}",
            mend="the file is damaged or not to be trusted",
        )


def sample_shape(flat: Flat, name: str) -> Shape:
    """Shape of one sample: an input's shape without the leading axes that what follows does not take.

    Exporters write the shape of the data they traced with, batch and time included; neurons may have it too.
    """
    shape = tuple(integers(flat.nodes[name], "shape"))
    for raw in _takers(flat, name, shape):
        wanted = _taken(raw, shape)
        if 0 < len(wanted) < len(shape):
            return wanted
    return shape


def _takers(flat: Flat, name: str, shape: Shape) -> list[Raw]:
    """The nodes that take what a node puts out, behind neurons of its very shape, which tell nothing."""
    takers, reached, waiting = [], {name}, deque([name])
    while waiting:
        source = waiting.popleft()
        for target in flat.targets[source]:
            if target in reached:
                continue
            reached.add(target)
            takers.append(flat.nodes[target])
            if takers[-1].kind in NEURONS and neuron_shape(takers[-1], shape) == shape:
                waiting.append(target)
    return takers


def _taken(raw: Raw, shape: Shape) -> Shape:
    """The part of ``shape`` that a node takes as one sample: all of it where the node does not say."""
    wanted = shape
    if raw.kind in NEURONS:
        wanted = neuron_shape(raw, None) or shape
    elif raw.kind in ("Affine", "Linear"):
        wanted = raw.array("weight").shape[-1:]
    elif raw.kind in AXES:
        wanted = shape[-AXES[raw.kind] - 1 :]
    elif raw.kind == "Flatten" and len(shape) == 4 and shape[0] == 1:  # a batch of one map of [C, H, W]
        wanted = shape[1:]
    return wanted if shape[len(shape) - len(wanted) :] == wanted else shape


def leaving(raw: Raw, entering: Shape | None) -> Shape | None:
    """Shape of what leaves a node when ``entering`` is what enters it; None where it cannot be known yet."""
    if raw.kind in NEURONS:
        return neuron_shape(raw, entering)
    if raw.kind in ("Affine", "Linear"):
        return (int(raw.array("weight").shape[-2]),) if raw.array("weight").ndim >= 2 else None
    if entering is None:
        return None
    if raw.kind in ("Conv1d", "Conv2d"):
        weight = raw.array("weight")
        if weight.ndim != AXES[raw.kind] + 2 or len(entering) != weight.ndim - 1:
            return None
        stride, dilation = per_axis(raw, "stride", 1), per_axis(raw, "dilation", 1)
        padding, front = convolution_padding(raw)
        kernel = tuple(k + n for k, n in zip(weight.shape[2:], front, strict=True))
        return (int(weight.shape[0]), *window_count(entering[1:], kernel, stride, padding, dilation))
    if raw.kind in AXES:
        sizes = (per_axis(raw, "kernel_size"), per_axis(raw, "stride"), per_axis(raw, "padding"))
        return (entering[0], *window_count(entering[1:], *sizes, (1, 1))) if len(entering) == 3 else None
    if raw.kind == "Flatten":
        return (int(np.prod(entering, dtype=np.int64)),)
    return entering  # Output


def neuron_shape(raw: Raw, entering: Shape | None) -> Shape | None:
    """The shape of the parameters; that of what enters where they are one value, one a channel, or have axes more."""
    shapes = {raw.array(name).shape for name in NEURONS[raw.kind] if name in raw.fields}
    full = max(shapes, key=lambda shape: (len(shape), math.prod(shape)))
    if entering is None:
        return full if math.prod(full) > 1 else None
    inner = full[max(0, len(full) - len(entering)) :]
    spread = len(inner) == len(entering) and all(n in (1, most) for n, most in zip(inner, entering, strict=True))
    return entering if math.prod(full) == 1 or full == entering[:1] or spread else full


def integers(raw: Raw, name: str) -> list[int]:
    """A field of a few whole numbers."""
    value = raw.array(name).reshape(-1)
    if value.size > MOST_SIZES:
        fail("SP202", f"{name} holds {value.size:,} values, where a few belong", mend="export it again")
    if value.dtype.kind == "f" and not np.array_equal(value, np.rint(value)):
        fail("SP202", f"{name} holds {value}, not whole numbers", mend="export it again")
    return [int(item) for item in value]


def per_axis(raw: Raw, name: str, default: int | None = None) -> tuple[int, ...]:
    """A size that stands once for all axes, or once for each."""
    axes = AXES[raw.kind]
    if name not in raw.fields and default is not None:
        return (default,) * axes
    values = integers(raw, name)
    values = values * axes if len(values) == 1 else values
    low = 0 if name == "padding" else 1
    if len(values) != axes or min(values) < low or max(values) > 2**31:
        fail("SP202", f"{name} is {values}; it needs {axes} whole numbers of at least {low}", mend="export it again")
    return tuple(values)


def convolution_padding(raw: Raw) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Padding on both sides, and zeros to put before the kernel, one a spatial axis.

    "same" pads dilation (kernel - 1) in all, the odd one behind (torch.nn.Conv2d); a kernel with a leading zero and
    the same padding on both sides computes the same. That needs dilation 1.
    """
    padding = raw.fields.get("padding", np.zeros(1, np.int64))
    axes = AXES[raw.kind]
    if not isinstance(padding, str):
        return per_axis(raw, "padding", 0), (0,) * axes
    if padding == "valid":
        return (0,) * axes, (0,) * axes
    kernel, dilation = raw.array("weight").shape[2:], per_axis(raw, "dilation", 1)
    if any(step != 1 for step in per_axis(raw, "stride", 1)):
        fail("SP210", "padding 'same' with a stride has no agreed meaning", mend="write the padding as numbers")
    total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    odd = tuple(n % 2 for n in total)
    if any(o and d != 1 for o, d in zip(odd, dilation, strict=True)):
        fail(
            "SP210",
            f"padding 'same' would be uneven for a kernel of {tuple(kernel)} with dilation {dilation}",
            mend="write the padding as numbers",
        )
    return tuple((n + 1) // 2 for n in total), odd
