"""NIR, the interchange format of neuromorphic tools: write any Graph, read our own files back to the bit.

Writing, in order:

1. ``to_nir.py``: each node in NIR's words, and what these cannot say.
2. ``metadata.py``: what they cannot say, stored beside them, under names that every tool accepts (``safe_names.py``).
3. ``file.py``: the tree as HDF5, in one move.
4. ``mean_thresholds.py``: what it costs where NIR gets the mean of a schedule.

Reading, in order:

1. ``file.py``: HDF5 as a tree, every claim checked (``formats/hdf5.py``), the heaps first (``formats/heaps.py``).
2. ``metadata.py`` where the file is ours: the same Graph, to the bit. Else ``read_foreign.py``, step by step:
3. ``subgraphs.py``: one flat network, every edge checked.
4. ``conventions.py``: what NIR leaves open, as choices; ``hidden_dt.py``: the step where the file tells it after all.
5. ``implied_shapes.py``: the shape of what leaves each node.
6. ``to_graph.py``: each node as nodes of a Graph in the making (``draft.py``), without state
   (``to_graph_stateless.py``) or with (``to_graph_neurons.py``); ``cut_cycles.py`` finds where feedback is delayed.
7. ``never_fires.py``: whether anything can fire under the choices; ``choices.py``: every choice as a finding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args, get_type_hints

from spikeport.findings import Finding, fail, require
from spikeport.formats import facts
from spikeport.formats.choices import Thresholds
from spikeport.formats.nir import file, mean_thresholds, metadata
from spikeport.formats.nir.conventions import TOOLS, Conventions
from spikeport.formats.nir.mean_thresholds import Run
from spikeport.graph import Array, Graph

DT = 1e-4  #: seconds a step; NIR has none, and most tools take this one (snnTorch, SpikingJelly)


def write(
    graph: Graph,
    path: Path | str,
    thresholds: Thresholds = "guard",
    dt: float = DT,
    *,
    calibration: Array | None = None,
    run: Run | None = None,
) -> tuple[Finding, ...]:
    """Write a graph, real or quantised. Returns what a reader with another tool should know.

    Thresholds that are constant become a plain LIF that other tools run unchanged. What NIR cannot say (schedules, soft
    resets, integers) stands in the metadata, and ``thresholds`` says what a tool finds that ignores them: "guard"
    writes +inf, so that such neurons never fire there; "approx" writes the mean over time, which fires almost alike,
    and says what that changes: on the samples of ``calibration``, run by ``run(graph, samples) -> Record``, if given.

    Raises SP201 if the file cannot be written, SP206 if the graph holds what the format cannot, SP125 for "approx" in
    an arithmetic that is not spikeport's own.
    """
    require(thresholds in ("guard", "approx"), "SP206", f"thresholds is {thresholds!r}", mend='use "guard" or "approx"')
    require(0 < dt < 1e6, "SP206", f"dt is {dt} seconds", mend="a step takes more than nothing")
    if thresholds == "approx":
        facts.require_own(graph, "an approximation in NIR")
    tree, findings = metadata.to_tree(graph, thresholds, float(dt))
    file.save(tree, Path(path))
    return (*findings, *(mean_thresholds.cost(graph, calibration, run) if thresholds == "approx" else ()))


def read(
    path: Path | str,
    dt: float | None = None,
    *,
    timesteps: int | None = None,
    written_by: str | None = None,
    **conventions: str,
) -> tuple[Graph, tuple[Finding, ...]]:
    """Read a NIR file. A file of ours comes back to the bit; other arguments change nothing, and SP225 says so.

    A file of another tool holds neither dt nor a number of steps. ``dt`` is in seconds (1e-4); ``timesteps`` sets the
    length of the schedules, which then hold (``passes.extend``): 1 unless told, or 2 for a mean or a last step;
    ``written_by`` takes the habits of a tool (snntorch, norse, sinabs, spikingjelly, rockpool, lava-dl) where they are
    not NIR's; further options are the fields of `Conventions`: ``rule``, ``clock``, ``integrator``, ``drive``,
    ``decays``, ``compare``, ``reset``, ``spikes``, ``coding``, ``output``. The findings state every choice.

    Raises SP201 (no such file, not HDF5), SP202 (damaged), SP203 (metadata stripped), SP204 (altered), SP205 (needs
    features this version does not know), SP206 (an option), SP207 (claims more than it can hold), SP210 (nodes that
    cannot run), SP211 (edges, inputs and outputs), SP213 and SP220 (time constants and dt), SP222 (nothing can
    ever fire).
    """
    path = Path(path)
    chosen = _conventions(dt, written_by, conventions)
    if timesteps is None:  # the mean of one step, and the last of one, are its sum: two tell which is meant
        timesteps = 1 if chosen.output == "sum" else 2
    require(1 <= timesteps <= 2**20, "SP206", f"timesteps is {timesteps}", mend="use at least one step")
    tree = file.load(path)
    if metadata.announced(tree):
        given = [*(["dt"] if dt is not None else []), *(["written_by"] if written_by else []), *conventions]
        return metadata.from_tree(tree, str(path)), (idle(given, str(path)),) if given else ()
    from spikeport.formats.nir import read_foreign  # a third of this room, which our own files do not need

    return read_foreign.read(tree, str(path), chosen, timesteps)


def idle(given: Sequence[str], where: str) -> Finding:
    """That options for files of other tools were given for a model that says everything itself."""
    return Finding(
        "SP225",
        f"{', '.join(given)} {'changes' if len(given) == 1 else 'change'} nothing: the model says it itself",
        where,
        why="such options are for NIR files that other tools wrote.",
        mend="leave them out",
        severity="note",
    )


def _conventions(dt: float | None, written_by: str | None, options: Mapping[str, str]) -> Conventions:
    if written_by is not None and written_by not in TOOLS:
        fail("SP206", f"written_by is {written_by!r}", mend=f"use one of {', '.join(TOOLS)}, or leave it out")
    choices = {name: get_args(hint) for name, hint in get_type_hints(Conventions).items()}
    choices["bound"] = get_args(choices["bound"][0])
    choices = {name: words for name, words in choices.items() if all(isinstance(word, str) for word in words) and words}
    for name, value in options.items():
        if name not in choices:
            listed = "; ".join(f"{option} ({', '.join(words)})" for option, words in choices.items())
            fail(
                "SP206",
                f"there is no option {name!r}",
                mend=f"the options are dt, timesteps; written_by ({', '.join(TOOLS)}); {listed}",
            )
        if value not in choices[name] and not (name == "bound" and _bound(value)):
            number = ", or a number of zero or below" if name == "bound" else ""
            fail("SP206", f"{name} is {value!r}", mend=f"use one of {', '.join(choices[name])}{number}")
    values = {**TOOLS.get(written_by or "", {}), **options}
    if "bound" in options and options["bound"] not in choices["bound"]:
        values["bound"] = float(options["bound"])
    values |= {"written_by": written_by or "", "told": frozenset(options)}
    if dt is not None:
        require(0 < dt < 1e6, "SP206", f"dt is {dt} seconds", mend="a step takes more than nothing")
        values |= {"dt": float(dt), "clock": "option"}
    return Conventions(**values)


def _bound(value: str) -> bool:
    """Whether a text is a lower bound of membranes: a number of zero or below."""
    try:
        return -math.inf < float(value) <= 0
    except ValueError:
        return False
