"""ONNX files: written tensor by tensor, so that the weights are never all in memory once more, and read with care."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from spikeport.files import replacing
from spikeport.findings import SpikeportError, fail, require
from spikeport.formats.onnx.tensor import array
from spikeport.graph import Array

GRAPH = onnx.ModelProto.GRAPH_FIELD_NUMBER
INITIALIZER = onnx.GraphProto.INITIALIZER_FIELD_NUMBER
RAW_DATA = onnx.TensorProto.RAW_DATA_FIELD_NUMBER
LARGEST = 2**31 - 1  #: bytes of a protobuf message
Buffer = bytes | memoryview


def save(model: onnx.ModelProto, path: Path, apart: Mapping[str, Array] | None = None) -> None:
    """Write a model whole or not at all. The model's initialisers are gone afterwards.

    ``apart``: the data of initialisers that hold none themselves, by name.

    Raises SP201 if the file cannot be written, SP206 if it would be larger than protobuf allows.
    """
    pieces, size = _serialised(model, apart or {})
    require(
        size <= LARGEST,
        "SP206",
        f"the model takes {size:,} bytes; an ONNX file holds {LARGEST:,}",
        mend="export to NIR",
    )
    with replacing(path, "SP201") as part, part.open("wb") as file:
        file.writelines(pieces)


def _serialised(model: onnx.ModelProto, apart: Mapping[str, Array]) -> tuple[Iterator[Buffer], int]:
    """The message in pieces, and its length: all but the initialisers first, then those one by one.

    As protobuf's encoding has it, a field of bytes is its number, its length and its contents, and fields may stand in
    any order: the graph's initialisers are written as its last fields.
    """
    tensors = list(model.graph.initializer)
    del model.graph.initializer[:]
    last = [_last(apart[tensor.name]) if tensor.name in apart else [] for tensor in tensors]
    sizes = [tensor.ByteSize() + sum(map(len, data)) for tensor, data in zip(tensors, last, strict=True)]
    frames = [_field(INITIALIZER, size) for size in sizes]
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    rest = model.SerializeToString()
    inner = len(graph) + sum(sizes) + sum(map(len, frames))
    head = rest + _field(GRAPH, inner) + graph

    def pieces() -> Iterator[Buffer]:
        yield head
        for frame, tensor, data in zip(frames, tensors, last, strict=True):
            yield frame
            yield tensor.SerializeToString()
            yield from data

    return pieces(), len(head) + inner - len(graph)


def _last(array: Array) -> list[Buffer]:
    """The data of a tensor as its last field."""
    data = raw(array)
    return [_field(RAW_DATA, len(data)), data]


def raw(array: Array) -> memoryview:
    """The data of a tensor, little-endian, where the array lies."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data


def _field(number: int, length: int) -> bytes:
    """What stands in front of a field of bytes: number and wire type 2 in one, then the length, seven bits a byte."""
    head = bytearray([number << 3 | 2])
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head)


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


def arrays(model: onnx.ModelProto, where: str) -> dict[str, Array]:
    """The initialisers by name."""
    try:
        return {tensor.name: array(tensor, f"the initialiser {tensor.name!r}") for tensor in model.graph.initializer}
    except SpikeportError as error:
        raise SpikeportError(replace(finding, where=where) for finding in error.findings) from None
