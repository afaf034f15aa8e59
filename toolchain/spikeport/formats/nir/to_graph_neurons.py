"""NIR's nodes with state, in discrete time: neurons that spike, and filters that do not."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.findings import fail
from spikeport.formats.nir.conventions import Discrete, cuba, integrating, leaky
from spikeport.formats.nir.draft import Draft
from spikeport.formats.nir.subgraphs import Raw
from spikeport.graph import LIF, CubaLIF, Delay, Node, Norm, Scale, Shape


def threshold(work: Draft, name: str, raw: Raw) -> None:
    """A memoryless neuron: x > threshold, whatever the comparison of the others."""
    shape = work.shapes[name]
    schedule = work.schedule(raw.parameter("threshold"), shape)
    work.put(name, LIF(shape, np.asarray(0.0, work.dtype), schedule, reset="zero", compare=">"))


def spiking(work: Draft, name: str, raw: Raw) -> None:
    """IF, LIF and CubaLIF."""
    shape = work.shapes[name]
    membrane, extra = _membrane(work, name, raw)
    reset_value = raw.parameter("v_reset") if "v_reset" in raw.fields else np.zeros(1)
    if "v_reset" not in raw.fields:
        work.seen.add("v_reset")
    work.seen.add("compare")
    values: dict[str, Any] = {
        "decay": work.decay(membrane.decay, shape),
        "threshold": work.schedule(raw.parameter("v_threshold"), shape),
        "bias": work.numbers(membrane.bias, shape),
        "gain": work.numbers(membrane.gain, shape),
        "compare": work.conventions.compare,
    }
    if work.conventions.reset == "subtract":
        values["reset"] = "subtract"
    elif np.any(reset_value != 0):
        values |= {"reset": "value", "reset_value": work.numbers(reset_value, shape)}
    work.put(name, (CubaLIF if raw.kind == "CubaLIF" else LIF)(shape, **values, **extra))


def _membrane(work: Draft, name: str, raw: Raw) -> tuple[Discrete, dict[str, Any]]:
    if raw.kind == "IF":
        membrane, seconds = integrating(raw.parameter("r"), work.conventions)
        work.seen.add("seconds" if seconds else "step")
        return membrane, {}
    _leaks(work)
    if raw.kind == "LIF":
        return leaky(raw.parameter("tau"), raw.parameter("r"), raw.parameter("v_leak"), work.conventions), {}
    current, membrane = _cuba(work, raw)
    # i[t] = d i[t-1] + g x and u = ... + R i: R goes into the drive, since our current enters u with gain 1
    extra: dict[str, Any] = {"current_decay": work.decay(current.decay, work.shapes[name])}
    return Discrete(membrane.decay, current.gain * membrane.gain, membrane.bias), extra


def _cuba(work: Draft, raw: Raw) -> tuple[Discrete, Discrete]:
    """The synaptic current and the membrane."""
    w_in = raw.parameter("w_in") if "w_in" in raw.fields else np.ones(())
    return cuba(
        raw.parameter("tau_syn"),
        w_in,
        raw.parameter("tau_mem"),
        raw.parameter("r"),
        raw.parameter("v_leak"),
        work.conventions,
    )


def _leaks(work: Draft) -> None:
    work.seen |= {"dt"} if work.conventions.drive == "equation" else {"dt", "drive"}


def filtering(work: Draft, name: str, raw: Raw) -> None:
    """I, LI and CubaLI do not spike: y[t] = decay y[t-1] + gain x[t] + bias, a loop through a Delay."""
    if raw.kind == "I":
        stage, seconds = integrating(raw.parameter("r"), work.conventions)
        work.seen.add("seconds" if seconds else "step")
        stages = [stage]
    elif raw.kind == "LI":
        _leaks(work)
        stages = [leaky(raw.parameter("tau"), raw.parameter("r"), raw.parameter("v_leak"), work.conventions)]
    else:
        _leaks(work)
        stages = list(_cuba(work, raw))
    names = [work.fresh(f"{name}.current"), name][-len(stages) :]
    firsts = [_filter(work, own, stage, work.shapes[name]) for own, stage in zip(names, stages, strict=True)]
    work.edges += [(own, first) for own, first in zip(names, firsts[1:], strict=False)]
    work.entries[name], work.exits[name] = firsts[:1], [name]


def _filter(work: Draft, name: str, stage: Discrete, shape: Shape) -> str:
    """The loop of one filter, whose sum is called ``name``; the node that takes the input."""
    decay = work.decay(stage.decay, shape)
    first, leak, past = (work.fresh(f"{name}.{part}") for part in ("in", "leak", "past"))
    work.nodes |= {
        first: _affine(work, stage, shape),
        name: Scale(np.asarray(1.0, work.dtype)),
        leak: Scale(decay),
        past: Delay(shape, 1),
    }
    work.edges += [(first, name), (name, leak), (leak, past), (past, name)]
    return first


def _affine(work: Draft, stage: Discrete, shape: Shape) -> Node:
    if not np.any(stage.bias):
        return Scale(work.numbers(stage.gain, shape))
    gain, bias = (work.numbers(value, shape) for value in (stage.gain, stage.bias))
    if max(gain.ndim, bias.ndim) > 1:
        fail(
            "SP210",
            "a leak potential that differs within a channel, in a neuron that does not spike",
            mend="give one v_leak a channel",
        )
    full = [np.broadcast_to(value, shape[:1]) for value in (gain, bias)]
    zero, one = (np.broadcast_to(np.asarray(value, work.dtype), shape[:1]) for value in (0, 1))
    return Norm(full[0], full[1], zero, one, eps=0.0)
