"""ONNX files: written tensor by tensor, so that the weights are never all in memory once more, and read with care."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from spikeport.files import replacing
from spikeport.findings import SpikeportError, fail, require
from spikeport.formats.onnx.tensor import array
from spikeport.graph import Array

GRAPH = onnx.ModelProto.GRAPH_FIELD_NUMBER
INITIALIZER = onnx.GraphProto.INITIALIZER_FIELD_NUMBER
LARGEST = 2**31 - 1  #: bytes of a protobuf message


def save(model: onnx.ModelProto, path: Path) -> None:
    """Write a model whole or not at all. The model's initialisers are gone afterwards.

    Raises SP201 if the file cannot be written, SP206 if it would be larger than protobuf allows.
    """
    pieces, size = _serialised(model)
    require(
        size <= LARGEST,
        "SP206",
        f"the model takes {size:,} bytes; an ONNX file holds {LARGEST:,}",
        mend="export to NIR",
    )
    with replacing(path, "SP201") as part, part.open("wb") as file:
        file.writelines(pieces)


def _serialised(model: onnx.ModelProto) -> tuple[Iterator[bytes], int]:
    """The message in pieces, and its length: all but the initialisers first, then those one by one.

    As protobuf's encoding has it, a field of bytes is its number, its length and its contents, and fields may stand in
    any order: the graph's initialisers are written as its last fields.
    """
    tensors = list(model.graph.initializer)
    del model.graph.initializer[:]
    frames = [_field(INITIALIZER, tensor.ByteSize()) for tensor in tensors]
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    rest = model.SerializeToString()
    inner = len(graph) + sum(len(frame) + tensor.ByteSize() for frame, tensor in zip(frames, tensors, strict=True))
    head = rest + _field(GRAPH, inner) + graph

    def pieces() -> Iterator[bytes]:
        yield head
        for frame, tensor in zip(frames, tensors, strict=True):
            yield frame
            yield tensor.SerializeToString()

    return pieces(), len(head) + inner - len(graph)


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
