"""ONNX: one call a neuron layer to a model-local function, standard operators inside; read back to the same Graph.

Writing, in order:

1. ``own_model.py``: the whole model, with what ONNX cannot say in its metadata; where arrays are: ``places.py``.
2. ``layout.py``: the values between nodes, and how time lies in them. Of three layouts one writes the nodes:
   ``all_steps.py``, ``one_step.py``, or for recurrent networks ``recurrent.py``.
3. ``stateless.py``: nodes without state as operators; ``neuron_functions.py``: neuron layers as functions;
   ``number_of_steps.py``: T where the user may choose it. All go into ``builder.py``, which finds names for them.
4. ``file.py``: the model in one move, tensor by tensor.

Reading, in order:

1. ``file.py``: the model, its initialisers as arrays (``tensor.py``).
2. ``own_model.py``: where the model is still ours, the Graph that it was built from.
3. ``lift.py``: else operator by operator into a Graph in the making (``draft.py``), on constants
   (``lift_constants.py``) or on values (``lift_operators.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import get_args

import onnx

from spikeport.findings import Finding, SpikeportError, fail, require
from spikeport.formats.choices import Time
from spikeport.formats.facts import misread
from spikeport.formats.onnx import file, own_model
from spikeport.formats.onnx.number_of_steps import continuation
from spikeport.graph import LIF, Array, Graph

_INLINED = Finding(
    "SP253",
    "the neuron layers are written out as single operators",
    why="spikeport reads it back as long as nobody rewrites it; then its neurons are plain operators.",
    mend="keep a file without inline, too",
    severity="note",
)


#: operators that a portable model may need, and why
RARE = {
    "ConvInteger": "its sums may pass 2^24, where float32 is no longer exact.",
    "MatMulInteger": "its sums may pass 2^24, where float32 is no longer exact.",
}


def build(
    graph: Graph,
    time: Time = "scan",
    portable: bool = False,
    apart: dict[str, Array] | None = None,
    inline: bool = False,
) -> onnx.ModelProto:
    """The ONNX model of a graph; see `write`. ``apart``: where to put the network's arrays, see `own_model.build`."""
    require(time in get_args(Time), "SP206", f"time is {time!r}", mend="use scan, unroll or step")
    if time == "unroll" and graph.recurrent and not portable:
        fail("SP206", "a recurrent network cannot be unrolled", mend='use time="scan", or "step" for single steps')
    return own_model.build(graph, time, portable=portable, inline=inline, apart=apart)


def write(
    graph: Graph, path: Path | str, time: Time = "scan", inline: bool = False, portable: bool = False
) -> tuple[Finding, ...]:
    """Write a graph as ONNX. Input ``input`` [B, ...] (direct coding) or [T, B, ...] (events); outputs ``output``
    [B, ...] (the readout) and for each neuron layer ``spikes/<node>`` [T, B, ...].

    ``time``: "scan" steps through time with one Scan a layer, "unroll" writes every step out (no subgraphs), "step" is
    one step with its states as inputs and outputs. ``inline`` writes the functions out for consumers that know none.
    ``portable`` writes standard operators that most tools know: every step written out where time would be "scan",
    products of whole numbers in float32, exact below 2**24; where that does not do, SP257 names the operator. Both are
    read back as long as nobody rewrites them.

    In "scan", T is free where the graph says how its schedules go on, or where they never change: event frames bring
    their own, direct coding takes an input ``timesteps`` int64 [1] whose default is the graph's T. What such a model
    computes is ``passes.extend(graph, T)``. Elsewhere T is the graph's, and SP254 says so.

    Raises SP201 if the file cannot be written, SP206 if the graph or an option cannot be.
    """
    path = Path(path)
    if portable and time == "scan":
        time = "unroll"
    apart: dict[str, Array] | None = None if inline or portable else {}
    model = build(graph, time, portable, apart, inline or portable)
    findings = _fixed(graph) if time == "scan" and continuation(graph) is None else ()
    if inline or portable:
        findings = (*findings, _INLINED)
    if portable:
        findings = (*findings, *_rare(model))
    file.save(model, path, apart)
    return findings


def _rare(model: onnx.ModelProto) -> Iterator[Finding]:
    """Operators of a portable model that many tools lack."""
    nodes = list(model.graph.node)
    nodes += [inner for node in nodes for attribute in node.attribute for inner in attribute.g.node]
    for node in nodes:
        if node.op_type in RARE:
            yield Finding(
                "SP257",
                f"needs {node.op_type}, which many tools do not know",
                where=f"node {node.name.removesuffix('/sums')!r}",
                why=RARE[node.op_type],
                mend="ask the tool that is to read the file",
                severity="note",
            )


def _fixed(graph: Graph) -> tuple[Finding, ...]:
    varying = [name for name, node in graph.nodes_of(LIF).items() if (node.threshold != node.threshold[:1]).any()]
    what = f"runs {graph.timesteps} timesteps, no other number"
    why = f"the schedules of {', '.join(map(repr, varying[:4])) or 'the readout'} say nothing of later steps."
    mend = 'graph.with_(after_end="hold") or "cycle" says how they go on'
    if graph.after_end != "error":
        why = "the readout is a mean or the last step's value: no weights that are stored are right for another number."
        mend = "write passes.extend(graph, T) for each number of steps"
    return (Finding("SP254", what, why=why, severity="note", mend=mend),)


def opened(path: Path | str) -> tuple[onnx.ModelProto, dict[str, Array]]:
    """A model's operators and its initialisers. Raises SP201 and SP250 as `read`."""
    model = file.load(Path(path))
    return model, file.arrays(model, str(path))


def read(path: Path | str) -> tuple[Graph, tuple[Finding, ...]]:
    """Read an ONNX model. A file of ours comes back to the bit.

    Raises SP201 (no such file, or nothing in it), SP250 (not ONNX or damaged), SP251 (operators that have no place in a
    Graph, all of them named), SP258 (no neuron is found).
    """
    return read_opened(*opened(path), path)


def read_opened(
    model: onnx.ModelProto, arrays: Mapping[str, Array], path: Path | str
) -> tuple[Graph, tuple[Finding, ...]]:
    """As `read`, of what `opened` gave for the file ``path``."""
    try:
        own = own_model.taken_apart(model, arrays)
    except SpikeportError as error:
        fail("SP250", f"its metadata describe a graph that cannot be ({misread(error)})", where=str(path))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, ArithmeticError, MemoryError) as error:
        fail("SP250", f"its metadata are damaged ({misread(error)})", where=str(path), mend="export it again")
    if own is not None:
        graph, notes = own
        return graph, tuple(replace(note, where=str(path)) for note in notes)
    from spikeport.formats.onnx import lift  # half of this room, which our own files do not need

    ours = any(prop.key == own_model.KEY for prop in model.metadata_props)
    what = "was changed after spikeport wrote it" if ours else "was not written by spikeport"
    note = Finding(
        "SP252",
        f"{what}; its operators were read one by one",
        str(path),
        severity="note",
        why="names, units and provenance are those of the operators.",
    )
    graph = lift.lift(model, arrays, str(path))
    silent = [] if graph.nodes_of(LIF) else [replace(lift.silent(model, "note"), where=str(path))]
    return graph, (note, *silent)
