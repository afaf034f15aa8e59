"""``spikeport plot``: a run as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

from spikeport.findings import fail
from spikeport.record import Record
from spikeport.reporting.plots import Picture
from spikeport.reporting.plots import plot as drawn
from spikeport.verbs.load import Model
from spikeport.verbs.own_files import OBSERVED
from spikeport.verbs.parameters import Dt, Frames, Help, Nir, Timesteps
from spikeport.verbs.sides import Reading, Side, side


def plot(
    record: Annotated[Path | str | Record, Help("The record.npz of a run, or NIRData.", metavar="RECORD", place=True)],
    against: Annotated[Path | str | Record | None, Help("A second record of the same samples.")] = None,
    out: Annotated[Path | str | None, Help("The picture, .png or .svg; beside the record unless said.")] = None,
    *,
    model: Annotated[Path | str | Model | None, Help("The model of the record, for its thresholds.")] = None,
    against_model: Annotated[Path | str | Model | None, Help("The model of the second record.")] = None,
    sample: Annotated[int | None, Help("Which sample, from 0; that of the first difference unless said.")] = None,
    layers: Annotated[
        Sequence[str], Help("This layer only. May be repeated.", flags=("--layer",), metavar="LAYER")
    ] = (),
    dt: Dt = None,
    nir: Nir = None,
    timesteps: Timesteps = None,
    frames: Frames = False,
) -> Picture:
    """Draw a run: spikes over time a layer, firing rates, membranes with their thresholds.

    Thresholds come from the model that the record remembers, where that file is still the same, or from the one named.
    A second record colours the spikes that only one of the two has, and marks where they first part. A neuron that
    fires several times in a step is drawn the darker the more often it does. NIRData's events come in steps of ``dt``.

    In Python: written to ``out`` where that is given, or beside a record that is a file.

    Raises SP821 for a sample or a layer that there is not, SP120 for what is no record, SP906 for another ending.

    Examples:

        spikeport plot build/here/record.npz --out build/raster.png

        spikeport plot build/here/record.npz --against build/lava/record.npz --out build/raster.svg
    """
    reading = Reading(dt=dt, nir=nir, timesteps=timesteps, frames=frames)
    shown = _side(record, model, reading)
    other = None if against is None else _side(against, against_model, reading)
    assert shown.record is not None
    models = [each.model for each in (shown, other) if each is not None and each.model is not None]
    picture = drawn(
        shown.record,
        None if other is None else other.record,
        graph=shown.graph,
        graph_b=None if other is None else other.graph,
        sample=sample,
        layers=layers,
        names=_names(shown, other),
    )
    findings = tuple(dict.fromkeys(finding for loaded in models for finding in loaded.findings))
    picture = replace(picture, findings=findings)
    if out is None and isinstance(record, Record):
        return picture
    place = Path(record).with_suffix(".png") if out is None and not isinstance(record, Record) else out
    assert place is not None
    return replace(picture, path=picture.save(place))


def _side(named: Path | str | Record, model: Path | str | Model | None, reading: Reading) -> Side:
    """A record, or NIRData's spikes, with its network where that is known. Raises SP822 for what is no record."""
    if not isinstance(named, Record) and Path(named).suffix.lower() in OBSERVED:
        return replace(side(Record.load(named, reading["dt"]), model, **reading), name=str(named))
    if not isinstance(named, Record) and Path(named).suffix != ".npz":
        fail(
            "SP822",
            "is no record",
            where=str(named),
            mend="run it first: spikeport simulate MODEL --data X.npy --out DIR",
        )
    return side(named, model, **reading)


def _names(shown: Side, other: Side | None) -> tuple[str, str]:
    """What a legend has room for: the end of each path, A and B where these are one."""
    ends = ["/".join(Path(each.name).parts[-2:]) for each in (shown, other) if each is not None]
    if len(set(ends)) == 2:
        return ends[0], ends[1]
    return (ends[0], "") if other is None else ("A", "B")
