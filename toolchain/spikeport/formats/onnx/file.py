"""ONNX files: written tensor by tensor, so that the weights are never all in memory once more, and read with care."""

from __future__ import annotations

import math
import re
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
    """The model in a file, without the data of tensors that lie beside it."""
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
    """The initialisers by name; data beside the file ``where``, as torch's exporter writes them, are read too."""
    try:
        return {tensor.name: _initialiser(tensor, where) for tensor in model.graph.initializer}
    except SpikeportError as error:
        raise SpikeportError(replace(finding, where=where) for finding in error.findings) from None


def _initialiser(tensor: onnx.TensorProto, where: str) -> Array:
    what = f"the initialiser {tensor.name!r}"
    if tensor.data_location != onnx.TensorProto.EXTERNAL and not tensor.external_data:
        return array(tensor, what)
    inside = onnx.TensorProto(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
    said = {entry.key: entry.value for entry in tensor.external_data}
    try:
        inside.raw_data = _beside(said, Path(where), _bytes_of(tensor), what)
    except (OSError, ValueError, RuntimeError, MemoryError) as error:  # of names and links that no file can have
        fail("SP250", f"{what} lies in another file, which cannot be read ({error})", mend="export the model again")
    return array(inside, what)


def _bytes_of(tensor: onnx.TensorProto) -> int | None:
    """How many bytes the data of a tensor take; None for a type of which `array` says what is wrong with it."""
    try:
        return int(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize * math.prod(tensor.dims))
    except (KeyError, TypeError, ValueError):
        return None


def _beside(said: Mapping[str, str], model: Path, size: int | None, what: str) -> bytes:
    """The data of a tensor of ``size`` bytes in a file of the model's own folder; nothing elsewhere is opened.

    Raises SP250 for another place, by a link too, and where the file does not hold so many bytes.
    """
    place, folder = said.get("location", ""), model.parent
    path, parts = folder / place, Path(place).parts
    outside = Path(place).is_absolute() or ".." in parts or path.resolve() != folder.resolve().joinpath(*parts)
    if not place or outside or path.resolve() == model.resolve():
        mend = "save the model with its data inside: onnx.save_model(..., save_as_external_data=False)"
        fail("SP250", f"{what} lies in {place!r}, which is no file of the model's own folder", mend=mend)
    mend = f"bring {place!r} along with the model, from the same export"
    if not path.is_file():
        fail("SP250", f"{what} lies in {place!r} beside the model, and there is no such file", mend=mend)
    numbers = [said.get("offset", "0"), said.get("length", str(size))]
    start, length = (int(each) if re.fullmatch("[0-9]{1,18}", each) else -1 for each in numbers)
    if min(start, length) < 0 or length != size or start + length > path.stat().st_size:
        fail("SP250", f"{what} is said to lie where {place!r} holds no data", mend=mend)
    with path.open("rb") as file:
        file.seek(start)
        return file.read(length)
