"""Files from outside, one reader a format: each claim is checked before it is believed, and nothing is unpickled.

Whatever a file holds, a reader here gives its value or raises OSError (it cannot be opened) or ValueError (it is not
what it should be, in one short line); who reads says where it was and what to do.
"""

from __future__ import annotations

import ast
import io
import json
import re
import struct
import tomllib
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from spikeport import memory
from spikeport.graph.arrays import Array

DEEPEST = 64  #: tables and lists within each other, in JSON and TOML
LONGEST_TOML = 2**20  #: characters
LONGEST_HEADER = 2**16  #: bytes in which an array says its type and shape; fields of records have long names
LONGEST_AXIS = 32  #: axes of an array
BLOCK = 512  #: bytes of a header in a tar archive


class Stream(Protocol):
    """What bytes are read from, one after the other."""

    def read(self, size: int, /) -> bytes:
        """So many bytes, fewer at the end."""


def json_value(text: str | bytes) -> Any:
    """The value of a JSON text, not deeper than `DEEPEST`."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError(f"nests deeper than {DEEPEST}") from None
    return _shallow(value)


def json_file(path: Path) -> Any:
    """The value of a JSON file."""
    return json_value(path.read_text(encoding="utf-8"))


def toml_tables(text: str) -> dict[str, Any]:
    """The tables of a TOML text of at most `LONGEST_TOML` characters, not deeper than `DEEPEST`."""
    if len(text) > LONGEST_TOML:
        raise ValueError(f"{len(text):,} characters are more than {LONGEST_TOML:,}")
    if any(part.count(".") > DEEPEST for part in re.split(r"[=\n{},\[\]]", text)):
        raise ValueError(f"a name of more than {DEEPEST} parts")  # for which tomllib takes their number squared
    try:
        tables = tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"nests deeper than {DEEPEST}") from None
    _shallow(tables)
    return tables


def toml_file(path: Path) -> dict[str, Any]:
    """The tables of a TOML file."""
    return toml_tables(path.read_text(encoding="utf-8"))


def _shallow(value: Any) -> Any:
    """The value; raises ValueError where it nests deeper than `DEEPEST`."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return value
    raise ValueError(f"nests deeper than {DEEPEST}")


def npy_file(path: Path) -> Array:
    """The one array of a .npy file: numbers, truth values, text, or records of them, in this machine's byte order."""
    with path.open("rb") as file:
        return npy(file, path.stat().st_size)


def npy(file: IO[bytes], size: int) -> Array:
    """An array from a stream of ``size`` bytes. Its header is read here: numpy makes what a header claims first."""
    dtype, shape, fortran, begin = _header(file)
    count = int(np.prod([int(n) for n in shape], dtype=object)) if shape else 1
    if count * dtype.itemsize != size - begin:
        raise ValueError(f"claims {_told(shape)} values of {dtype.itemsize} bytes, and holds {size - begin} bytes")
    affordable(count * dtype.itemsize)
    raw = np.empty(count * dtype.itemsize, np.uint8)
    file.readinto(raw)  # type: ignore[attr-defined]  # of files and of bytes in memory
    return _array(raw, dtype, shape, fortran)


def npy_stream(file: Stream) -> Array:
    """The next array of a stream that may be a pipe."""
    dtype, shape, fortran, _ = _header(file)
    size = int(np.prod([int(n) for n in shape], dtype=object)) * dtype.itemsize if shape else dtype.itemsize
    affordable(2 * size)
    data = file.read(size)
    if len(data) != size:
        raise ValueError(f"claims {size:,} bytes, and {len(data):,} came")
    return _array(np.frombuffer(bytearray(data), np.uint8), dtype, shape, fortran)


def _array(raw: Array, dtype: np.dtype[Any], shape: tuple[int, ...], fortran: bool) -> Array:
    """Bytes as an array in this machine's byte order."""
    if dtype.kind == "b" and raw.max(initial=0) > 1:
        raise ValueError("holds truth values that are neither")
    array = raw.view(dtype).reshape(shape, order="F" if fortran else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)


def _header(file: Stream) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    """Type, shape, order, and where the data begin. Format: numpy.lib.format, versions 1 to 3."""
    head = file.read(8)
    if head[:6] != b"\x93NUMPY" or len(head) < 8 or head[6] not in (1, 2, 3):
        raise ValueError("does not begin as an array does")
    wide = "<H" if head[6] == 1 else "<I"
    raw = file.read(struct.calcsize(wide))
    if len(raw) != struct.calcsize(wide):
        raise ValueError("ends too early")
    (length,) = struct.unpack(wide, raw)
    if length > LONGEST_HEADER:
        raise ValueError(f"a header of {length:,} bytes")
    text = file.read(length)
    try:
        facts = ast.literal_eval(text.decode("latin1" if head[6] < 3 else "utf-8").strip())
        shape, fortran = facts["shape"], facts["fortran_order"]
        dtype = np.lib.format.descr_to_dtype(facts["descr"])  # type: ignore[no-untyped-call]
    except (SyntaxError, TypeError, KeyError, ValueError, RecursionError, MemoryError, AttributeError, IndexError):
        raise ValueError("a header that is none") from None
    if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape) or type(fortran) is not bool:
        raise ValueError("a header that is none")
    if len(shape) > LONGEST_AXIS or max(shape, default=0) >= 2**62:
        raise ValueError(f"{_told(shape)} values")
    _plain(dtype)
    return dtype, shape, fortran, len(head) + len(raw) + length


