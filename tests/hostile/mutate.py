"""Mutators that know a format: what they change is still almost such a file. Each takes bytes and a generator."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import struct
import tarfile
import zipfile

import numpy as np

from format_mutants import bytes_mutant, json_mutant

WILD_JSON = ["9" * 6000, "[" * 3000, "1e400", "-1", "NaN", '"\\u001b[31m"', '"<svg onload=alert(1)>"', "{}", "null"]
WILD_JSON += ["[[[]]]", "true", "9223372036854775808", '""', "0", "-0.0", "1e308"]
WILD_TOML = ["[" * 500 + "]" * 500, "9" * 6000, "inf", "nan", "-1", "0", "true", '"<script>"', "[]", "{}", "1e308"]
WILD_TOML += ["9223372036854775808", '""', "1979-05-27", "'x'", "[[1]]", "{a = 1}", '"\\u001b[2J"']
SHAPES = [(), (0,), (2**40,), (2, 2**62), (-1,), (1,) * 40, (1.5,), (True,), "x", (2**31, 2**31, 4), (3, 1, 8, 8)]
TYPES = ["<f8", ">f4", "<f16", "|O", "<U3", "|V8", "<c8", "<M8[s]", "|b1", "<i2", "<f2", [("t", "<i8")], "??", "|S0"]


def cache_in(folder):
    """Prepared frames go below a mutant's own folder."""
    os.environ["SPIKEPORT_CACHE"] = str(folder / "cache")


def choose(options, rng):
    """One of some."""
    return options[int(rng.integers(len(options)))]


def json_text(data: bytes, rng) -> bytes:
    """A value of a JSON text replaced, wildly or by another of its values."""
    if rng.random() < 0.5:
        return json_mutant(data.decode(), rng).encode()
    values = list(re.finditer(r'(?<=[:\[,] )("(?:[^"\\]|\\.)*"|-?\d[\d.e+-]*|null|true|false)', data.decode()))
    if not values:
        return bytes_mutant(data, rng)
    at = choose(values, rng)
    text = data.decode()
    return (text[: at.start()] + choose(WILD_JSON, rng) + text[at.end() :]).encode()


def toml_text(data: bytes, rng) -> bytes:
    """A line of a TOML text dropped, doubled, renamed, or its value replaced."""
    lines = data.decode().splitlines()
    at = int(rng.integers(1, max(2, len(lines))))
    kind, line = int(rng.integers(6)), lines[at % len(lines)]
    name, equals, _ = line.partition("=")
    if kind == 0:
        del lines[at % len(lines)]
    elif kind == 1:
        lines.insert(at, line)
    elif kind == 2 and equals:
        lines[at % len(lines)] = f"{name.strip()}x ={line.partition('=')[2]}"
    elif kind == 3:
        lines.insert(at, f"{'.'.join('a' * int(choose([1, 70, 2000], rng)))} = 1")
    elif equals:
        lines[at % len(lines)] = f"{name}= {choose(WILD_TOML, rng)}"
    return "\n".join(lines).encode("utf-8")


