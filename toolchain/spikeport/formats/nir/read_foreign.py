"""NIR files that other tools, or people, wrote.

What the file does not say is a choice (conventions.py), and each choice is a finding with the option that changes
it. Nothing is dropped without one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from spikeport.findings import Finding, SpikeportError, fail
from spikeport.formats.nir.choices import choices
from spikeport.formats.nir.conventions import Conventions
from spikeport.formats.nir.draft import Draft
from spikeport.formats.nir.file import Tree
from spikeport.formats.nir.hidden_dt import dt_by_size, hidden_dt
from spikeport.formats.nir.implied_shapes import shapes
from spikeport.formats.nir.never_fires import never_firing
from spikeport.formats.nir.subgraphs import Flat, flat
from spikeport.formats.nir.to_graph import convert
from spikeport.formats.nir.writers import mark, mended
from spikeport.graph import Graph


def read(tree: Tree, where: str, conventions: Conventions, timesteps: int) -> tuple[Graph, tuple[Finding, ...]]:
    """The graph of a file without our metadata, and the choices that were made.

    Raises SP202 (damaged), SP203 (metadata stripped), SP210 (a node that cannot run), SP211 (edges), SP213 (time),
    SP222 (nothing can ever fire).
    """
    refuse_stripped(tree, where)
    network, notes = flat(tree, where)
    found = None
    try:
        found = mark(network, conventions)
        if conventions.clock == "r":
            conventions = replace(conventions, dt=hidden_dt(network) or conventions.dt)
        elif conventions.clock == "tau":
            conventions = replace(conventions, dt=dt_by_size(network))
        work = Draft(network, shapes(network), conventions, timesteps, dtype=_dtype(network))
        graph = convert(work)
        work.notes += never_firing(graph)
    except SpikeportError as error:
        raise SpikeportError(
            replace(mended(finding, found), where=f"{where}, {finding.where}" if finding.where else where)
            for finding in error.findings
        ) from None
    except (ValueError, IndexError, TypeError, ArithmeticError, MemoryError) as error:
        fail("SP202", f"its numbers do not fit together ({error})", where=where, mend="export it again")
    said = [*choices(work), *([] if found is None else [found.note()])]
    return graph, (*notes, *(replace(finding, where=where) for finding in said))


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
