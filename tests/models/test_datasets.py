"""Data sets of images, from files of their true format written byte by byte here."""

import gzip
import pickle
import struct
import sys
import tarfile

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data_files import cifar_folder, code
from spikeport import datasets
from spikeport_models.datasets import idx, vowels
from spikeport_models.datasets.parts import stratified

RNG = np.random.default_rng(5)


def test_digits_are_whole_sixteenths_in_disjoint_stratified_splits(monkeypatch):
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "sklearn", None)  # whose file is read, and which takes a second to import
        parts = {split: datasets.load("digits", split) for split in ("train", "val", "test")}
    assert [len(part) for part in parts.values()] == [1293, 144, 360]
    images = [image.tobytes() for part in parts.values() for image in part.x]
    from sklearn.datasets import load_digits

    known = load_digits()
    original = [image.tobytes() for image in (known.images / 16).astype(np.float32)]
    assert sorted(images) == sorted(original)
    answers = dict(zip(original, known.target, strict=True))
    assert [answers[image] for image in images] == [y for part in parts.values() for y in part.y]
    for part in parts.values():
        assert part.x.dtype == np.float32
        assert part.input_shape == (1, 8, 8)
        assert np.array_equal(part.x * 16, np.rint(part.x * 16))
        shares = np.bincount(part.y, minlength=10) / len(part)
        assert np.abs(shares - 0.1).max() < 0.02


@given(st.lists(st.integers(0, 5), max_size=80), st.floats(0.01, 0.99), st.integers(0, 2**31))
@example([0] * 7 + [3] * 7 + [4] * 7, 0.2, 1)  # equal rests: some classes are drawn
def test_stratified_parts_are_those_that_scikit_learn_draws(labels, share, seed):
    from sklearn.model_selection import train_test_split

    y = np.asarray(labels, np.int64)
    try:
        known = train_test_split(np.arange(len(y)), test_size=share, stratify=y, random_state=seed)
    except ValueError:
        assert code(stratified, y, share, seed) == "SP362"
        return
    for ours, theirs in zip(stratified(y, share, seed), known, strict=True):
        assert ours.tolist() == sorted(theirs)


def test_unknown_names_and_splits_are_refused():
    assert code(datasets.load, "digit", "test") == "SP360"
    assert code(datasets.load, "digits", "validation") == "SP363"
    assert code(datasets.load, "digits", "test", "somewhere") == "SP361"


@pytest.mark.parametrize("name", [name for name in datasets.status() if name != "digits"])
def test_a_missing_data_set_says_how_to_get_it(name, tmp_path, monkeypatch):
    assert code(datasets.load, name, "test", tmp_path / "nowhere") == "SP361"
    monkeypatch.setenv("SPIKEPORT_DATA", str(tmp_path))
    if name != "fashion-mnist":  # which a package of the system may have brought
        assert datasets.status()[name].startswith("missing: get")


def test_the_first_samples_are_the_first_samples():
    part = datasets.load("digits", "test")
    assert np.array_equal(part.take(5).x, part.x[:5])
    assert len(part.take(None)) == len(part)
    stack = datasets.Dataset(np.zeros((3, 7, 2, 4, 4), np.float32), np.arange(7), "events", 2, "x")
    assert stack.take(2).x.shape == (3, 2, 2, 4, 4)
    assert stack.take(2).y.tolist() == [0, 1]