def npy(data: bytes, rng) -> bytes:
    """The header of a .npy file claims another shape, type or length; or the array has wild numbers."""
    (length,) = struct.unpack_from("<H", data, 8)
    header, body = data[10 : 10 + length].decode("latin1"), data[10 + length :]
    kind = int(rng.integers(5))
    if kind == 0:
        header = re.sub(r"'shape': \([^)]*\)", f"'shape': {choose(SHAPES, rng)!r}", header)
    elif kind == 1:
        header = re.sub(r"'descr': ('[^']*'|\[[^\]]*\])", f"'descr': {choose(TYPES, rng)!r}", header)
    elif kind == 2:
        header = header.replace("'fortran_order': False", f"'fortran_order': {choose([True, 1, 'x', None], rng)!r}")
    elif kind == 3:
        header = choose(["", "{", "{" * 3000, "[" * 500, "None", header + "x", header * 30, "\x00" * 40], rng)
    else:
        body = np.frombuffer(body[: len(body) // 8 * 8]).copy()
        if body.size:
            body[int(rng.integers(body.size))] = choose([np.nan, np.inf, -1e308, 1e-320, -1.0, 2.0**63], rng)
        body = body.tobytes()
    raw = header.encode("latin1")
    return data[:8] + struct.pack("<H", min(len(raw), 65535)) + raw[:65535] + body


def zipped(data: bytes, rng, inner=bytes_mutant) -> bytes:
    """A member's content, name, flags, method or sizes changed; a member doubled, dropped, or a bomb."""
    kind = int(rng.integers(8))
    if kind < 3:
        raw = bytearray(data)
        heads = [m.start() for m in re.finditer(b"PK\x01\x02|PK\x03\x04", data)]
        at = choose(heads, rng)
        shift = 2 if data[at + 2 : at + 4] == b"\x01\x02" or data[at : at + 4] == b"PK\x01\x02" else 0
        place, size = choose([(6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2)], rng)
        value = choose([0, 1, 9, 12, 14, 99, 2**16 - 1, 2**31, 2**32 - 1], rng)
        raw[at + place + shift : at + place + shift + size] = (value % 2 ** (8 * size)).to_bytes(size, "little")
        return bytes(raw)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {each.filename: archive.read(each) for each in archive.infolist()}
    name = choose(list(members), rng)
    if kind in (3, 4):
        members[name] = inner(members[name], rng)
    elif kind == 5:
        del members[name]
    elif kind == 6:
        names = ["../../x.npy", "a/b/c.npy", "", "\x1b[2J.npy", "Train/²/1.bin", "Train/99999999999999999999/1.bin"]
        members[choose(names, rng)] = members.pop(name)
    else:
        members[name] = bytes(int(choose([0, 1, 2**20, 2**27], rng)))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for each, content in members.items():
            archive.writestr(each, content)
    return out.getvalue()


def npz(data: bytes, rng) -> bytes:
    """A .npz file, its arrays changed as `npy` does."""
    return zipped(data, rng, npy)


def record(data: bytes, rng) -> bytes:
    """A record: one of its JSON facts changed, or one of its arrays."""
    if rng.random() < 0.4:
        return npz(data, rng)
    with np.load(io.BytesIO(data)) as file:
        arrays = {name: file[name] for name in file.files}
    if rng.random() < 0.7:
        arrays["meta"] = np.asarray(json_text(str(arrays["meta"]).encode(), rng).decode())
    else:
        name = choose(list(arrays), rng)
        wild = [np.zeros(0), np.float32(1), np.zeros((2, 3)), arrays[name][:1], np.full((1,) * 20, 2), arrays["output"]]
        arrays[name] = choose(wild, rng) if arrays[name].ndim else np.zeros(3)
    out = io.BytesIO()
    np.savez_compressed(out, allow_pickle=False, **arrays)
    return out.getvalue()


def safetensors(data: bytes, rng) -> bytes:
    """The header of a safetensors file: a place or type of a tensor, or a fact of the model."""
    (length,) = struct.unpack_from("<Q", data)
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    key = next(iter(header["__metadata__"]))
    if rng.random() < 0.6:
        header["__metadata__"][key] = json_text(header["__metadata__"][key].encode(), rng).decode()
        text = json.dumps(header)
    else:
        text = json_mutant(json.dumps(header), rng)
    raw = text.encode()
    claimed = len(raw) if rng.random() < 0.95 else int(choose([0, 1, 2**40, 2**63], rng))
    return struct.pack("<Q", claimed) + raw + body


def idx(data: bytes, rng) -> bytes:
    """An IDX file: magic number, axes or sizes changed, or its gzip stream a bomb."""
    raw = bytearray(gzip.decompress(data))
    kind = int(rng.integers(5))
    if kind == 0:
        raw[3] = int(choose([0, 1, 2, 4, 65, 255], rng))
    elif kind == 1:
        at = 4 + 4 * int(rng.integers(0, 3))
        raw[at : at + 4] = int(choose([0, 1, 2**31, 2**32 - 1, 21], rng)).to_bytes(4, "big")
    elif kind == 2:
        raw[2] = int(rng.integers(256))
    elif kind == 3:
        raw += bytes(int(choose([1, 2**20, 2**27], rng)))
    else:
        raw[int(rng.integers(16, len(raw)))] = 255
    return gzip.compress(bytes(raw), 1, mtime=0)


def tar(data: bytes, rng) -> bytes:
    """A tar archive: a header's field changed, a member a link to itself, or its pickle changed."""
    raw = bytearray(gzip.decompress(data))
    kind = int(rng.integers(5))
    if kind == 0:
        place, size = choose([(0, 100), (100, 8), (124, 12), (148, 8), (156, 1), (157, 100), (345, 155)], rng)
        raw[place : place + size] = rng.integers(0, 256, size, dtype=np.uint8).tobytes()
    elif kind == 1:
        raw[124:136] = choose([b"77777777777\0", b"-0000000001\0", b"\x80" + b"\xff" * 11, b"00000000000\0"], rng)
    elif kind == 2:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            link = tarfile.TarInfo("cifar-10-batches-py/test_batch")
            link.type, link.linkname = choose([tarfile.SYMTYPE, tarfile.LNKTYPE], rng), link.name
            archive.addfile(link)
        raw = bytearray(out.getvalue())
    else:
        at = 512 + int(rng.integers(0, 400))
        raw[at] = int(choose([0x72, 0x8A, 0x8D, 0x52, 0x62, 0x2E, 0x28, 0x93, int(rng.integers(256))], rng))
    return gzip.compress(bytes(raw), 1, mtime=0)


def csv(data: bytes, rng) -> bytes:
    """A cell of a table of events replaced, or a line of other words."""
    lines = data.decode().splitlines()
    at = int(rng.integers(len(lines)))
    cells = lines[at].split(",")
    wild = ["-1", "99999999999999999999999999", "1e300", "nan", "x", "", "0.5", "²", "16384", "4096", "\x1b[2J", "0x10"]
    cells[int(rng.integers(len(cells)))] = choose(wild, rng)
    lines[at] = ",".join(cells) if rng.random() < 0.8 else choose(["t,x,y", "# t x y p", "time[s],x,y,p", ","], rng)
    return "\n".join(lines).encode()
