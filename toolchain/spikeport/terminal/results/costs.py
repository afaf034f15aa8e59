"""What runs cost, and whether they fit: ``events``, ``energy``, ``fit``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from spikeport.record import NeuronEvents
from spikeport.terminal import console, show
from spikeport.terminal.results import Shown

if TYPE_CHECKING:
    from spikeport.mapping.seating import Seating
    from spikeport.mapping.xylo import Filling
    from spikeport.verbs.energy import Costs
    from spikeport.verbs.events import Counted
    from spikeport.verbs.fit import Fits

#: limits as a narrow terminal shows them
SHORT = {"neurons": "neurons", "synapse_memory": "memory", "input_axons": "axons in", "output_axons": "axons out"}
#: what is counted of each kind of layer, and how the table names it
SYNAPSES = {
    "inputs": "inputs",
    "payload": "payload",
    "synops": "operations, non-zero weights",
    "fanout": "all weights",
    "dense": "dense",
    "macs_cached": "analog MACs, cached",
    "macs_every_step": "at every step",
}
NEURONS = {"spikes": "spikes", "updates": "updates", "active": "active"}


def _events(counted: Counted, values: Mapping[str, Any]) -> None:
    plain = counted.as_dict()
    samples = plain["samples"]
    title = f"per sample, summed over {plain['timesteps']} steps; {samples} samples on {plain['target']}"
    for kind, counts, what in (("synapse", SYNAPSES, "synapses"), ("neurons", NEURONS, "neurons")):
        layers = [(name, layer) for name, layer in plain["layers"].items() if layer["kind"] == kind]
        rows = [(name, *(_mean(layer[count], samples) for count in counts)) for name, layer in layers]
        show.table(f"{what}, {title}", ("layer", *counts.values()), rows)
    if plain["identities"]:
        show.table(
            f"spikes that enter a layer without a synapse, {title}",
            ("from", "into", "additions"),
            [(way["source"], way["layer"], _mean(way["operations"], samples)) for way in plain["identities"]],
        )
    if plain["traffic"] is not None:
        show.table(
            f"messages and mesh hops on {values['chip']}, {title}",
            ("layer", "messages", "hops east-west", "hops north-south"),
            [(name, *(_mean(count, samples) for count in sent.values())) for name, sent in plain["traffic"].items()],
        )


def _mean(value: int | list[int], samples: int) -> str:
    total = sum(value) if isinstance(value, list) else value
    return f"{total / samples:,.1f}"


def _energy(costs: Costs, values: Mapping[str, Any]) -> None:
    kinds = sorted({each.kind for each in costs.estimates.values()})
    several = len(kinds) > 1
    rows = [
        (
            name,
            *(micro(value) for value in (each.nominal, each.low, each.high)),
            *(micro(line.nominal) if line else "" for line in (each.static, each.host, each.total)),
            *([each.kind] if several else []),
            each.basis,
        )
        for name, each in costs.estimates.items()
    ]
    show.table(
        f"{' and '.join(kinds)} energy of one sample in microjoule (mean of {costs.samples}, run on {costs.target})",
        (
            "model",
            "dynamic",
            "its low",
            "high",
            "static",
            "host, I/O",
            "in all",
            *(["kind"] if several else []),
            "basis",
        ),
        rows,
    )
    timed = "" if costs.latency is None else "; µs: modelled"
    show.table(f"counted for each timestep, mean of a sample{timed}", *_steps(costs))
    for estimate in costs.estimates.values():
        if estimate.sentence:
            console.echo(estimate.sentence)
    for verdict in costs.verdicts.values():
        console.echo(verdict.sentence)
    if costs.latency is not None:
        given = any(each.step_from == "given" for each in costs.estimates.values())
        aside = " The step time that you gave is in the energies above, not in these." if given else ""
        console.echo(f"Times on {costs.chip}: {costs.latency.sentence}{aside}")
    if costs.counted.fitted_step is not None:
        console.echo(
            f"By times fitted to silicon (SANA-FE's of Loihi 1), a step is modelled to take "
            f"{micro(costs.counted.fitted_step)} µs; that is of the first sample, its pipeline filled and drained. The "
            "energies above are for the step of the chip's published times."
        )
    if costs.sanafe is not None:
        console.echo(
            f"SANA-FE's own account of {costs.sanafe.samples} samples: {micro(costs.sanafe.sanafe)} µJ each, our "
            f"model of it {micro(costs.sanafe.model)} µJ (relative difference {costs.sanafe.relative_difference:.1e})."
        )
        if costs.sanafe.model_seconds is not None:
            console.echo(
                f"Its chip takes {micro(costs.sanafe.chip_seconds)} µs for the run, by the same times we say "
                f"{micro(costs.sanafe.model_seconds)} µs; the modelled step above has Davies' pre-silicon times, "
                "without messages, and with another barrier."
            )
    for note in costs.notes:
        console.echo(note)


def _steps(costs: Costs) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Head and rows of what each step counts; messages, hops and times where there is a mapping."""
    events = costs.counted.record.events.values()
    columns = {
        "spikes": np.sum([each.spikes for each in events if isinstance(each, NeuronEvents)], axis=0),
        "synaptic operations": np.sum([each.operations for each in costs.counted.deliveries], axis=0),
    }
    if costs.counted.traffic is not None:
        sent = list(costs.counted.traffic.values())
        columns["messages"] = np.sum([each.messages for each in sent], axis=0)
        columns["hops"] = np.sum([each.east_west + each.north_south for each in sent], axis=0)
    rows = [[f"{column[t] / costs.samples:,.1f}" for column in columns.values()] for t in range(costs.timesteps)]
    heads = ["timestep", *columns]
    if costs.latency is not None:
        heads.append("µs")
        for row, step in zip(rows, costs.latency.steps, strict=True):
            row.append(micro(step.nominal))
    return tuple(heads), [(str(t), *row) for t, row in enumerate(rows)]


