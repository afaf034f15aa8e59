"""``spikeport energy``: what a sample costs under named cost models, side by side."""

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from spikeport.costs import Estimate, Verdict, counts, estimate, find, shipped, verdicts
from spikeport.costs.estimate import function_of
from spikeport.costs.gpu import Nvml, measure, nvml
from spikeport.costs.model import Model as CostModel
from spikeport.costs.model import replaced
from spikeport.files import plain
from spikeport.findings import Finding, SpikeportError, fail
from spikeport.graph import Array, Graph, Samples
from spikeport.mapping import Chip, Latency, Mapping, latency
from spikeport.mapping import find as find_chip
from spikeport.mapping.fit import fit
from spikeport.target import Request, check_input, silent
from spikeport.told import Told
from spikeport.verbs.clip import clipped
from spikeport.verbs.events import Counted, count
from spikeport.verbs.fit import rewritten
from spikeport.verbs.load import as_long_as, load_data, load_model
from spikeport.verbs.own_files import bring, needed
from spikeport.verbs.parameters import (
    Batch,
    Clip,
    DataName,
    Device,
    Dt,
    Frames,
    Help,
    Limit,
    ModelLike,
    Nir,
    Progress,
    SamplesToo,
    Seconds,
    Split,
    TargetName,
    Timesteps,
    unless_none,
)
from spikeport.verbs.sanafe import Check, check


@dataclass(frozen=True, repr=False)
class Costs(Told):
    """Estimates by model, and who wins where SNN and ANN are priced by the same one."""

    model: str
    target: str
    samples: int
    timesteps: int
    rate: float  #: counted spikes per neuron and step
    estimates: Map[str, Estimate]
    verdicts: Map[str, Verdict]
    chip: str | None  #: the chip whose mapping gives messages, hops and times; None where there is no mapping
    latency: Latency | None
    notes: tuple[str, ...]
    counted: Counted  #: what was priced, by layer and timestep
    sanafe: Check | None = None  #: SANA-FE's own account of the first samples, where it was asked for
    asked: tuple[Finding, ...] = ()  #: of cost models that others stand in for

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the reader of the model chose and the target had to say."""
        return (*self.asked, *self._silence, *self.counted.findings)

    @property
    def _silence(self) -> tuple[Finding, ...]:
        if self.rate > 0 or not self.counted.record.neurons:
            return ()
        what = (
            f"nothing fires in {self.samples} samples of {self.timesteps} steps: its energies are those of an idle chip"
        )
        mend = "see where the input ends: spikeport events; or lower the thresholds"
        return (Finding("SP711", what, self.model, "a network that computes nothing is cheap.", mend, "note"),)

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, for JSON; energies in joule per sample."""
        return {
            "model": self.model,
            "target": self.target,
            "samples": self.samples,
            "timesteps": self.timesteps,
            "firing_rate": self.rate,
            "energy_joule_per_sample": plain(self.estimates),
            "verdicts": plain(self.verdicts),
            "chip": self.chip,
            "latency": plain(self.latency),
            "fitted_step_seconds": self.counted.fitted_step,
            "events": self.counted.as_dict(),
            "notes": list(self.notes),
            "sanafe": plain(self.sanafe),
        }


