"""Neurons become Xylo's: decays to shifts, thresholds to whole sums, currents that decay as they arrive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from spikeport.findings import Finding, raise_errors
from spikeport.graph import DECAY_ONE, LIF, Array, CubaLIF, Graph, Profile, over_neurons, schedule_over_neurons
from spikeport.graph.xylo import SHIFTS
from spikeport.mapping.population import populations


def late_currents(graph: Graph) -> Graph:
    """Write the neurons of a prepared graph as Xylo's, whose currents decay by what they get, too.

    i[t] = f i[t-1] + x[t] is i'[t] = f (i'[t-1] + x[t]) for i' = f i: membranes, thresholds and biases times f, and a
    gain of f. No spike changes, up to rounding.

    Requires: Real arithmetic, gain 1. Raises SP134 where neurons have no current, or another reset.
    """
    raise_errors(other_neurons(graph))
    for name, node in graph.nodes_of(CubaLIF).items():
        late = node.measured_in(1 / node.current_decay.astype(np.float64), node.threshold.dtype)
        graph = graph.replace({name: late.with_(gain=node.current_decay)})
    return graph


def other_neurons(graph: Graph) -> Iterator[Finding]:
    """SP134 for each layer of a trained network whose neurons do not become Xylo's."""
    for name, node in graph.nodes_of(LIF).items():
        current = isinstance(node, CubaLIF) and bool((node.current_decay > 0).all())
        if not current or node.reset != "subtract" or node.lower_bound is not None:
            bound = "" if node.lower_bound is None else " and a lower bound"
            yield Finding(
                "SP134",
                f"neurons of {type(node).__name__} with reset {node.reset!r}{bound}, where Xylo's hold a current",
                f"node {name!r}",
                why="each of the chip's holds a current that decays, and loses one threshold a spike.",
                mend='train such neurons, as the recipe vowels-xylo does: network = "synaptic"',
            )


def one_shift(graph: Graph, exponents: Mapping[str, Mapping[str, int]]) -> tuple[dict[str, int], dict[str, int]]:
    """What makes layers share one shift for all weights of a population of the chip.

    ``exponents``: of each layer's synapses by themselves. Gives by how many bits each layer's unit is to be coarser,
    and the smallest exponent of each synapse; what is finer than that keeps fewer bits.

    1. Among hidden neurons, and into the output: the smallest of the layers' leading exponents. Layers with larger ones
       take a coarser unit, which costs no weight a bit.
    2. From the input: the largest of those that (1) settled, or else the smallest.
    """
    of = populations(graph)
    coarser, least = dict.fromkeys(exponents, 0), dict[str, int]()
    settled: set[str] = set()
    for population in ("hidden", "out", "input"):
        mine = {
            layer: {name: e - coarser[layer] for name, e in each.items() if of.get(name) == population}
            for layer, each in exponents.items()
        }
        leading = {layer: max(each.values()) for layer, each in mine.items() if each}
        if not leading:
            continue
        bound = [leading[layer] for layer in leading if layer in settled]
        shift = max(0, max(bound) if bound else min(leading.values()))
        for layer, lead in leading.items():
            coarser[layer] += max(0, lead - shift) if layer not in settled else 0
            least |= dict.fromkeys(mine[layer], shift)
        settled |= set(leading)
    return coarser, least


def whole(node: LIF, name: str, sum_unit: Array) -> tuple[dict[str, Any], list[Finding]]:
    """What a neuron of Xylo's has otherwise than Loihi's: decays, thresholds and the comparison; ``sum_unit`` in reals.

    1. A decay becomes the nearest 1 - 2^-n, n from 1 to 12.
    2. A threshold becomes the nearest whole sum, since each spike takes one from the membrane.
    """
    assert isinstance(node, CubaLIF)
    theta = schedule_over_neurons(node.threshold.astype(np.float64), node.shape) / over_neurons(sum_unit, node.shape)
    changes: dict[str, Any] = {"threshold": np.maximum(np.rint(theta), 1).astype(np.int32), "compare": ">="}
    findings = []
    for field in ("decay", "current_decay"):
        wanted = getattr(node, field).astype(np.float64)
        changes[field] = shift = nearest(wanted)
        away = float(np.abs(shift / DECAY_ONE - wanted).max())
        if away > 1 / DECAY_ONE:
            what = f"its {field} of {float(wanted.flat[0]):.4g} becomes {float(shift.flat[0]) / DECAY_ONE:.4g}, a shift"
            why = f"up to {away:.3g} away: the chip's decays are 1 - 2^-n."
            mend = f"train with {field} = 0.5, 0.75, 0.875, ..."
            findings.append(Finding("SP438", what, f"node {name!r}", why, mend, "substituted"))
    return changes, findings


def nearest(decay: Array) -> Array:
    """The numerator over 4096 of the nearest shift, int32."""
    shifts = np.asarray(SHIFTS)
    return np.asarray(shifts[np.abs(shifts - np.asarray(decay)[..., None] * DECAY_ONE).argmin(-1)].astype(np.int32))


def at_most(node: LIF, profile: Profile, where: str) -> tuple[dict[str, int], list[Finding]]:
    """How often a neuron may fire, where the profile has fewer spikes a step."""
    if not 1 < profile.most_spikes < node.most_spikes:
        return {}, []
    finding = Finding(
        "SP434",
        f"fires up to {node.most_spikes} times a step, in the profile {profile.name!r} {profile.most_spikes}",
        where,
        why="where more would fire, the rest stays in the membrane.",
        mend="nothing where no neuron gets that far; else a profile with a larger most_spikes",
        severity="substituted",
    )
    return {"most_spikes": profile.most_spikes}, [finding]
