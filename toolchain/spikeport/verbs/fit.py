"""``spikeport fit``: does a model fit a chip, and where on it."""

from __future__ import annotations

from collections.abc import Mapping as Map
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from spikeport.files import output, plain
from spikeport.findings import Finding, SpikeportError, fail
from spikeport.graph import LIF, Graph
from spikeport.mapping import Chip, Fit, Mapping, draw, find
from spikeport.mapping.fit import fit as tile
from spikeport.mapping.seating import Seating, Seats, seat, seats
from spikeport.mapping.xylo import LIMITS, Filling, Population, fill, populations
from spikeport.told import Told
from spikeport.verbs.load import Model, load_model
from spikeport.verbs.parameters import Dt, Frames, Help, ModelLike, Nir, Timesteps

BOUNDS: tuple[Literal["shared", "unrolled"], ...] = ("shared", "unrolled")


@dataclass(frozen=True, repr=False)
class Fits(Told):
    """How a model fits a chip with shared convolutions (fewest cores) and with unrolled ones (most).

    Of a chip whose cores hold one layer each, or of one population, there is one bound, "cores".
    """

    model: str
    chip: Chip | Seats | Population
    bounds: Map[str, Fit | Seating | Filling]
    notes: tuple[str, ...]
    findings: tuple[Finding, ...] = ()  #: what the reader of the file chose

    def as_dict(self) -> dict[str, Any]:
        """Everything by name, for JSON."""
        return {
            "model": self.model,
            "chip": self.chip.id,
            "limits": _limits(self.chip),
            "bounds": plain(self.bounds),
            "notes": list(self.notes),
        }


def _limits(chip: Chip | Seats | Population) -> dict[str, Any]:
    if isinstance(chip, Population):
        return chip.model_dump(include={*LIMITS})
    if isinstance(chip, Seats):
        return chip.model_dump(include={"cores", "shapes", "destinations"})
    return {name: limit.model_dump() for name, limit in chip.limits.items()}


def fit(
    model: ModelLike,
    chip: Annotated[
        str | Path | Chip,
        Help("loihi1, loihi2, speck2f, xylo-audio2, xylo-audio3, xylo-imu, or your own .toml.", flags=("--chip",)),
    ] = "loihi1",
    *,
    dt: Dt = None,
    nir: Nir = None,
    timesteps: Timesteps = None,
    frames: Frames = False,
    picture: Annotated[Path | str | None, Help("Write the core map, .png or .svg.")] = None,
) -> Fits:
    """Whether a model fits a chip: cores, memory and axons of each layer, how many chips, and what binds.

    Both ways to store a convolution are tiled and placed; the picture shows the lower bound. Of a chip whose unlike
    cores hold one layer each, as speck2f, every layer gets a core where there is a way; of one with a single population
    of neurons, as xylo-imu, the neurons and weights are counted. Of both there is no picture.

    Raises SP721 for an unknown chip, SP722 for a
    path between layers that has no mapping, SP724 for a picture of another kind.

    Examples:

        spikeport fit digits-conv --chip loihi1

        spikeport fit model.int.nir --chip loihi2 --picture map.svg --json
    """
    others: dict[str, Seats | Population] = {**seats(), **populations()}
    if isinstance(chip, str) and (other := others.get(chip)) is not None:
        return _seated(load_model(model, dt=dt, nir=nir, timesteps=timesteps, frames=frames), other, picture)
    limits = find(chip)
    to = None if picture is None else output(picture, ".png", ".svg")
    loaded = load_model(model, dt=dt, nir=nir, timesteps=timesteps, frames=frames)
    bounds: dict[str, Fit] = {sharing: tile(loaded.graph, limits, sharing=sharing) for sharing in BOUNDS}
    if to is not None:
        draw(Mapping(loaded.graph, bounds["shared"]), to)
    return Fits(loaded.name, limits, bounds, rewritten(loaded.graph, limits), loaded.findings)


def _seated(loaded: Model, chip: Seats | Population, picture: Path | str | None) -> Fits:
    if picture is not None:
        what = f"there is no picture of {chip.title}, whose cores are no mesh"
        fail("SP724", what, where=str(picture), mend="leave --picture out")
    bound = seat(loaded.graph, chip) if isinstance(chip, Seats) else fill(loaded.graph, chip)
    return Fits(loaded.name, chip, {"cores": bound}, (), loaded.findings)


def placed(graph: Graph, chip: str | Chip = "loihi1") -> tuple[dict[str, Any], Mapping | None]:
    """For a report: what `fit` says of a graph, as JSON, and where its layers lie; None where it cannot be mapped.

    What stands in the way is then told under ``notes``.
    """
    try:
        fits = fit(graph, chip)
    except SpikeportError as error:
        return {
            "chip": chip.id if isinstance(chip, Chip) else chip,
            "bounds": {},
            "notes": [str(problem) for problem in error.findings],
        }, None
    shared = fits.bounds["shared"]
    assert isinstance(shared, Fit)
    return fits.as_dict(), Mapping(graph, shared)


def rewritten(graph: Graph, chip: Chip) -> tuple[str, ...]:
    """What neurons of a chip do not do by themselves, said where a layer asks for it: schedules, lower bounds."""
    notes, neurons = [], graph.nodes_of(LIF).items()
    moving = [name for name, node in neurons if (node.threshold != node.threshold[:1]).any()]
    if moving and not chip.schedules:
        notes.append(
            f"The thresholds of {len(moving)} layers change with time; on {chip.title} each change is a write from "
            "outside the mesh, whose time and energy are not published: not priced here."
        )
    held = [name for name, node in neurons if node.lower_bound is not None]
    if held and not chip.lower_bounds:
        notes.append(
            f"The membranes of {len(held)} layers end at a value from below, which neurons of {chip.title} do not: "
            "what is counted here is the network without that (SP617)."
        )
    return tuple(notes)
