"""One layer of a .net file as nodes: what it takes, its synapse and its neurons."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spikeport.findings import Finding
from spikeport.formats.lava_dl.numbers import LONGEST, WEIGHTS, Fields
from spikeport.graph import (
    DECAY_ONE,
    LIF,
    LOIHI2,
    STATE_SHIFT,
    Array,
    Conv,
    CubaLIF,
    Delay,
    Flatten,
    Input,
    Linear,
    Node,
    Readout,
    Scale,
    Shape,
)

SUMMED = "its last layer sums up and does not fire: its membrane after the last step is the output"
HIGHEST = 2**LOIHI2.threshold_bits - 1
LIFS = ("LOIHI", "CUBA")  #: one neuron under two names (`netx/hdf5.py`, `get_neuron_params`)
OTHERS = {
    "SDNN": "sigma-delta neurons send by how much a value changed, not spikes",
    "RF": "resonate-and-fire neurons have complex states",
    "AD": "their thresholds or refractory states adapt, which netx cannot run either",
}
#: what layers and neurons say beside what is read: sizes that the weights have too, what training alone needs, and the
#: width of a message, which holds no more than a spike's one bit
IDLE = frozenset(
    ["type", "shape", "neuron", "kernelSize", "inFeatures", "outFeatures", "inChannels", "outChannels"]
) | {*("theta", "tauRho", "scaleRho", "messageBits")}
READ = {
    "input": frozenset(("weight", "bias")),
    "flatten": frozenset(()),
    "dense": frozenset(("weight", "bias", "delay")),
    "dense_rec": frozenset(("weight", "weight_rec", "bias", "delay")),
    "conv": frozenset(("weight", "bias", "delay", "stride", "padding", "dilation", "groups")),
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

    def put(self, name: str, node: Node) -> None:
        """A node behind the last one."""
        self.nodes[name] = node
        if self.last:
            self.edges.append((self.last, name))
        self.shape, self.last = node.output_shape(self.shape), name

    def enters(self, layer: Fields, shape: Shape | None) -> None:
        """Spikes enter, where nothing did before. Raises SP227 where nothing says how many."""
        if self.last:
            return
        if shape is None:
            mend = "export it with SLAYER's input block, which says it"
            layer.refused("its first layer is a convolution, and nothing says how large its input is", mend=mend)
        self.put("input", Input(shape, "events", low=0, high=1))


def add(draft: Draft, number: int, layer: Fields) -> None:
    """Put layer ``number`` of a file behind those before. Raises SP202 and SP227, and what nodes raise."""
    kind = layer.text("type")
    adders = {"input": _input, "flatten": _flatten, "dense": _dense, "dense_rec": _dense, "conv": _conv}
    if kind not in adders:
        layer.refused(f"is a layer of type {kind!r}", why="netx cannot run it either.", mend=f"netx knows {[*adders]}")
    if isinstance(draft.nodes.get(draft.last), Readout):
        layer.refused("is behind a layer without neurons", why="no spike enters it.")
    layer.notes.extend(_left_out(layer, kind))
    adders[kind](draft, f"{kind}{number}", layer)
    shape = tuple(map(int, layer.whole("shape").reshape(-1))) if "shape" in layer else draft.shape
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
    shape = tuple(map(int, layer.whole("shape").reshape(-1)))
    if draft.last or any(size < 1 for size in shape):
        layer.refused("is an input behind another layer" if draft.last else f"its shape is {list(shape)}")
    if "neuron" not in layer:
        draft.put("input", Input(shape, "events", low=0, high=1))
        return
    weight, bias = layer.one("weight", 64), layer.one("bias", 0)
    low, high = bias - abs(weight), bias + abs(weight)
    draft.put("input", Input(shape, "direct", low=low, high=high))
    what = (
        f"what enters is the bias of its {math.prod(shape):,} input neurons, whole numbers from {low} to {high}; "
        f"Lava-DL's data sets make it of x in 0 … 1 as {2 * weight} x {'+-'[bias < weight]} {abs(bias - weight)}"
    )
    layer.notes.append(Finding("SP229", what, layer.where, severity="note"))
    draft.put(f"{name}.neuron", _neurons(layer, shape, np.zeros((), np.int64), draft.timesteps, driven=True))


def _flatten(draft: Draft, name: str, layer: Fields) -> None:
    if not draft.last:
        shape = tuple(map(int, layer.whole("shape").reshape(-1)))
        draft.enters(layer, (math.prod(shape),))
    draft.put(name, Flatten())


def _dense(draft: Draft, name: str, layer: Fields) -> None:
    """A matrix; of `dense_rec` another one, by which the neurons feed back a step later."""
    outputs = math.prod(map(int, layer.whole("shape").reshape(-1)))
    weight, back = (_matrix(layer, part, outputs) for part in ("weight", "weight_rec"))
    if weight is None:
        layer.damaged("there is no weight")
    draft.enters(layer, weight.shape[1:])
    both = weight if back is None else np.hstack([weight, back])
    if both.min() < 0 < both.max():
        both = layer.cut("weight", both, *WEIGHTS)
    mantissas, exponent = layer.mantissas(both[:, : weight.shape[1]])
    draft.put(name, Linear(mantissas, exponent=exponent))
    if "delay" in layer and (delays := _delays(layer, weight)).any():
        if back is not None:
            layer.refused("feeds back, and has delays", why="netx delays what feeds back too, by another matrix.")
        draft.delays[name] = delays
    if "neuron" not in layer and back is None:
        _summed(draft, name, layer)
        return
    neuron = f"{name}.neuron"
    draft.put(neuron, _neurons(layer, (outputs,), _bias(layer, (outputs,)), draft.timesteps))
    if back is not None:
        mantissas, exponent = layer.mantissas(both[:, weight.shape[1] :])
        past, again = f"{name}.past", f"{name}.back"
        draft.nodes |= {past: Delay((outputs,)), again: Linear(mantissas, exponent=exponent)}
        draft.edges += [(neuron, past), (past, again), (again, neuron)]


def _summed(draft: Draft, name: str, layer: Fields) -> None:
    """A last layer that SLAYER reads without neurons: netx takes currents that add up for ever, and no spike leaves."""
    if _bias(layer, draft.shape).any():
        layer.refused("has no neurons but a bias", why="netx adds it to their sum once, not at each step.")
    draft.put(f"{name}.membrane", Readout(draft.shape, np.ones(draft.timesteps, np.int64)))
    layer.notes.append(Finding("SP229", SUMMED, layer.where, severity="note"))


def let_out(draft: Draft) -> None:
    """Spikes of a last layer that feeds back leave by a node of their own: a graph ends where nothing reads."""
    if any(source == draft.last for source, _ in draft.edges):
        draft.put(f"{draft.last.removesuffix('.neuron')}.out", Scale(np.ones((), np.int64)))


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
    """Steps a weight: one an output, or one an input, as netx tells them apart (`create_dense`)."""
    delay = layer.cut("delay", layer.whole("delay"), 0, LONGEST)
    if delay.size == 1:
        return np.broadcast_to(delay.reshape(()), weight.shape)
    if delay.ndim == 1 and delay.size in weight.shape:
        return np.broadcast_to(delay[:, None] if delay.size == len(weight) else delay, weight.shape)
    layer.damaged(f"delays of shape {list(delay.shape)} beside weights of {list(weight.shape)}")


def _conv(draft: Draft, name: str, layer: Fields) -> None:
    """Kernels [out, in / groups, rows, columns], and an axis of time that is 1 in older files."""
    if "delay" in layer and layer.whole("delay").any():
        layer.refused("is a convolution with delays", why="netx leaves them out: other spikes than in training.")
    draft.enters(layer, None)
    weight = layer.whole("weight")
    if weight.ndim not in (4, 5) or math.prod(weight.shape[4:]) != 1:
        layer.damaged(f"weight has the shape {list(weight.shape)}")
    mantissas, exponent = layer.mantissas(weight.reshape(weight.shape[:4]))
    windows: dict[str, Any] = {each: layer.two(each) for each in ("stride", "padding", "dilation")}
    draft.put(name, Conv(mantissas, exponent=exponent, groups=layer.one("groups", 1), **windows))
    draft.put(f"{name}.neuron", _neurons(layer, draft.shape, _bias(layer, draft.shape), draft.timesteps))


def _bias(layer: Fields, shape: Shape) -> Array:
    """Mantissas [], [C], or of each neuron, which Lava has in the order of columns, rows, channels."""
    bias = layer.whole("bias", 0)
    if bias.size == 1:
        return bias.reshape(())
    if len(shape) == 3 and bias.shape == shape[::-1]:
        return bias.transpose(2, 1, 0)
    if bias.shape != shape[:1]:
        layer.damaged(f"a bias of shape {list(bias.shape)} for neurons of {list(shape)}")
    return bias


def _neurons(layer: Fields, shape: Shape, bias: Array, timesteps: int, *, driven: bool = False) -> LIF:
    """Current-based neurons; without a current where it is gone at the next step, or where a bias alone is ``driven``.

    `get_neuron_params` of netx, with Lava's fixed-point model of LIF (``proc/lif/models.py``): u decays by
    (4096 - iDecay) / 4096, v by (4096 - vDecay) / 4096, bias and threshold are mantissas over 2^6.
    """
    if "neuron" not in layer:
        layer.refused("has no neurons", why="netx takes currents that add up for ever, and no spike leaves.")
    neuron = layer.fields("neuron")
    kind = neuron.text("type")
    if kind not in LIFS:
        why = next((why for prefix, why in OTHERS.items() if kind.startswith(prefix)), "netx knows no such neuron.")
        layer.refused(f"has neurons of type {kind!r}", why=why, mend=f"spikeport runs those of {' and '.join(LIFS)}")
    for name, usual, why in (
        ("refDelay", 1, "netx has no refractory time: neurons fire that did not in training."),
        ("wgtExp", 0, "netx leaves it out: other sums than in training."),
        ("gradedSpike", 0, "netx sends a spike of one bit all the same."),
    ):
        if neuron.one(name, usual) != usual:
            layer.refused(f"its neurons have {name} = {neuron.one(name)}", why=why)
    current, membrane = (DECAY_ONE - _parameter(neuron, each, shape) for each in ("iDecay", "vDecay"))
    threshold = _threshold(neuron, shape)
    threshold = np.broadcast_to(threshold, (timesteps, *threshold.shape))
    facts: dict[str, Any] = {"bias": bias << STATE_SHIFT, "reset": "zero", "compare": ">"}
    if driven or not current.any():
        return LIF(shape, membrane, threshold, **facts)
    return CubaLIF(shape, membrane, threshold, **facts, current_decay=current)


def _threshold(neuron: Fields, shape: Shape) -> Array:
    """Mantissas of 17 bits; SLAYER's affine blocks have 2^18 - 1, which no membrane passes."""
    threshold = _parameter(neuron, "vThMant", shape)
    kept: Array = np.minimum(threshold, HIGHEST)
    if (kept != threshold).any():
        what = f"a threshold of {threshold.max()}, above every membrane, became {HIGHEST}, which a membrane passes"
        note = f"{what} where it saturates at 24 bits"
        neuron.notes.append(Finding("SP228", note, neuron.where, severity="substituted"))
    return kept


def read_out(draft: Draft) -> str:
    """Read the last layer's membrane where it sums up for ever and has the highest threshold; what was done, or "".

    Below that threshold the membrane after the last step is the sum of what came, as a `Readout` has it.
    """
    name = draft.last
    node = draft.nodes[name]
    if not isinstance(node, LIF) or (node.threshold != HIGHEST).any():
        return ""
    if isinstance(node, CubaLIF) or (node.decay != DECAY_ONE).any() or draft.edges[-1][1] != name:
        return "its last layer has the highest threshold, so that its spikes, the output, are 0: look at its membranes"
    del draft.nodes[name]
    draft.last, _ = draft.edges.pop()
    ones = np.ones(draft.timesteps, np.int64)
    draft.put(f"{name.removesuffix('.neuron')}.membrane", Readout(node.shape, ones, node.bias))
    return SUMMED


def _parameter(neuron: Fields, name: str, shape: Shape) -> Array:
    value = neuron.whole(name)
    if value.size != 1 and value.shape != shape[:1]:
        neuron.damaged(f"{name} of shape {list(value.shape)} for neurons of {list(shape)}")
    return value.reshape(()) if value.size == 1 else value