def micro(joule: float) -> str:
    """Joule as microjoule."""
    return f"{joule * 1e6:.3g}"


def _fit(fits: Fits, values: Mapping[str, Any]) -> None:
    from spikeport.mapping.seating import Seating
    from spikeport.mapping.xylo import Filling

    for bound in fits.bounds.values():
        if isinstance(bound, Seating):
            _seating(bound)
            continue
        if isinstance(bound, Filling):
            _filling(bound)
            continue
        rows = [
            (
                name,
                "x".join(map(str, layer.layer.shape)),
                layer.tile.cores,
                "x".join(map(str, layer.tile.shape)),
                *(f"{layer.utilisation[limit]:.0%}" if limit in layer.utilisation else "not public" for limit in SHORT),
                SHORT[layer.binding],
            )
            for name, layer in bound.layers.items()
        ]
        title = f"{bound.chip.title}, {bound.sharing} convolutions: of the fullest core"
        show.table(title, ("layer", "shape", "cores", "tile", *SHORT.values(), "binds"), rows)
        console.echo(bound.sentence)
    for note in fits.notes:
        console.echo(note)
    if values["picture"] is not None:
        console.say(f"wrote {values['picture']}")


def _seating(seating: Seating) -> None:
    from spikeport.mapping.seating import MEMORIES

    rows = []
    for name, need in seating.needs.items():
        used = [f"{share:.0%}" for share in seating.used(name).values()] or ["-"] * len(MEMORIES)
        rows.append((name, "x".join(map(str, need.shape)), str(seating.cores.get(name, "none")), *used))
    show.table(f"{seating.chip.title}: of each layer's core", ("layer", "shape", "core", *MEMORIES), rows)
    console.echo(seating.sentence)


def _filling(filling: Filling) -> None:
    from spikeport.mapping.xylo import LIMITS

    limits = filling.as_dict()["limits"].items()
    rows = [(LIMITS[name], f"{of['needs']:,}", f"{of['has']:,}", f"{of['utilisation']:.0%}") for name, of in limits]
    show.table(filling.chip.title, ("what", "needed", "there", "used"), rows)
    console.echo(filling.sentence)


SHOWN = {
    "events": Shown(_events, remarks=True),
    "energy": Shown(_energy, remarks=True),
    "fit": Shown(_fit, remarks=True),
}
