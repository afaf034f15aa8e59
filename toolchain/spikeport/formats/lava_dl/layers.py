"""One layer of a .net file as nodes: what it takes, its synapse and its neurons."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikeport.findings import Finding, require
from spikeport.formats.lava_dl.neurons import bias_of, neurons
from spikeport.formats.lava_dl.numbers import LONGEST, WEIGHTS, Fields
from spikeport.graph import Array, Conv, Delay, Flatten, Input, Linear, Node, Readout, Shape

MOST = 2**24  #: values of a layer
SUMMED = "its last layer sums up and does not fire: its membrane after the last step is the output"
#: what layers and neurons say beside what is read: sizes that the weights have too, what training alone needs, and the
#: width of a message, which holds no more than a spike's one bit
IDLE = {"type", "shape", "neuron", "kernelSize", "inFeatures", "outFeatures", "inChannels", "outChannels"} | {
    *("theta", "tauRho", "scaleRho", "messageBits")
}
READ = {
    "input": frozenset(("weight", "bias")),
    "flatten": frozenset(()),
    "dense": frozenset(("weight", "bias", "delay")),
    "dense_rec": frozenset(("weight", "weight_rec", "bias", "delay")),
    "conv": frozenset(("weight", "bias", "delay", "stride", "padding", "dilation", "groups")),
    "pool": frozenset(("weight", "delay", "stride", "padding", "dilation")),
    "neuron": frozenset(("iDecay", "vDecay", "vThMant", "refDelay", "wgtExp", "gradedSpike")),
}


@dataclass
class Draft:
    """A network in the making."""

    timesteps: int
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    delays: dict[str, Array] = field(default_factory=dict)  #: of the weights of a synapse, in steps
    last: str = ""  #: where the next layer begins
    shape: Shape = ()  #: of what leaves there; () where nothing has entered yet
    entry: Shape = ()  #: of what enters the first layer, where an input says it
    waits: Array | None = None  #: [C], steps by which the channels that leave there are late

    def put(self, name: str, node: Node) -> None:
        """A node behind the last one. Raises SP207 for more values than any chip has neurons."""
        self.nodes[name] = node
        if self.last:
            self.edges.append((self.last, name))
        self.shape, self.last = node.output_shape(self.shape), name
        require(math.prod(self.shape) <= MOST, "SP207", f"claims that {list(self.shape)} values leave {name!r}")

    def enters(self, shape: Shape) -> None:
        """Spikes enter, where nothing did before."""
        if not self.last:
            self.put("input", Input(shape, "events", low=0, high=1))

    def connect(self, name: str, node: Linear | Conv, delays: Array | None = None) -> None:
        """A synapse, whose weights wait for ``delays``, and for the channels that they take."""
        node.output_shape(self.shape)  # fits what enters it
        if self.waits is not None:
            groups = node.groups if isinstance(node, Conv) else 1
            late = np.repeat(self.waits.reshape(groups, -1), node.channels // groups, axis=0)
            late = late.reshape(late.shape + (1,) * (node.weight.ndim - 2))
            delays = np.broadcast_to(late, node.weight.shape) + (0 if delays is None else delays)
        if delays is not None and delays.any():
            self.delays[name] = delays
        self.waits = None
        self.put(name, node)


def add(draft: Draft, number: int, layer: Fields) -> None:
    """Put layer ``number`` of a file behind those before. Raises SP202 and SP227, and what nodes raise."""
    kind = layer.text("type")
    adders = {"input": _input, "flatten": _flatten, "dense": _dense, "dense_rec": _dense, "conv": _conv, "pool": _pool}
    if kind not in adders:
        layer.refused(f"is a layer of type {kind!r}", why="netx cannot run it either.", mend=f"known are {[*adders]}")
    if isinstance(draft.nodes.get(draft.last), Readout):
        layer.refused("is behind a layer without neurons", why="no spike enters it.")
    layer.notes.extend(_left_out(layer, kind))
    adders[kind](draft, f"{kind}{number}", layer)
    said = "shape" in layer and draft.last and kind != "flatten"  # whose shape nobody reads
    shape = layer.shape() if said else draft.shape
    if math.prod(shape) != math.prod(draft.shape):
        layer.damaged(f"says that {list(shape)} leave it, and {list(draft.shape)} do")


def _left_out(layer: Fields, kind: str) -> Iterator[Finding]:
    neuron = layer.fields("neuron").values if "neuron" in layer else {}
    for fields, known in ((layer.values, READ[kind]), (neuron, READ["neuron"])):
        for name in sorted(set(fields) - known - IDLE):
            what = f"{name!r} was left out, as netx does: it is no field that netx reads"
            yield Finding("SP229", what, layer.where, severity="substituted")


def _input(draft: Draft, name: str, layer: Fields) -> None:
    """An input that says its shape; or neurons that a bias drives, the same at each step of a sample."""
    if draft.last:
        layer.refused("is an input behind another layer")
    if "neuron" not in layer and "shape" not in layer:
        return
    shape = layer.shape()
    if any(size < 1 for size in shape):
        layer.damaged(f"its shape is {list(shape)}")
    if "neuron" not in layer:
        draft.entry = shape
        return
    weight, bias = layer.one("weight", 64), layer.one("bias", 0)
    low, high = bias - abs(weight), bias + abs(weight)
    draft.put("input", Input(shape, "direct", low=low, high=high))
    what = (
        f"what enters is the bias of its {math.prod(shape):,} input neurons, whole numbers from {low} to {high}; "
        f"Lava-DL's data sets make it of x in 0 … 1 as {2 * weight} x {'+-'[bias < weight]} {abs(bias - weight)}"
    )
    layer.notes.append(Finding("SP229", what, layer.where, severity="note"))
    draft.put(f"{name}.neuron", neurons(layer, shape, np.zeros((), np.int64), draft.timesteps, driven=True))


def _flatten(draft: Draft, name: str, layer: Fields) -> None:
    if not draft.last and not draft.entry:
        return  # what enters is flat
    draft.enters(draft.entry)
    if draft.waits is not None:
        draft.waits = np.repeat(draft.waits, math.prod(draft.shape[1:]))
    draft.put(name, Flatten())


def _dense(draft: Draft, name: str, layer: Fields) -> None:
    """A matrix; of `dense_rec` another one, by which the neurons feed back a step later."""
    outputs = math.prod(layer.shape())
    weight, back = (_matrix(layer, part, outputs) for part in ("weight", "weight_rec"))
    if weight is None:
        layer.damaged("there is no weight")
    draft.enters(weight.shape[1:])
    both = weight if back is None else np.hstack([weight, back])
    if both.min() < 0 < both.max():
        both = layer.cut("weight", both, *WEIGHTS)
    mantissas, exponent = layer.mantissas(both)  # both matrices lie in one format
    mantissas, again = mantissas[:, : weight.shape[1]], mantissas[:, weight.shape[1] :]
    delays = _delays(layer, weight) if "delay" in layer else np.zeros((), np.int64)
    if back is not None and delays.any():
        layer.refused("feeds back, and has delays", why="netx delays what feeds back too, by another matrix.")
    draft.connect(name, Linear(mantissas, exponent=exponent), delays)
    if "neuron" not in layer and back is None:
        _summed(draft, name, layer)
        return
    neuron = f"{name}.neuron"
    draft.put(neuron, neurons(layer, (outputs,), bias_of(layer, (outputs,)), draft.timesteps))
    if back is not None:
        past, behind = f"{name}.past", f"{name}.back"
        draft.nodes |= {past: Delay((outputs,)), behind: Linear(again, exponent=exponent)}
        draft.edges += [(neuron, past), (past, behind), (behind, neuron)]


def _summed(draft: Draft, name: str, layer: Fields) -> None:
    """A last layer that SLAYER reads without neurons: netx takes currents that add up for ever, and no spike leaves."""
    if bias_of(layer, draft.shape).any():
        layer.refused("has no neurons but a bias", why="netx adds it to their sum once, not at each step.")
    draft.put(f"{name}.membrane", Readout(draft.shape, np.ones(draft.timesteps, np.int64)))
    layer.notes.append(Finding("SP229", SUMMED, layer.where, severity="note"))


def _matrix(layer: Fields, name: str, outputs: int) -> Array | None:
    """A matrix [out, in], which may lie there flat; None where there is none and none is needed."""
    if name not in layer and (name != "weight_rec" or layer.text("type") == "dense"):
        return None
    weight = layer.whole(name)
    if weight.ndim == 1 and outputs > 0 and weight.size % outputs == 0:
        weight = weight.reshape(outputs, -1)
    if weight.ndim != 2 or len(weight) != outputs or (name == "weight_rec" and weight.shape[1] != outputs):
        layer.damaged(f"{name} of shape {list(weight.shape)} does not lead to {outputs} neurons")
    return weight


def _delays(layer: Fields, weight: Array) -> Array:
    """Steps a weight: its own, one an output, or one an input, as netx tells them apart (`create_dense`)."""
    delay = layer.whole("delay")
    if delay.min() < 0:
        layer.damaged(f"a delay of {delay.min()} steps")
    delay = layer.cut("delay", delay, 0, LONGEST)
    if delay.size == 1 or delay.shape == weight.shape:
        return np.broadcast_to(delay if delay.shape == weight.shape else delay.reshape(()), weight.shape)
    if delay.ndim == 1 and delay.size in weight.shape:
        return np.broadcast_to(delay[:, None] if delay.size == len(weight) else delay, weight.shape)
    layer.damaged(f"delays of shape {list(delay.shape)} beside weights of {list(weight.shape)}")


def _conv(draft: Draft, name: str, layer: Fields) -> None:
    """Kernels [out, in / groups, rows, columns], and an axis of time that is 1 in older files."""
    windows: dict[str, Any] = {each: layer.two(each) for each in ("stride", "padding", "dilation")}
    weight, groups = _kernels(layer), layer.one("groups", 1)
    if draft.entry:
        draft.enters(draft.entry)
    elif not draft.last:
        draft.enters((weight.shape[1] * groups, *_size(layer, weight.shape[2:], **windows)))
    mantissas, exponent = layer.mantissas(weight)
    draft.connect(name, Conv(mantissas, exponent=exponent, groups=groups, **windows))
    _fires(draft, name, layer)


def _pool(draft: Draft, name: str, layer: Fields) -> None:
    """One kernel for every channel, side by side, as SLAYER computes it (`slayer/synapse/layer.py`); netx does not.

    SLAYER slides it over the rows of all channels in one, so that these divide into kernels, or channels would mix.
    """
    windows: dict[str, Any] = {each: layer.two(each) for each in ("stride", "padding", "dilation")}
    weight, shape = _kernels(layer), layer.shape()
    if draft.entry:
        draft.enters(draft.entry)
    elif not draft.last and len(shape) == 3:
        draft.enters((shape[0], *(n * k for n, k in zip(shape[1:], weight.shape[2:], strict=True))))
    if len(draft.shape) != 3:
        layer.damaged(f"pools {list(draft.shape)}, which is no map")
    channels = draft.shape[0]
    whole = not any(n % max(k, 1) for n, k in zip(draft.shape[1:], weight.shape[2:], strict=True))
    whole &= windows["dilation"] == (1, 1)
    if weight.shape[:2] != (1, 1) or windows["padding"] != (0, 0) or windows["stride"] != weight.shape[2:] or not whole:
        layer.refused(f"pools {list(draft.shape)} by {list(weight.shape[2:])}", why="SLAYER would mix its channels.")
    mantissas, exponent = layer.mantissas(np.repeat(weight, channels, axis=0))
    draft.connect(name, Conv(mantissas, exponent=exponent, groups=channels, **windows))
    _fires(draft, name, layer)


def _size(layer: Fields, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape) -> Shape:
    """Rows and columns of the map that enters a first convolution, from those that leave it.

    Raises SP227 where a stride passes over some, so that several sizes would do.
    """
    leaves = layer.shape()[1:]
    if stride != (1, 1) or len(leaves) != 2:
        what = "its first layer slides over a map in strides, and nothing says how large that is"
        layer.refused(what, mend="export it with SLAYER's input block, which says it")
    windows = zip(leaves, kernel, padding, dilation, strict=True)
    size = tuple(n - 2 * p + d * (k - 1) for n, k, p, d in windows)
    if min(size) < 1:
        layer.damaged(f"says that {list(leaves)} leave it, of which nothing would enter")
    return size


def _kernels(layer: Fields) -> Array:
    weight = layer.whole("weight")
    if weight.ndim not in (4, 5) or math.prod(weight.shape[4:]) != 1:
        layer.damaged(f"weight has the shape {list(weight.shape)}")
    return weight.reshape(weight.shape[:4])


def _fires(draft: Draft, name: str, layer: Fields) -> None:
    """The neurons of a map, whose channels may be late: SLAYER delays them, netx leaves that out."""
    draft.put(f"{name}.neuron", neurons(layer, draft.shape, bias_of(layer, draft.shape), draft.timesteps))
    waits = layer.whole("delay", 0)
    if waits.size not in (1, draft.shape[0]) or waits.min() < 0:
        layer.damaged(f"delays of shape {list(waits.shape)} for {draft.shape[0]} channels")
    if waits.any():
        draft.waits = np.broadcast_to(waits.reshape(-1), draft.shape[:1])
        what = "its channels are late by their delays, as in SLAYER; netx leaves them out"
        layer.notes.append(Finding("SP229", what, layer.where, severity="note"))