def idx_bytes(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def fashion(tmp_path):
    """A folder in Fashion-MNIST's format: 240 training and 20 test images."""
    arrays = {}
    for part, count in (("train", 240), ("test", 20)):
        arrays[part] = RNG.integers(0, 256, (count, 28, 28), dtype=np.uint8), np.arange(count, dtype=np.uint8) % 10
        for name, array in zip(idx.FILES[part], arrays[part], strict=True):
            (tmp_path / name).write_bytes(gzip.compress(idx_bytes(array)))
    return tmp_path, arrays


def test_idx_files_read_back(fashion):
    folder, arrays = fashion
    test = datasets.load("fmnist", "test", folder)
    assert test.name == "fashion-mnist"
    assert np.array_equal(np.rint(test.x[:, 0] * 255), arrays["test"][0])
    assert np.array_equal(test.y, arrays["test"][1])
    train, val = (datasets.load("fashion-mnist", split, folder) for split in ("train", "val"))
    assert (len(train), len(val)) == (220, 20)
    assert np.bincount(val.y).tolist() == [2] * 10
    both = sorted(image.tobytes() for part in (train, val) for image in np.rint(part.x * 255).astype(np.uint8))
    assert both == sorted(image.tobytes() for image in arrays["train"][0])


@given(cut=st.integers(0, 200))
def test_a_cut_or_foreign_idx_file_is_refused(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("idx") / "a.gz"
    path.write_bytes(gzip.compress(idx_bytes(RNG.integers(0, 256, (9, 5, 5), dtype=np.uint8)))[:cut])
    assert code(idx.read_idx, path) == "SP362"


@pytest.mark.skipif(datasets.status()["fashion-mnist"].startswith("missing"), reason="Fashion-MNIST is not installed")
def test_the_real_fashion_mnist():
    """60,000 and 10,000 images; the mean of the training pixels is 0.2860 (a figure that everybody normalises with)."""
    parts = {split: datasets.load("fashion-mnist", split) for split in ("train", "val", "test")}
    assert [part.x.shape for part in parts.values()] == [(55000, 1, 28, 28), (5000, 1, 28, 28), (10000, 1, 28, 28)]
    mean = (55 * parts["train"].x.mean(dtype=np.float64) + 5 * parts["val"].x.mean(dtype=np.float64)) / 60
    assert mean == pytest.approx(0.2860, abs=1e-4)
    assert np.bincount(parts["test"].y).tolist() == [1000] * 10


@pytest.mark.parametrize("kind", ["cifar10", "cifar100"])
@pytest.mark.parametrize("packed", [False, True])
def test_cifar_archives_read_back(kind, packed, tmp_path):
    place, pixels = cifar_folder(tmp_path, kind)
    if packed:
        with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
            archive.add(place, place.name)
        place = tmp_path / "a.tar.gz"
    test = datasets.load(kind, "test", place)
    whole, labels = pixels["test_batch" if kind == "cifar10" else "test"]
    assert np.array_equal(np.rint(test.x * 255).reshape(len(test), -1), whole)
    assert np.array_equal(test.y, labels)
    train, val = (datasets.load(kind, split, place) for split in ("train", "val"))
    assert len(train) == 9 * len(val)
    assert train.input_shape == (3, 32, 32)


def test_a_pickle_that_wants_more_than_arrays_is_not_obeyed(tmp_path):
    place, _ = cifar_folder(tmp_path, "cifar10")
    marker = tmp_path / "owned"

    class Evil:
        def __reduce__(self):
            return open, (str(marker), "w")

    (place / "test_batch").write_bytes(pickle.dumps({b"data": Evil()}, protocol=2))
    assert code(datasets.load, "cifar10", "test", place) == "SP362"
    assert not marker.exists()
    (place / "test_batch").write_bytes(b"")
    assert code(datasets.load, "cifar10", "test", place) == "SP362"


def test_utterances_end_at_the_last_step(tmp_path):
    """Files of aeon's format: two of three speakers' utterances, of 4 and 29 frames."""

    def line(frames, speaker):
        return ":".join(",".join(f"{c + 100 * f}" for f in range(frames)) for c in range(12)) + f":{speaker}"

    for name, count in (("JapaneseVowels_TRAIN.ts", 20), ("JapaneseVowels_TEST.ts", 1)):
        rows = [line(4, 1), line(29, 9)] * count
        (tmp_path / name).write_text("\n".join(["# Kudo et al.", "@classLabel true 1 9", "@data", *rows]))
    x, y = vowels.SOURCE.read("test", tmp_path)
    assert (x.shape, y.tolist(), vowels.SOURCE.classes, vowels.SOURCE.coding) == ((29, 2, 12), [0, 8], 9, "events")
    assert x[:, 0].tolist() == [[c + 100 * max(0, f) for c in range(12)] for f in range(-25, 4)]
    assert x[:, 1, 0].tolist() == [100 * f for f in range(29)]
    assert [len(vowels.SOURCE.read(split, tmp_path)[1]) for split in ("train", "val")] == [36, 4]
    assert code(vowels.SOURCE.read, "test", tmp_path, 28) == "SP363"
    padded, speakers, lengths = vowels.PADDED.read("test", tmp_path)  # the same, each from step 0 on
    assert (padded.shape, speakers.tolist(), lengths.tolist()) == (x.shape, [0, 8], [4, 29])
    assert np.array_equal(padded[:4, 0], x[25:, 0])
    assert not padded[4:, 0].any()
    assert np.array_equal(padded[:, 1], x[:, 1])
    counts, labels = vowels.COUNTS.read("test", tmp_path)  # 16 levels of 0 ... 2800 and more: 187 a level
    assert counts[:, 1, 0].tolist() == [round(15 * f / 28) for f in range(29)]
    assert (counts.shape, labels.tolist()) == (x.shape, [0, 8])
    for bad in (
        "no data",
        "@data\n" + line(30, 1),
        "@data\n" + line(4, 0),
        "@data\n1,2:3,4:1",
        "@data\n" + line(4, 10),
    ):
        (tmp_path / "JapaneseVowels_TEST.ts").write_text(bad)
        assert code(vowels.SOURCE.read, "test", tmp_path) == "SP362"
