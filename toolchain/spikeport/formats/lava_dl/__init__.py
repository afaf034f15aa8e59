"""Lava-DL's networks, read: the .net files that SLAYER and Bootstrap export and that netx runs on Lava and Loihi 2.

They hold integers that a chip computes with, so that the Graph has Loihi's arithmetic and runs as netx runs on Lava, to
the bit: lava-dl 0.6.0, ``netx/hdf5.py`` and ``netx/utils.py``, with a reset between samples that follows them through
the layers (``reset_interval``).

1. ``formats/hdf5.py``: the file as a tree, every claim checked.
2. ``numbers.py``: the values of a layer, whole.
3. ``layers.py``: each layer as nodes, its neurons by ``neurons.py``; what leaves by ``outputs.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from spikeport.findings import Finding, SpikeportError, fail, require
from spikeport.formats import hdf5
from spikeport.formats.lava_dl.layers import Draft, add
from spikeport.formats.lava_dl.numbers import Fields
from spikeport.formats.lava_dl.outputs import let_out, read_out
from spikeport.graph import LOIHI2, Graph, Loihi
from spikeport.passes.delays import delay_weights

LONGEST_RUN = 2**20  #: timesteps


def read(path: Path | str, timesteps: int | None = None) -> tuple[Graph, tuple[Finding, ...]]:
    """The network of a .net file, in Loihi's integers, and how it was read.

    ``timesteps``: how many a sample has; unless told, those of the file's simulation, else 1. Its thresholds hold on
    (``passes.extend``).

    Raises SP201 (no such file, not HDF5), SP202 (damaged, or no such network), SP206 (timesteps), SP207 (claims more
    than it can hold), SP227 (what cannot be run as it was trained), and what a Graph raises.
    """
    path, where = Path(path), str(path)
    tree = hdf5.load(path, "Lava-DL", "layer", "simulation")
    said = tree.get("simulation", {}).get("tSample")
    steps = timesteps or (Fields({"tSample": said}, where).one("tSample") if said is not None else 1)
    require(1 <= steps <= LONGEST_RUN, "SP206", f"timesteps is {steps}", where=where, mend="use at least one step")
    draft, notes = Draft(steps), []
    problems: dict[Finding, list[int]] = {}  # with the layers that have them
    for number, values in enumerate(_in_order(tree["layer"], where)):
        layer = Fields(values, f"{where}, layer {number}")
        try:
            add(draft, number, layer)
        except SpikeportError as error:
            for found in error.findings:
                problems.setdefault(replace(found, where=""), []).append(number)
            if not draft.last or error.code != "SP227":
                break  # what comes behind is measured by it
        notes += layer.notes
    if not problems and not draft.last:
        fail("SP202", "holds no layer but its input", where=where, mend="export it again")
    if problems:
        raise SpikeportError(replace(found, where=_layers(where, those)) for found, those in problems.items())
    if told := read_out(draft):
        notes.append(Finding("SP229", told, where, severity="note"))
    let_out(draft, where)
    graph = _graph(draft, where)
    if timesteps is None:
        told = f"its simulation has {steps} timesteps" if said is not None else "it says no number of timesteps: 1"
        what = f"{told}; the state of each layer is zero at a sample's first step"
        notes.append(Finding("SP229", what, where, mend="--timesteps says another number", severity="note"))
    return graph, tuple(notes)


def _layers(where: str, numbers: list[int]) -> str:
    return f"{where}, layer{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _in_order(layers: Mapping[str, Any], where: str) -> list[Mapping[str, Any]]:
    names = [str(number) for number in range(len(layers))]
    if not names or set(names) != set(layers) or not all(isinstance(layers[name], Mapping) for name in names):
        fail("SP202", "its layers are not groups numbered from 0", where=where, mend="export it again")
    return [layers[name] for name in names]


def _graph(draft: Draft, where: str) -> Graph:
    try:
        facts: dict[str, Any] = {"arithmetic": Loihi(LOIHI2), "provenance": {"source": "lava-dl", "format": "net"}}
        graph = Graph(draft.nodes, tuple(draft.edges), draft.timesteps, after_end="hold", **facts)
        for name, delays in draft.delays.items():
            graph = delay_weights(graph, name, delays)
    except SpikeportError as error:
        told = (f"{where}, {found.where}" if found.where else where for found in error.findings)
        raise SpikeportError(replace(found, where=w) for found, w in zip(error.findings, told, strict=True)) from None
    return graph