def energy(
    model: ModelLike,
    data: DataName = None,
    *,
    samples: SamplesToo = None,
    split: Split = "test",
    target: TargetName = None,
    limit: Limit = None,
    device: Device = "cpu",
    batch: Batch = None,
    seconds: Seconds = None,
    dt: Dt = None,
    nir: Nir = None,
    timesteps: Timesteps = None,
    frames: Frames = False,
    clip: Clip = False,
    models: Annotated[
        Sequence[str | Path | CostModel], Help("A further cost model: a name, or your own .toml file.", ("--model",))
    ] = (),
    chip: Annotated[
        str | Path | Chip | None, Help("Chip of the mapping: loihi1, loihi2, a .toml file, or none.", read=unless_none)
    ] = "loihi1",
    chips: Annotated[int | None, Help("Chips that draw static and host power.", least=1)] = None,
    step_seconds: Annotated[
        float | None, Help("Seconds a step for static and host energy, else as modelled.", ("--step-time",))
    ] = None,
    gpu: Annotated[bool, Help("Also measure this machine's GPU, about a minute.")] = False,
    sanafe: Annotated[int, Help("Replay N samples through SANA-FE as a check.", least=0)] = 0,
    progress: Progress = silent,
) -> Costs:
    """What a sample costs under named cost models, side by side, with the same-architecture ANN.

    In Python: ``models`` are added to the shipped ones (those that are for on request only are priced if named here).
    The mapping on ``chip`` gives messages and hops, counted spike by spike, the modelled time of a step, and, unless
    ``chips`` says otherwise, how many chips draw power. Static energy, host and I/O are lines of their own, for steps
    of the modelled time or of ``step_seconds``; a model of another chip has them only with ``step_seconds``. ``gpu``
    also measures this machine's GPU as `gpu-measured`; ``sanafe`` replays so many samples through SANA-FE.

    Raises SP701 ... SP705 for a cost model, SP721 for a chip and SP708 for a GPU that cannot be used, before anything
    runs, and what `events` and `check` raise.

    Examples:

        spikeport energy digits-conv --data digits --limit 100

        spikeport energy model.int.nir --data digits --model my.toml --model loihi2-pilotnet --chip loihi2 --json
    """
    chip_ = None if chip is None else find_chip(chip)
    counter = nvml() if gpu else None
    wanted = [*(each for each in shipped().values() if not each.on_request), *map(find, models)]
    chosen = {each.id: each for each in wanted}
    for each in chosen.values():
        function_of(each)
    brought = bring(needed(data, samples), dt, split, limit)
    loaded = load_model(model, dt=dt, nir=nir, timesteps=timesteps, frames=frames, data=brought)
    loaded = as_long_as(loaded, brought, frames and timesteps is None)
    entering = load_data(brought, split, loaded.graph, limit)
    entering = clipped(entering, loaded.graph) if clip else entering
    x = entering.whole("--gpu or --sanafe") if gpu or sanafe else entering.x
    graph = loaded.graph
    mapping, notes = mapped(graph, chip_)
    if sanafe and mapping is None:
        fail("SP741", "there is no mapping to replay", where="sanafe", why=notes[0], mend="name a chip that it fits")
    request = Request(device=device, batch=batch, seconds=seconds, progress=progress)
    counted = replace(count(loaded, entering.given, mapping, target, request), entered=entering.findings)
    costs = price(counted, list(chosen.values()), chips=chips, step_seconds=step_seconds, notes=notes)
    costs = replace(costs, asked=tuple(said for name in models if (said := replaced(name))))
    if counter is not None:
        costs = replace(costs, estimates={**costs.estimates, "gpu-measured": _measured(graph, x, batch, counter)})
    if sanafe and mapping:
        costs = replace(costs, sanafe=check(mapping, Samples.of(graph, x).first(sanafe).array))
    return costs


def price(
    counted: Counted,
    models: Sequence[CostModel] | None = None,
    *,
    chips: int | None = None,
    step_seconds: float | None = None,
    notes: tuple[str, ...] = (),
) -> Costs:
    """Price what was counted under ``models``, all shipped ones but those on request where None."""
    graph, record, mapping = counted.model.graph, counted.record, counted.mapping
    known: dict[str, Any] = {
        "traffic": counted.traffic,
        "enter": counted.identities,
        "delivered": counted.deliveries,
        "samples": counted.samples,
    }
    times = latency(mapping, record, counted.work) if mapping and counted.work is not None else None
    used = chips or (mapping.fit.chips if mapping else 1)
    modelled = {mapping.chip.id: times.step} if mapping and times else {}
    estimates = estimate(graph, record, models, chips=used, step_seconds=step_seconds, modelled=modelled, **known)
    unpriced = [f"{each.title}: {each.notes[-1]}" for each in estimates.values() if each.incomplete]
    rate = counts(graph, record, **known).rate
    return Costs(
        model=counted.model.name,
        target=record.target,
        samples=record.samples,
        timesteps=graph.timesteps,
        rate=rate,
        estimates=estimates,
        verdicts=verdicts(estimates, rate),
        chip=mapping.chip.id if mapping else None,
        latency=times,
        notes=(*unpriced, *notes),
        counted=counted,
    )


def _measured(graph: Graph, samples: Array, batch: int | None, counter: Nvml) -> Estimate:
    """Board energy of the engine on the GPU; its results come back to the host, so every run is finished."""
    from spikeport.engine import simulate

    total = check_input(graph, samples)
    request = Request(batch=batch or total)
    return measure(lambda: simulate(graph, samples, request, "cuda"), total, counter, batch=batch or total)


def mapped(graph: Graph, chip: Chip | None) -> tuple[Mapping | None, tuple[str, ...]]:
    """The mapping on a chip; where there is none, why."""
    alone = "Without a mapping each spike is one message a layer that it reaches, and no hop is counted"
    if chip is None:
        return None, (alone,)
    try:
        placement = fit(graph, chip)
    except SpikeportError as error:
        return None, (f"No mapping on {chip.title}: {error.findings[0].what}. {alone}",)
    if placement.refused:
        return None, (f"{placement.sentence} {alone}",)
    said = f"Messages, hops and times come from a mapping: {placement.sentence}"
    return Mapping(graph, placement), (said, *rewritten(graph, chip))