def _plain(dtype: np.dtype[Any]) -> None:
    """Raises ValueError for what holds more than numbers, truth values and text, or numbers that no other tool has."""
    parts = [dtype] if dtype.names is None else [dtype[name] for name in dtype.names]
    for part in parts:
        if part.subdtype is not None or part.names is not None or part.kind not in "biufU" or part.itemsize == 0:
            raise ValueError(f"holds {str(part)[:60]}, no numbers")
        if part.kind == "f" and part.itemsize > 8:
            raise ValueError(f"holds {part}, which is no float of at most 64 bits")


def npz_file(path: Path) -> dict[str, Array]:
    """All arrays of a .npz file by name. Members that lie about their size, or are encrypted, are refused."""
    with path.open("rb") as file:
        return npz(file)


def npz_names(path: Path) -> list[str]:
    """The names of the arrays of a .npz file."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except ZIP_DAMAGED as error:
        raise ValueError(f"no whole zip file: {line(error)}") from None


def npz(file: IO[bytes]) -> dict[str, Array]:
    """As `npz_file`, from a stream."""
    contents = members(file, ".npy")
    return {name.removesuffix(".npy"): npy(io.BytesIO(data), len(data)) for name, data in contents.items()}


def members(file: IO[bytes], ending: str) -> dict[str, bytes]:
    """The contents of the members of a zip file whose names have an ending. What they claim has to fit the memory."""
    try:
        with zipfile.ZipFile(file) as archive:
            entries = [each for each in archive.infolist() if each.filename.endswith(ending)]
            affordable(2 * sum(each.file_size for each in entries))
            return {each.filename: member(archive, each) for each in entries}
    except ZIP_DAMAGED as error:
        raise ValueError(f"no whole zip file: {line(error)}") from None


#: what zipfile raises for a file that is none, or a damaged one
ZIP_DAMAGED = (zipfile.BadZipFile, NotImplementedError, RuntimeError, UnicodeError, struct.error, EOFError)
#: what zipfile raises for members that are damaged, encrypted, or compressed in a way that it does not know
DAMAGED_MEMBER = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, struct.error, OSError)


def member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """What one member of a zip file holds; raises ValueError where that is not what it claims."""
    if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{entry.filename[:60]!r} is encrypted, or compressed in another way than deflate")
    affordable(entry.file_size)
    try:
        with archive.open(entry) as stream:
            data = stream.read(entry.file_size + 1)
    except DAMAGED_MEMBER as error:
        raise ValueError(f"{entry.filename[:60]!r}: {line(error)}") from None
    if len(data) != entry.file_size:
        raise ValueError(f"{entry.filename[:60]!r} holds {len(data):,} bytes, and claims {entry.file_size:,}")
    return data


def inflated(data: bytes, size: int) -> bytes:
    """The contents of a gzip stream, of which at most ``size`` bytes are made; one more says that there are more."""
    size = min(size, 1032 * len(data))  # deflate's best ratio
    affordable(size)
    try:
        stream = zlib.decompressobj(wbits=31)
        head = stream.decompress(data, size + 1)
    except zlib.error as error:
        raise ValueError(line(error)) from None
    if len(head) <= size and not stream.eof:
        raise ValueError("ends too early")
    return head


def tar_members(data: bytes, names: Sequence[str]) -> list[bytes]:
    """The contents of files in a tar archive, in the order of ``names``: POSIX headers, no links, nothing unpacked."""
    contents: dict[str, bytes] = {}
    at = 0
    while at + BLOCK <= len(data) and set(names) - set(contents):
        head = data[at : at + BLOCK]
        at += BLOCK
        if not head.strip(b"\0"):
            continue
        octal = head[124:136].strip(b" \0")
        if not re.fullmatch(rb"[0-7]{1,11}", octal) or at + int(octal, 8) > len(data):
            raise ValueError(f"a member at {at - BLOCK:,} says no size that can be")
        size = int(octal, 8)
        parts = [head[345:500].split(b"\0")[0], head[:100].split(b"\0")[0]]
        name = b"/".join(part for part in parts if part).decode("utf-8", "replace")
        if name in names and head[156:157] in (b"0", b"\0"):
            contents[name] = data[at : at + size]
        at += -(-size // BLOCK) * BLOCK
    if missing := [name for name in names if name not in contents]:
        raise ValueError(f"holds no file {', '.join(missing)}")
    return [contents[name] for name in names]


def image(path: Path, side: int | None = None, mode: str = "") -> Array:
    """An image as bytes [C, H, W]: C is 1 for grey ones, else 3; of another ``mode`` of Pillow's where one is named.

    With ``side`` the shorter side is resized to it, and the middle square cut out: torchvision's Resize and CenterCrop.
    Raises OSError or ValueError for what Pillow cannot read.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(path.read_bytes())) as file:  # a file makes what a chunk claims
            affordable(12 * file.width * file.height)  # read, converted, and as an array
            picture = file.convert(mode or ("L" if file.mode in ("1", "L") else "RGB"))
    except OSError:
        raise
    except (Image.DecompressionBombError, SyntaxError, LookupError, TypeError, *DAMAGED_MEMBER) as error:
        raise ValueError(line(error)) from None  # SyntaxError: Pillow's word for a chunk that is damaged
    if side is not None:
        width, height = picture.size
        size = (side, side * height // width) if width <= height else (side * width // height, side)
        left, top = (round((now - side) / 2) for now in size)
        picture = picture.resize(size, Image.Resampling.BILINEAR).crop((left, top, left + side, top + side))
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def affordable(size: int) -> None:
    """Raise ValueError where ``size`` bytes are more than this process may take, before any of them is made."""
    left = memory.left()
    if size > left:
        raise ValueError(f"claims {size:,} bytes; {left:,} are free")


def _told(shape: tuple[int, ...]) -> str:
    return str(list(shape))[:120]


def line(error: BaseException) -> str:
    """The first line of an error, or its name, of at most 200 characters."""
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
