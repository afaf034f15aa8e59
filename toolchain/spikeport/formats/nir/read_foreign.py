"""NIR files that other tools, or people, wrote.

What the file does not say is a choice (conventions.py), and each choice is a finding with the option that changes
it. Nothing is dropped without one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from spikeport.findings import Finding, SpikeportError, fail
from spikeport.formats.nir.conventions import Conventions
from spikeport.formats.nir.draft import Draft
from spikeport.formats.nir.file import Tree
from spikeport.formats.nir.hidden_dt import hidden_dt
from spikeport.formats.nir.implied_shapes import shapes
from spikeport.formats.nir.subgraphs import Flat, flat
from spikeport.formats.nir.to_graph import convert
from spikeport.graph import Graph


def read(tree: Tree, where: str, conventions: Conventions, timesteps: int) -> tuple[Graph, tuple[Finding, ...]]:
    """The graph of a file without our metadata, and the choices that were made.

    Raises SP202 (damaged), SP203 (metadata stripped), SP210 (a node that cannot run), SP211 (edges), SP213 (time).
    """
    refuse_stripped(tree, where)
    network, notes = flat(tree, where)
    try:
        if conventions.clock == "r":
            conventions = replace(conventions, dt=hidden_dt(network) or conventions.dt)
        work = Draft(network, shapes(network), conventions, timesteps, dtype=_dtype(network))
        graph = convert(work)
    except SpikeportError as error:
        raise SpikeportError(
            replace(finding, where=f"{where}, {finding.where}" if finding.where else where)
            for finding in error.findings
        ) from None
    except (ValueError, IndexError, TypeError, ArithmeticError, MemoryError) as error:
        fail("SP202", f"its numbers do not fit together ({error})", where=where, mend="export it again")
    return graph, (*notes, *(replace(finding, where=where) for finding in _choices(work)))


def refuse_stripped(tree: Tree, where: str) -> None:
    """Raises SP203 where a threshold is not finite: a guard whose schedule another tool dropped."""
    lost = list(_infinite(tree, ""))
    if lost:
        fail(
            "SP203",
            f"the thresholds of {', '.join(map(repr, lost[:8]))} are infinite and no metadata say what they were",
            where=where,
            why="another tool rewrote the file and dropped the schedules; these neurons would never fire.",
            mend="export it again from the model that it came from",
        )


def _infinite(tree: Tree, prefix: str) -> Iterator[str]:
    nodes = tree.get("nodes")
    for name, node in nodes.items() if isinstance(nodes, Mapping) else ():
        if not isinstance(node, Mapping):
            continue
        threshold = node.get("v_threshold")
        if isinstance(threshold, np.ndarray) and threshold.dtype.kind == "f" and not np.isfinite(threshold).all():
            yield prefix + name
        yield from _infinite(dict(node), f"{prefix}{name}.")


def _dtype(network: Flat) -> str:
    """The type of the weights; where there are none, that of the neurons' parameters.

    Many files hold float64 parameters though their tool computed in float32.
    """
    fields = [raw.fields for raw in network.nodes.values() if raw.kind not in ("Input", "Output")]
    weights = [values["weight"] for values in fields if "weight" in values]
    every = [value for values in fields for value in values.values() if isinstance(value, np.ndarray)]
    return "float64" if any(value.dtype == np.float64 for value in weights or every) else "float32"


def _choices(work: Draft) -> list[Finding]:
    """What the file does not say and how it was read."""
    c = work.conventions
    clock = "NIR has no dt" if c.clock == "option" else "Rockpool hides dt in r"
    drive = "x is added to the current before it decays" if c.drive == "decayed" else "x enters leaky nodes with gain 1"
    said = {
        "dt": (f"a step is taken as dt = {c.dt:g} s, discretised by {c.rule}: {clock}", "--dt or --nir rule=..."),
        "drive": (f"{drive}, whatever r says", "--nir drive=equation"),
        "delay": (f"delays are counted in steps of dt = {c.dt:g} s", "--dt"),
        "step": ("r of integrating neurons is taken as a step's: x enters as r x", "--nir integrator=seconds"),
        "seconds": (
            f"r of integrating neurons is taken as a second's: x enters as dt r x, dt = {c.dt:g} s",
            "--nir integrator=step",
        ),
        "compare": (f"neurons fire where v {c.compare} v_threshold", "--nir compare=..."),
        "v_reset": ("v_reset is not in the file and is taken as zero", "--nir reset=..."),
        "output": (f"the output layer does not spike; its {c.output} over time is read", "--nir output=..."),
    }
    notes = [
        Finding("SP216", what, mend=f"{flag} changes it", severity="note")
        for key, (what, flag) in said.items()
        if key in work.seen
    ]
    if "compare" in work.seen:
        how = "v_reset of the file" if c.reset == "file" else "subtracting the threshold, whatever v_reset says"
        notes.append(
            Finding(
                "SP216",
                f"neurons reset to {how}" if c.reset == "file" else f"neurons reset by {how}",
                mend="--nir reset=subtract or reset=file changes it",
                severity="note",
            )
        )
        if c.spikes == "many":
            notes.append(
                Finding(
                    "SP218",
                    "a neuron fires once a step, though the writer's fire n times where v reaches n thresholds",
                    why="a Graph's spikes are 0 or 1.",
                    mend="--nir spikes=one, if v never reaches twice the threshold",
                    severity="substituted",
                )
            )
    if c.decays == "4096ths" and "dt" in work.seen:
        notes.append(
            Finding(
                "SP218",
                f"decays are rounded to whole 4096ths, by up to {work.rounded:.2g}",
                why="SLAYER holds them so; it also cuts its states to 1/4096 towards zero, which is not done here.",
                mend="--nir decays=exact keeps them as the file says",
                severity="substituted",
            )
        )
    coding = "a frame each step" if c.coding == "events" else "the same frame at every step"
    notes.append(
        Finding(
            "SP216",
            f"the input is {coding}, over {work.timesteps} steps",
            mend="--nir coding=... and --nir timesteps=... change it",
            severity="note",
        )
    )
    return notes + work.notes
