"""Samples, data sets and recordings of events."""

from __future__ import annotations

import gzip
import io
import pickle
import shutil
import tarfile
import zipfile

import numpy as np

from format_mutants import bytes_mutant
from hostile import mutate
from hostile.model_files import small
from hostile.originals import saved


def samples(folder):
    x = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    return [(".npy", saved(np.save, x)), (".npy", saved(np.save, x.astype(np.float64)))]


def sample_sets(folder):
    x = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    return [(".npz", saved(np.savez, x=x, y=np.arange(3))), (".npz", saved(np.savez_compressed, x=x))]


def read_samples(path):
    from spikeport.engine import simulate
    from spikeport.verbs.load import load_data

    simulate(small(), load_data(path, "test", small()).x)


def streams(folder):
    x = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    return [(".stream", saved(np.save, x) + saved(np.save, x[:2]))]


def read_stream(path):
    from spikeport.verbs.streaming import arrays

    with path.open("rb") as file:
        for frames in arrays(file, str(path)):
            assert frames.dtype.kind in "biufU"


def idx(folder):
    images = np.random.default_rng(0).integers(0, 255, (20, 28, 28), dtype=np.uint8)
    labels = np.arange(20, dtype=np.uint8) % 10
    heads = (
        b"\0\0\x08\x03" + np.asarray(images.shape, ">u4").tobytes(),
        b"\0\0\x08\x01" + np.asarray([20], ">u4").tobytes(),
    )
    files = zip((".images", ".labels"), heads, (images, labels), strict=True)
    return [(ending, gzip.compress(head + array.tobytes(), 1, mtime=0)) for ending, head, array in files]


def read_idx(path):
    from spikeport_models.datasets.idx import FILES, fashion

    whole = dict(idx(path.parent))
    for split in ("train", "test"):
        for name, ending in zip(FILES[split], (".images", ".labels"), strict=True):
            (path.parent / name).write_bytes(path.read_bytes() if path.suffix == ending else whole[ending])
    fashion("test", path.parent)


def nmnist(folder):
    from data_files import nmnist_bytes

    rng = np.random.default_rng(0)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(40):
            t = np.sort(rng.integers(0, 3000, 8))
            xy = rng.integers(0, 34, (2, 8))
            name = f"{'Train' if number < 20 else 'Test'}/{number % 2}/{number}.bin"
            archive.writestr(name, nmnist_bytes(t, *xy, rng.integers(0, 2, 8)))
    return [(".zip", out.getvalue())]


def read_nmnist(path):
    from spikeport_models.datasets.nmnist import nmnist

    mutate.cache_in(path.parent)
    nmnist("test", path, 2)
    nmnist("val", path, 2)


def cifar(folder):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 3072), dtype=np.uint8)
    raw = pickle.dumps({b"data": pixels, b"labels": [0, 1, 2, 3]}, protocol=2)
    raw = raw.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("cifar-10-batches-py/test_batch")
        info.size = len(raw)
        archive.addfile(info, io.BytesIO(raw))
    return [(".tar.gz", gzip.compress(out.getvalue(), 1, mtime=0))]


def read_cifar(path):
    from spikeport_models.datasets.cifar import cifar10

    cifar10("test", path)


def events(folder):
    from data_files import nmnist_bytes

    rng = np.random.default_rng(0)
    t, x, y, p = np.arange(0, 500, 10), *rng.integers(0, 8, (2, 50)), rng.integers(0, 2, 50)
    table = np.stack([t, x, y, p], 1)
    records = np.zeros(50, [("t", "<i8"), ("x", "<i4"), ("y", "<i4"), ("p", "i1")])
    for name, column in zip("txyp", (t, x, y, p), strict=True):
        records[name] = column
    lines = "\n".join(["t,x,y,p", *(",".join(map(str, row)) for row in table)]).encode()
    texts = [(".npy", saved(np.save, table)), (".npz", saved(np.savez, t=t, x=x, y=y, p=p)), (".csv", lines)]
    return [*texts, (".npy", saved(np.save, records)), (".bin", nmnist_bytes(t, x, y, p)), (".txt", lines[8:])]


def mutated_events(ending, data, rng):
    kinds = {".npy": mutate.npy, ".npz": mutate.npz, ".csv": mutate.csv, ".txt": mutate.csv, ".bin": bytes_mutant}
    return kinds[ending](data, rng)


def read_events(path):
    from spikeport import datasets

    datasets.recordings(path, 2, (34, 34))
    place = path.parent / "set" / "train" / "a"
    place.mkdir(parents=True)
    (place.parent.parent / "test" / "a").mkdir(parents=True)
    shutil.copy(path, place.parent.parent / "test" / "a")
    mutate.cache_in(path.parent)
    datasets.load(f"events:{path.parent / 'set'}", "test", timesteps=2)
