"""SANA-FE's own account of a run beside our model of it: the outside check of ``spikeport energy``."""

from __future__ import annotations

from dataclasses import dataclass

from spikeport.costs import estimate
from spikeport.graph import Array
from spikeport.mapping import Mapping, traffic
from spikeport.mapping.latency import depth
from spikeport.mapping.replayed import played
from spikeport.mapping.replayed import seconds as run_seconds
from spikeport.target import Replays, Request, target

MODEL = "loihi1-sanafe2025"


@dataclass(frozen=True)
class Check:
    """Energies in joule per sample, the pipeline drained after the last one."""

    samples: int
    sanafe: float  #: what SANA-FE adds up, event by event
    model: float  #: what our model says for the same run and mapping
    relative_difference: float
    chip_seconds: float  #: SANA-FE's time for the whole run, its simple timing model
    model_seconds: float | None  #: ours by the same constants; None for a chip that has none


def check(mapping: Mapping, samples: Array, *, seconds: float | None = None) -> Check:
    """Run on the engine, replay every spike through SANA-FE in a child process, and compare.

    Raises SP501 where that target is not installed, SP741, SP742 for a graph that SANA-FE cannot take, SP743 ... SP746
    for a run that ends badly.
    """
    from spikeport.engine import simulate

    chip = target("sanafe")
    assert isinstance(chip, Replays)
    record = simulate(mapping.graph, samples, Request(events=True, trains=True))
    theirs = chip.replay(mapping, samples, record, seconds=seconds)
    sent = traffic(mapping, record, samples)
    ours = estimate(mapping.graph, record, [MODEL], traffic=sent, samples=samples, drain=depth(mapping.fit))[
        MODEL
    ].nominal
    time = run_seconds(mapping, played(mapping, record, samples))
    each = theirs.energy["total"] / record.samples
    return Check(record.samples, each, ours, ours / each - 1 if each else 0.0, theirs.seconds, time)
