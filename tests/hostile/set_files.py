"""Images, utterances, frames of others, recordings of .aedat4 and NIRData."""

from __future__ import annotations

import io
import struct
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from format_mutants import bytes_mutant, nir_mutant
from hostile import mutate
from hostile.originals import saved


def images(folder):
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    kinds = {".png": pixels, ".jpg": pixels, ".bmp": pixels[..., 0]}
    return [(ending, _image(Image.fromarray(array), ending)) for ending, array in kinds.items()]


def _image(image, ending):
    out = io.BytesIO()
    image.save(out, {".png": "PNG", ".jpg": "JPEG", ".bmp": "BMP"}[ending])
    return out.getvalue()


def mutated_image(ending, data, rng):
    """Sizes of the header, without or (in .png) with the checksum that belongs to them."""
    import zlib

    raw, wild = bytearray(data), mutate.choose([0, 1, 9, 2**16, 2**31 - 1, 2**32 - 1], rng)
    if ending == ".png":
        at = 16 + 4 * int(rng.integers(2))
        raw[at : at + 4] = struct.pack(">I", wild)
        if rng.random() < 0.3:
            raw[24:27] = rng.integers(0, 17, 3, dtype=np.uint8).tobytes()
        raw[29:33] = struct.pack(">I", zlib.crc32(raw[12:29]))
    elif ending == ".bmp":
        at = int(mutate.choose([10, 14, 18, 22, 28, 30, 34, 46], rng))
        raw[at : at + 4] = struct.pack("<I", wild)
    else:
        at = data.index(b"\xff\xc0") + 5 + 2 * int(rng.integers(2))
        raw[at : at + 2] = struct.pack(">H", wild % 2**16)
    return bytes(raw)


def read_image(path):
    from spikeport import datasets
    from spikeport.verbs import own_files

    for split in ("train", "test"):
        (path.parent / "set" / split / "a").mkdir(parents=True)
        (path.parent / "set" / split / "a" / path.name).write_bytes(path.read_bytes())
    mutate.cache_in(path.parent)
    own_files.read(path.parent / "set", "test")
    datasets.load(f"images:{path.parent / 'set'}@4", "test")


@cache
def _utterances():
    rng = np.random.default_rng(0)
    lines = ["@problemName JapaneseVowels", "@data"]
    for number in range(99):
        rows = [",".join(f"{value:.3f}" for value in rng.normal(size=7 + number % 5)) for _ in range(12)]
        lines.append(":".join([*rows, str(number % 9 + 1)]))
    return "\n".join(lines).encode()


def utterances(folder):
    return [(".ts", _utterances())]


def mutated_utterances(ending, data, rng):
    return mutate.csv(data.replace(b":", b",:,"), rng).replace(b",:,", b":")


def read_utterances(path):
    from spikeport_models.datasets.vowels import FILES, vowels

    (path.parent / "japanese-vowels").mkdir()
    for name, data in zip(FILES.values(), (path.read_bytes(), _utterances()), strict=True):
        (path.parent / "japanese-vowels" / name).write_bytes(data)
    vowels("train", path.parent / "japanese-vowels")


def frames(folder):
    import torch

    counts = np.random.default_rng(0).integers(0, 3, (2, 2, 6, 6))
    torch.save([torch.tensor(counts, dtype=torch.float32), torch.tensor(3)], folder / "0.pt")
    arrays = saved(np.savez, frames=counts.astype(np.uint8), label=np.asarray(3))
    return [(".pt", (folder / "0.pt").read_bytes()), (".npz", arrays)]


def mutated_frames(ending, data, rng):
    return mutate.npz(data, rng) if ending == ".npz" else mutate.zipped(data, rng)


def read_frames(path):
    from spikeport_models.datasets.tet import cifar10_dvs_tet

    mutate.cache_in(path.parent)
    for split in ("train", "test"):
        (path.parent / "tet" / split).mkdir(parents=True)
        (path.parent / "tet" / split / f"0{path.suffix}").write_bytes(path.read_bytes())
    cifar10_dvs_tet("test", path.parent / "tet", 2)


def aedat(folder):
    from data_files import aedat4

    events = [(10 * n, n % 8, n % 5, n % 2) for n in range(20)]
    return [(".aedat4", aedat4([events])), (".aedat4", aedat4([events, [(500, 1, 2, 1)]]))]


def mutated_aedat(ending, data, rng):
    """The length of the head, or of a packet; its stream; an offset within a flatbuffer; a word of the description."""
    raw, kind = bytearray(data), int(rng.integers(5))
    head = 14
    (length,) = struct.unpack_from("<I", data, head)
    packet = head + 4 + length
    wild = int(mutate.choose([0, 1, 2, 7, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1], rng))
    if kind == 0:
        at = head
    elif kind == 1:
        at = packet + 4 * int(rng.integers(2))
    elif kind == 2:
        words = [b"EVTS", b"FRME", b"IMUS", b"TRIG", b'version="2.0"', b"128", b"</node>", b"outInfo"]
        old, new = mutate.choose(words, rng), mutate.choose([*words, b"9" * 400, b"<" * 40, b""], rng)
        return data.replace(old, new)
    else:
        at = packet + 8 + 4 * int(rng.integers(0, max(1, min(12, (len(data) - packet - 12) // 4))))
    raw[at : at + 4] = struct.pack("<I", wild)
    return bytes(raw)


def observed(folder):
    """Time-gridded data as spikeport writes them, and events with and without values as nir does."""
    import h5py

    from spikeport.formats.nir import data

    values = np.random.default_rng(0).random((3, 2, 4)).astype(np.float32)
    data.save(folder / "d.nir", {"input": {"spikes": values}}, 1e-3)
    originals = [(".h5", (folder / "d.nir").read_bytes())]
    for kind in ("EventData", "ValuedEventData"):
        with h5py.File(folder / kind, "w") as file:
            file.attrs["__type__"] = "NIRGraphData"
            node = file.create_group("nodes/input")
            node.attrs["__type__"] = "NIRNodeData"
            group = node.create_group("observables/spikes")
            group.attrs["__type__"], group.attrs["n_neurons"], group.attrs["t_max"] = kind, 4, 3e-3
            group["idx"] = np.array([[0, 3, -1], [2, 1, 1]])
            group["time"] = np.array([[0, 1e-3, np.inf], [0, 1e-3, 2e-3]])
            if kind == "ValuedEventData":
                group["value"] = np.ones((2, 3))
        originals.append((".h5", (folder / kind).read_bytes()))
    return originals


def mutated_observed(ending, data, rng):
    """A group or array as in NIR's graphs, or an attribute replaced."""
    import h5py

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "m.h5"
        path.write_bytes(data)
        try:
            if rng.random() < 0.5:
                nir_mutant(path, rng)
                return path.read_bytes()
            with h5py.File(path, "r+") as file:
                places = ["/"]
                file.visit(places.append)
                attributes = [(place, each) for place in places for each in file[place].attrs]
                place, each = mutate.choose(attributes, rng)
                wild = [0, -1, 2**40, 1e300, np.nan, b"x", "TimeGriddedData", [2, 2], np.zeros(0), "\x1b[2J", 1e-300]
                file[place].attrs[each] = mutate.choose(wild, rng)
        except (OSError, RuntimeError, ValueError, KeyError, TypeError):
            return bytes_mutant(data, rng)
        return path.read_bytes()


def read_observed(path):
    from spikeport.formats.nir import data

    for each in data.load(path, 1e-3):
        np.asarray(each.values, np.float32)
