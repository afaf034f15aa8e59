"""NIR's nodes without state, and its delays, as nodes of a Graph."""

from __future__ import annotations

import numpy as np

from spikeport.findings import Finding, fail
from spikeport.formats.nir.draft import Draft
from spikeport.formats.nir.implied_shapes import convolution_padding, integers, per_axis
from spikeport.formats.nir.subgraphs import Raw
from spikeport.graph import Conv, Delay, Flatten, Input, Linear, Node, Pool, Readout, Scale

MOST_DELAYS = 64  #: different delays within one Delay node; each becomes a node of its own


def entry(work: Draft, name: str, raw: Raw) -> None:
    """Where samples enter; leading axes of batch and time are left out, with a note."""
    written = tuple(integers(raw, "shape"))
    if written != work.shapes[name]:
        work.notes.append(
            Finding(
                "SP217",
                f"the input has the shape {written}; a sample is taken as {work.shapes[name]}",
                why="the axes in front are the batch and the time of the data that the exporter saw.",
                mend="export with one frame of one sample",
                severity="note",
            )
        )
    work.put(name, Input(work.shapes[name], work.conventions.coding))


def leaving(work: Draft, name: str, raw: Raw) -> None:
    """The end: a readout behind a layer that does not spike, else the sum of what enters."""
    spiking = ("IF", "LIF", "CubaLIF", "Threshold")
    silent = any(work.flat.nodes[source].kind not in spiking for source in work.flat.sources[name])
    if silent:
        work.seen.add("output")
        weight = np.zeros(work.timesteps, work.dtype)
        weight[-1 if work.conventions.output == "last" else slice(None)] = 1
        if work.conventions.output == "mean":
            weight /= work.timesteps
        work.put(name, Readout(work.shapes[name], weight))
    else:
        work.put(name, Scale(np.asarray(1.0, work.dtype)))


def linear(work: Draft, name: str, raw: Raw) -> None:
    """A matrix, with a bias or without."""
    weight = work.weights(raw, "weight")
    if weight.ndim != 2:
        fail("SP210", f"a weight of shape {weight.shape}", mend="use a matrix [out, in]")
    work.put(name, Linear(weight, work.weights(raw, "bias").reshape(-1) if raw.kind == "Affine" else None))


def conv(work: Draft, name: str, raw: Raw) -> None:
    """A convolution over one or two axes; uneven padding becomes zeros in the kernel."""
    weight = work.weights(raw, "weight")
    padding, front = convolution_padding(raw)
    if any(front):
        weight = np.pad(weight, [(0, 0), (0, 0), *((n, 0) for n in front)])
    bias = work.weights(raw, "bias").reshape(-1) if "bias" in raw.fields else None
    groups = integers(raw, "groups")[0] if "groups" in raw.fields else 1
    stride, dilation = (per_axis(raw, key, 1) for key in ("stride", "dilation"))
    work.put(name, Conv(weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups))


def pool(work: Draft, name: str, raw: Raw) -> None:
    """A sum or an average over windows."""
    kernel, stride, padding = (per_axis(raw, key) for key in ("kernel_size", "stride", "padding"))
    work.put(name, Pool("sum" if raw.kind == "SumPool2d" else "average", kernel, stride, padding))


def flatten(work: Draft, name: str, raw: Raw) -> None:
    """All axes into one; a start_dim of 1 is torch's word for that. Batch axes in front of the sample's own count."""
    entering = work.entering(name) or ()
    start, end = (
        integers(raw, key)[0] if key in raw.fields else default for key, default in (("start_dim", 1), ("end_dim", -1))
    )
    start = start if start >= 0 else max(0, start + len(entering))
    more = raw.array("input_type").size - len(entering) if "input_type" in raw.fields else 0
    if more > 0:
        start, end = max(0, start - more), end if end < 0 else end - more
    last = end + len(entering) if end < 0 else end
    if len(entering) > 1 and (start not in (0, 1) or last < len(entering) - 1):
        fail("SP210", f"flattens axes {start} to {end} of {entering}", mend="flatten all axes: start_dim 0, end_dim -1")
    if start == 1 and len(entering) > 1:
        work.notes.append(
            Finding(
                "SP215",
                f"{name!r} says start_dim 1, as torch does; NIR has no batch axis, so all axes are flattened",
                mend="write start_dim 0 to say so",
                severity="note",
            )
        )
    work.put(name, Flatten())


def scale(work: Draft, name: str, raw: Raw) -> None:
    """A factor, one a neuron or channel where they differ."""
    work.put(name, Scale(work.numbers(raw.parameter("scale"), work.shapes[name])))


def delay(work: Draft, name: str, raw: Raw) -> None:
    """Whole steps of waiting; neurons that wait differently go through parts of their own."""
    shape = work.shapes[name]
    exact = np.asarray(work.parameter(raw, "delay", shape), np.float64) / work.conventions.dt
    steps = np.rint(exact)
    if not np.isfinite(steps).all() or steps.min(initial=0) < 0 or steps.max(initial=0) > 2**20:
        fail("SP213", f"a delay of {raw.array('delay').max():g} s is {steps.max():g} steps", mend="mend it, or --dt")
    worst = float(np.abs(exact - steps).max(initial=0.0))
    work.seen.add("delay")
    if worst > 1e-6:
        work.notes.append(
            Finding(
                "SP213",
                f"delays of {name!r} are rounded to whole steps, by up to {worst:.3g} of a step",
                why="spikes move by that much.",
                mend="choose --dt so that every delay is a multiple",
                severity="substituted",
            )
        )
    kinds = np.unique(steps)
    if len(kinds) > MOST_DELAYS:
        fail("SP210", f"{len(kinds)} different delays in one node", mend=f"use {MOST_DELAYS} at most")
    work.entries[name], work.exits[name] = [], []
    for wait in kinds:
        mask = Scale(np.broadcast_to(steps == wait, shape).astype(work.dtype))
        chain: list[tuple[str, Node]] = [(work.fresh(f"{name}.only{int(wait)}"), mask)] if len(kinds) > 1 else []
        alone = name if len(kinds) == 1 else work.fresh(f"{name}.{int(wait)}")
        chain += [(alone, Delay(shape, int(wait)))] if wait else []
        chain = chain or [(name, Scale(np.asarray(1.0, work.dtype)))]
        work.chain(chain)
        work.entries[name].append(chain[0][0])
        work.exits[name].append(chain[-1][0])
