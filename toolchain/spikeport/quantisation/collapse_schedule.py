"""Thresholds constant in time, for formats that cannot vary them: only when asked for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from spikeport.costs.values import Values
from spikeport.findings import Finding, SpikeportError, require
from spikeport.graph import LIF, Array, Graph, over_neurons, schedule_over_neurons
from spikeport.graph.meaning import bounded
from spikeport.graph.samples import running
from spikeport.quantisation.sweep import Run
from spikeport.record import Record
from spikeport.target import Request

Collapse = Literal["mean", "first", "best", "bias"]
TRIED = 33  #: constants between a schedule's least and largest threshold that `best` looks at, both included


def collapse_schedule(
    graph: Graph, kind: Collapse, *, samples: Array | None = None, run: Run | None = None, channels: bool = True
) -> tuple[Graph, tuple[Finding, ...]]:
    """Give each layer one threshold for all steps.

    1. "mean" and "first": the schedule's mean over time, or its first threshold.
    2. "best": of its mean and TRIED constants between its least and its largest the one with which fewest spikes on
       ``samples`` differ from the scheduled network's; the first of them on ties. One a channel where thresholds vary
       over channels and ``channels`` says so, else one place between the ends for the whole layer. Layers in order,
       each behind those that are constant already; ``run`` executes a graph. Of samples of unequal length, which its
       record knows, the steps behind a sample's end do not count.
    3. "bias": a schedule theta'+ e h(t) with h(t) = 1 + d + ... + d^t, d the decay, is the constant theta' with e less
       bias: u'[t] = u[t] - e h(t) has the equation of u, as long as no spike resets it. Nothing is lost.

    Requires: real numbers. Ensures: no threshold varies over time. The findings name every layer that 1 and 2 change,
    by how much (SP422). Raises SP433 where a schedule is no such bias.
    """
    varying = {n: node for n, node in graph.nodes_of(LIF).items() if (node.threshold != node.threshold[:1]).any()}
    if kind == "bias":
        return _as_biases(graph, varying), ()
    findings: list[Finding] = []
    truth = None
    if kind == "best" and varying:
        require(samples is not None and run is not None, "SP400", "the best constant needs samples and a run")
        assert samples is not None
        assert run is not None
        truth = run(graph, samples, Request(trains=True))
    for name in [name for name in graph.order if name in varying]:
        node = varying[name]
        theta = node.threshold.astype(np.float64)
        if truth is None or samples is None or run is None:
            constant = theta.mean(axis=0) if kind == "mean" else theta[0]
        else:
            constant = _best(graph, name, samples, run, truth, channels)
        graph = graph.replace({name: node.with_(threshold=_at_all_steps(constant, node))})
        away = np.abs(theta / np.where(constant == 0, 1, constant) - 1)
        if away[np.isfinite(away)].any():
            findings.append(_said(name, kind, len(theta), float(np.nanmax(away))))
    return graph, tuple(findings)


def _said(name: str, kind: str, steps: int, away: float) -> Finding:
    return Finding(
        "SP422",
        f"its {steps} thresholds become their {kind}, up to {away:.1%} away",
        f"layer {name!r}",
        "the network is not the trained one any more.",
        "use a profile with schedules if the accuracy matters",
        "substituted",
    )


def _at_all_steps(constant: Array, node: LIF) -> Array:
    return np.broadcast_to(constant, node.threshold.shape).astype(node.threshold.dtype)


def between(theta: Array) -> Array:
    """The constants that `best` looks at, [1 + TRIED, *tail] of a schedule [T, *tail]: the mean, then from end to end.

    Infinite thresholds are left out, unless there are no others.
    """
    known = np.where(np.isfinite(theta), theta, np.nan)
    never = np.isnan(known).all(axis=0)
    known = np.where(never, 0.0, known)
    low, high = np.nanmin(known, axis=0), np.nanmax(known, axis=0)
    share = np.linspace(0, 1, TRIED).reshape(-1, *(1,) * low.ndim)
    return np.where(never, np.inf, np.concatenate([np.nanmean(known, axis=0)[None], low + share * (high - low)]))


def _best(graph: Graph, name: str, samples: Array, run: Run, truth: Record, channels: bool) -> Array:
    node = graph.nodes[name]
    assert isinstance(node, LIF)
    record = run(graph, samples, Request(trains=True))
    x = Values(graph, samples, record).into(name)
    wanted = truth.trains[name].unpack()
    constants = between(node.threshold.astype(np.float64))
    runs = np.ones(wanted.shape[:2], bool) if record.lengths is None else running(record.lengths, node.timesteps)
    apart: Callable[[Array], Array] = partial(
        _apart, wanted=wanted, runs=runs, each=channels and node.threshold.ndim > 1
    )
    costs = np.stack([apart(_spikes(graph, node.with_(threshold=_at_all_steps(c, node)), x)) for c in constants])
    chosen = np.asarray(np.argmin(costs, axis=0))  # [] or [C]
    if not chosen.ndim:
        return np.asarray(constants[int(chosen)])
    index = chosen.reshape(1, -1, *(1,) * (constants.ndim - 2))
    return np.asarray(np.take_along_axis(constants, np.broadcast_to(index, (1, *constants.shape[1:])), 0)[0])


def _apart(spikes: Array, wanted: Array, runs: Array, each: bool) -> Array:
    """Spikes of [T, B, C, ...] that differ while samples run [T, B], in all or in each channel."""
    axes = tuple(axis for axis in range(spikes.ndim) if axis != 2) if each else None
    counted = runs.reshape(*runs.shape, *(1,) * (spikes.ndim - 2))
    return np.asarray(((spikes ^ wanted) & counted).sum(axes))


def _spikes(graph: Graph, node: LIF, x: Array) -> Array:
    """The spikes of one layer that ``x`` [T or 1, B, *shape] enters."""
    v = current = np.zeros(x.shape[1:])
    fired = []
    for t in range(node.timesteps):
        u, current, _ = graph.arithmetic.charge(node, v, current, x[min(t, len(x) - 1)])
        fired.append(graph.arithmetic.fires(node, u, t))
        v = bounded(node, graph.arithmetic.after(node, u, fired[-1], t))
    return np.stack(fired)


def _as_biases(graph: Graph, varying: dict[str, LIF]) -> Graph:
    refused = {name: why for name, node in varying.items() if (why := _no_bias(node))}
    if refused:
        raise SpikeportError(
            [
                Finding(
                    "SP433",
                    f"no bias stands for its schedule: {why}",
                    f"layer {name!r}",
                    "a threshold that rises is a bias only while nothing resets the membrane.",
                    "accept a constant that changes spikes: --thresholds best, or mean; then fine-tune",
                )
                for name, why in refused.items()
            ]
        )
    return graph.replace({name: _with_bias(node) for name, node in varying.items()})


def _no_bias(node: LIF) -> str:
    """Why not, or nothing."""
    theta = schedule_over_neurons(node.threshold.astype(np.float64), node.shape)
    if node.reset != "none":
        return f"its reset is {node.reset!r}, and spikes would set the membranes of the two networks apart"
    if node.lower_bound is not None:
        return "its membranes have a lower bound, which no bias moves"
    decay = _decay(node)
    if not (decay > 0).all() or not np.isfinite(theta).all():
        return "its membranes hold nothing, or a threshold is infinite"
    constant, step = _constant_and_step(theta, decay)
    off = np.abs(theta - constant - step * _reached(decay, node.timesteps)).max()
    tolerance = 8 * float(np.finfo(np.float32).eps) * float(np.abs(theta).max())
    return "" if off <= tolerance else f"its thresholds are up to {off:.3g} off theta + e (1 + d + ... + d^t)"


def _with_bias(node: LIF) -> LIF:
    theta = schedule_over_neurons(node.threshold.astype(np.float64), node.shape)
    constant, step = _constant_and_step(theta, _decay(node))
    bias = over_neurons(node.bias.astype(np.float64), node.shape) - step
    full = np.broadcast_to(constant, (node.timesteps, *constant.shape[1:])).astype(node.threshold.dtype)
    return node.with_(threshold=_short(full, 1), bias=_short(bias, 0).astype(node.bias.dtype))


def _short(value: Array, lead: int) -> Array:
    """[], [C] or the shape of the neurons, behind ``lead`` axes, of what was spread over them with axes of one."""
    tail = value.shape[lead:]
    kept = 0 if all(size == 1 for size in tail) else 1 if all(size == 1 for size in tail[1:]) else len(tail)
    return value.reshape((*value.shape[:lead], *tail[:kept]))


def _decay(node: LIF) -> Array:
    """[...] with an axis for each of the neurons' own."""
    decay = over_neurons(node.decay.astype(np.float64), node.shape)
    return decay.reshape(decay.shape or (1,) * len(node.shape))


def _constant_and_step(theta: Array, decay: Array) -> tuple[Array, Array]:
    """theta' and e of ``theta`` [T, ...] = theta' + e h(t): h(1) - h(0) is the decay."""
    step = (theta[1] - theta[0]) / decay
    return theta[:1] - step, step


def _reached(decay: Array, steps: int) -> Array:
    """h(t) = 1 + d + ... + d^t, [T, ...]."""
    return np.asarray(np.cumsum([decay**t for t in range(steps)], axis=0))
