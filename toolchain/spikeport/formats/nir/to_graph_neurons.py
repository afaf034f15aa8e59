"""NIR's nodes with state, in discrete time: neurons that spike, and filters that do not."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeport.findings import fail
from spikeport.formats.nir.conventions import Discrete, cuba, integrating, leaky
from spikeport.formats.nir.draft import Draft, aligned
from spikeport.formats.nir.subgraphs import Raw
from spikeport.graph import LIF, Array, CubaLIF, Delay, Node, Norm, Scale, Shape
from spikeport.graph.neurons import EVERY_SPIKE

ZERO = np.zeros(())
#: conventions for membranes that start at 0: from elsewhere, thresholds are taken off that are not those compared with
AT_ZERO = {"drive": "decayed", "spikes": "many", "reset": "subtract"}


def threshold(work: Draft, name: str, raw: Raw) -> None:
    """A memoryless neuron: x > threshold, whatever the comparison of the others."""
    shape = work.shapes[name]
    schedule = work.schedule(raw.parameter("threshold"), shape)
    work.put(name, LIF(shape, np.asarray(0.0, work.dtype), schedule, reset="zero", compare=">"))


def spiking(work: Draft, name: str, raw: Raw) -> None:
    """IF, LIF and CubaLIF."""
    shape = work.shapes[name]
    start = _start(work, raw, shape)
    membrane, extra = _membrane(work, name, raw, start)
    fires_at = work.parameter(raw, "v_threshold", shape) - start if start.any() else raw.parameter("v_threshold")
    work.seen |= {"compare", "reset"} | ({"v_reset"} if "v_reset" not in raw.fields else set())
    values: dict[str, Any] = {
        "decay": work.decay(membrane.decay, shape),
        "threshold": work.schedule(fires_at, shape),
        "bias": work.numbers(membrane.bias, shape),
        "compare": work.conventions.compare,
        **_reset(work, raw, shape, start),
        **_several(work, raw),
        **_bound(work, raw, shape),
    }
    kind = CubaLIF if raw.kind == "CubaLIF" else LIF
    gain = work.numbers(membrane.gain, shape)
    if work.conventions.reset != "subtract-late":
        return work.put(name, kind(shape, gain=gain, **values, **extra))
    work.put(name, kind(shape, gain=np.asarray(1.0, work.dtype), **values, **extra))
    if (gain != 1).any():  # what is fed back does not pass it
        first = work.fresh(f"{name}.gain")
        work.chain([(first, Scale(gain)), (name, work.nodes[name])])
        work.entries[name] = [first]
    _subtract_late(work, name, raw, extra.get("current_decay"))


def _start(work: Draft, raw: Raw, shape: Shape) -> Array:
    """Where the membranes start: they are measured from there, so that they start at 0."""
    fields = {"leak": "v_leak", "reset": "v_reset"}
    places = {key: work.parameter(raw, name, shape) for key, name in fields.items() if name in raw.fields}
    if any(place.any() for place in places.values()):
        work.seen.add("start")
    start = np.asarray(places.get(work.conventions.start, np.zeros(())), np.float64)
    others = [f"{key}={word}" for key, word in AT_ZERO.items() if getattr(work.conventions, key) == word]
    others += [] if work.conventions.bound == "none" else [f"bound={work.conventions.bound}"]
    if start.any() and others:
        fail("SP210", f"membranes that start elsewhere than at 0, with {others[0]}", mend="--nir start=zero")
    return start


def _reset(work: Draft, raw: Raw, shape: Shape, start: Array) -> dict[str, Any]:
    kind = work.conventions.reset
    if kind not in ("file", "zero"):
        return {"reset": "none" if kind == "subtract-late" else kind}
    place = work.parameter(raw, "v_reset", shape) if kind == "file" and "v_reset" in raw.fields else np.zeros(())
    value = work.numbers(place - start if start.any() else place, shape)
    return {"reset": "value", "reset_value": value} if value.any() else {}


def _several(work: Draft, raw: Raw) -> dict[str, Any]:
    if work.conventions.spikes == "one":
        return {}
    if (least := np.asarray(raw.parameter("v_threshold")).min(initial=np.inf)) <= 0:
        fail("SP210", f"several spikes a step, and a threshold of {least:g}", mend="--nir spikes=one")
    if work.conventions.reset == "subtract-late":
        fail("SP210", "several spikes a step, and a reset one step late", mend="--nir spikes=one, or reset=subtract")
    work.seen.add("spikes")
    return {"most_spikes": EVERY_SPIKE}


def _bound(work: Draft, raw: Raw, shape: Shape) -> dict[str, Any]:
    work.seen.add("bound")
    bound = work.conventions.bound
    if bound == "none" or (bound == "threshold" and raw.kind != "IF"):
        return {}
    if work.conventions.reset == "subtract-late":
        fail("SP210", "a lower bound, and a reset one step late", mend="--nir bound=none, or reset=subtract")
    low = -work.parameter(raw, "v_threshold", shape) if bound == "threshold" else np.asarray(float(bound))
    if (low > 0).any():
        fail("SP210", f"bound=threshold, and a threshold of {-low.max():g}", mend="--nir bound=none, or a number")
    return {"lower_bound": work.numbers(low, shape)}


def _subtract_late(work: Draft, name: str, raw: Raw, current_decay: Array | None) -> None:
    """u[t] = ... - threshold s[t-1]: the layer feeds back into itself (`tracing.snntorch` says where it stands).

    What enters a neuron with a current stays in that: it is taken out again, decayed, a step later.
    """
    shape = work.shapes[name]
    threshold = work.parameter(raw, "v_threshold", shape)
    if (threshold < 0).any():
        fail("SP210", f"a threshold of {threshold.min():g}: a membrane at rest resets", mend="--nir reset=zero or none")
    back = [-threshold]
    if current_decay is not None:
        back.append(aligned(current_decay, shape) * threshold)
    for steps, factor in enumerate(back, 1):
        after, scale = work.fresh(f"{name}.after{steps}"), work.fresh(f"{name}.back{steps}")
        work.chain([(after, Delay(shape, steps)), (scale, Scale(work.numbers(factor, shape)))])
        work.edges += [(name, after), (scale, name)]


def _membrane(work: Draft, name: str, raw: Raw, start: Array) -> tuple[Discrete, dict[str, Any]]:
    shape = work.shapes[name]
    if raw.kind == "IF":
        membrane, seconds = integrating(work.parameter(raw, "r", shape), work.conventions)
        work.seen.add("seconds" if seconds else "step")
        return membrane, {}
    _leaks(work)
    if raw.kind == "LIF":
        return _leaky(work, name, raw, start), {}
    current, membrane = _cuba(work, name, raw, start)
    # i[t] = d i[t-1] + g x and u = ... + R i: R goes into the drive, since our current enters u with gain 1
    extra: dict[str, Any] = {"current_decay": work.decay(current.decay, shape)}
    return Discrete(membrane.decay, current.gain * membrane.gain, membrane.bias), extra


def _leaky(work: Draft, name: str, raw: Raw, start: Array = ZERO) -> Discrete:
    tau, r, v_leak = (work.parameter(raw, key, work.shapes[name]) for key in ("tau", "r", "v_leak"))
    return leaky(tau, r, v_leak - start, work.conventions)


def _cuba(work: Draft, name: str, raw: Raw, start: Array = ZERO) -> tuple[Discrete, Discrete]:
    """The synaptic current and the membrane."""
    if work.conventions.drive == "jump":
        work.seen.add("drive")
    keys = ("tau_syn", "tau_mem", "r", "v_leak")
    tau_syn, tau_mem, r, v_leak = (work.parameter(raw, key, work.shapes[name]) for key in keys)
    w_in = work.parameter(raw, "w_in", work.shapes[name]) if "w_in" in raw.fields else np.ones(())
    return cuba(tau_syn, w_in, tau_mem, r, v_leak - start, work.conventions)


def _leaks(work: Draft) -> None:
    work.seen |= {"dt", "drive"} if work.conventions.drive in ("unit", "decayed") else {"dt"}


def filtering(work: Draft, name: str, raw: Raw) -> None:
    """I, LI and CubaLI do not spike: y[t] = decay y[t-1] + gain x[t] + bias, a loop through a Delay."""
    if raw.kind == "I":
        stage, seconds = integrating(work.parameter(raw, "r", work.shapes[name]), work.conventions)
        work.seen.add("seconds" if seconds else "step")
        stages = [stage]
    elif raw.kind == "LI":
        _leaks(work)
        stages = [_leaky(work, name, raw)]
    else:
        _leaks(work)
        stages = list(_cuba(work, name, raw))
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
