"""ONNX: one call a neuron layer to a model-local function, standard operators inside; read back to the same Graph."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto, inliner, numpy_helper

from spikeport.findings import Finding, SpikeportError, fail, require
from spikeport.formats import onnx_lift, onnx_own
from spikeport.formats.facts import misread
from spikeport.formats.onnx_graph import Time
from spikeport.graph import Array, Graph

_INLINED = Finding(
    "SP253",
    "the neuron layers are written out as single operators",
    why="spikeport cannot read such a file back.",
    mend="keep a file without inline, too",
    severity="note",
)
LARGEST = 2**31 - 1  #: bytes that protobuf can serialise


def build(graph: Graph, time: Time = "scan") -> onnx.ModelProto:
    """The ONNX model of a graph; see `write`."""
    require(time in get_args(Time), "SP206", f"time is {time!r}", mend="use scan, unroll or step")
    if time == "unroll" and graph.recurrent:
        fail("SP206", "a recurrent network cannot be unrolled", mend='use time="scan", or "step" for single steps')
    return onnx_own.build(graph, time)


def write(graph: Graph, path: Path | str, time: Time = "scan", inline: bool = False) -> tuple[Finding, ...]:
    """Write a graph as ONNX. Input ``input`` [B, ...] (direct coding) or [T, B, ...] (events); outputs ``output``
    [B, ...] (the readout) and for each neuron layer ``spikes/<node>`` [T, B, ...].

    ``time``: "scan" steps through time with one Scan a layer, "unroll" writes every step out (no subgraphs), "step" is
    one step with its states as inputs and outputs. ``inline`` writes the functions out for consumers that know none;
    such a file cannot be read back.

    Raises SP201 if the file cannot be written, SP206 if the graph or an option cannot be.
    """
    path = Path(path)
    model = build(graph, time)
    found: tuple[Finding, ...] = ()
    if inline:
        model = inliner.inline_local_functions(model)
        del model.metadata_props[:]
        found = (_INLINED,)
    data = model.SerializeToString()
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        fail(
            "SP201", f"cannot be written ({error.strerror})", where=str(path), mend="is there such a folder, with room?"
        )
    finally:
        part.unlink(missing_ok=True)
    return found


def read(path: Path | str) -> tuple[Graph, tuple[Finding, ...]]:
    """Read an ONNX model. A file of ours comes back to the bit.

    Raises SP201 (no such file, or nothing in it), SP250 (not ONNX or damaged), SP251 (operators that have no place in a
    Graph, all of them named).
    """
    path = Path(path)
    model = load(path)
    arrays = _arrays(model, str(path))
    try:
        graph = onnx_own.taken_apart(model, arrays)
    except SpikeportError as error:
        fail("SP250", f"its metadata describe a graph that cannot be ({misread(error)})", where=str(path))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        fail("SP250", f"its metadata are damaged ({misread(error)})", where=str(path), mend="export it again")
    if graph is not None:
        return graph, ()
    ours = any(prop.key == onnx_own.KEY for prop in model.metadata_props)
    what = "was changed after spikeport wrote it" if ours else "was not written by spikeport"
    note = Finding("SP252", f"{what}; its operators were read one by one", str(path), severity="note",
                   why="names, units and provenance are those of the operators.")  # fmt: skip
    return onnx_lift.lift(model, arrays, str(path)), (note,)


def load(path: Path) -> onnx.ModelProto:
    """The model in a file; nothing outside the file is opened."""
    if not path.is_file():
        fail("SP201", "is a folder" if path.is_dir() else "there is no such file", where=str(path))
    data = path.read_bytes()
    require(len(data) > 0, "SP201", "is empty", where=str(path), mend="export it again")
    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(data)
    except DecodeError:
        fail("SP250", "is not an ONNX model, or damaged or cut short", where=str(path), mend="copy or export it again")
    require(len(model.graph.node) > 0, "SP250", "is not an ONNX model: it holds no operators", where=str(path))
    return model


def _arrays(model: onnx.ModelProto, where: str) -> dict[str, Array]:
    arrays = {}
    for tensor in model.graph.initializer:
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            fail(
                "SP250",
                f"the initialiser {tensor.name!r} lies in another file, which spikeport does not open",
                where=where,
                mend="save the model with its data inside: onnx.save_model(..., save_as_external_data=False)",
            )
        try:
            if tensor.HasField("raw_data"):
                dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).newbyteorder("<")
                shape = tuple(tensor.dims)
                if min(shape, default=0) < 0:
                    raise ValueError(f"its shape is {shape}")
                arrays[tensor.name] = np.frombuffer(tensor.raw_data, dtype).reshape(shape)
            else:
                arrays[tensor.name] = numpy_helper.to_array(tensor)
        except (ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
            fail("SP250", f"the initialiser {tensor.name!r} is damaged ({misread(error)})", where=where)
    return arrays
