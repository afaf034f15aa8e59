"""Every data set, from files of its true format written byte by byte here."""

import gzip
import pickle
import struct
import tarfile
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_files import aedat4, cifar_folder, nmnist_bytes
from spikeport.findings import SpikeportError
from spikeport_models import datasets
from spikeport_models.datasets import dvs, idx
from spikeport_models.datasets.events import Events, frames
from spikeport_models.datasets.interface import DATASETS
from spikeport_models.datasets.nmnist import read_bin
from spikeport_models.datasets.recordings import read_events

RNG = np.random.default_rng(5)


def code(call, *args, **options):
    with pytest.raises(SpikeportError) as error:
        call(*args, **options)
    assert error.value.findings[0].mend or error.value.code == "SP362"
    return error.value.code


def test_digits_are_whole_sixteenths_in_disjoint_stratified_splits():
    parts = {split: datasets.load("digits", split) for split in ("train", "val", "test")}
    assert [len(part) for part in parts.values()] == [1293, 144, 360]
    images = [image.tobytes() for part in parts.values() for image in part.x]
    from sklearn.datasets import load_digits

    original = [image.tobytes() for image in (load_digits().images / 16).astype(np.float32)]
    assert sorted(images) == sorted(original)
    for part in parts.values():
        assert part.x.dtype == np.float32
        assert part.input_shape == (1, 8, 8)
        assert np.array_equal(part.x * 16, np.rint(part.x * 16))
        shares = np.bincount(part.y, minlength=10) / len(part)
        assert np.abs(shares - 0.1).max() < 0.02


def test_unknown_names_and_splits_are_refused():
    assert code(datasets.load, "digit", "test") == "SP360"
    assert code(datasets.load, "digits", "validation") == "SP363"


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "digits"])
def test_a_missing_data_set_says_how_to_get_it(name, tmp_path, monkeypatch):
    assert code(datasets.load, name, "test", tmp_path / "nowhere") == "SP361"
    monkeypatch.setenv("SPIKEPORT_DATA", str(tmp_path))
    if name != "fashion-mnist":  # which a package of the system may have brought
        assert datasets.status()[name].startswith("missing: get")


# -- IDX --------------------------------------------------------------------------------------------------------------


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


@pytest.mark.skipif(DATASETS["fashion-mnist"].status().startswith("missing"), reason="Fashion-MNIST is not installed")
def test_the_real_fashion_mnist():
    """60,000 and 10,000 images; the mean of the training pixels is 0.2860 (a figure that everybody normalises with)."""
    parts = {split: datasets.load("fashion-mnist", split) for split in ("train", "val", "test")}
    assert [part.x.shape for part in parts.values()] == [(55000, 1, 28, 28), (5000, 1, 28, 28), (10000, 1, 28, 28)]
    mean = (55 * parts["train"].x.mean(dtype=np.float64) + 5 * parts["val"].x.mean(dtype=np.float64)) / 60
    assert mean == pytest.approx(0.2860, abs=1e-4)
    assert np.bincount(parts["test"].y).tolist() == [1000] * 10


# -- CIFAR ------------------------------------------------------------------------------------------------------------


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


# -- events -----------------------------------------------------------------------------------------------------------


EVENTS = st.lists(
    st.tuples(st.integers(0, 2**23 - 1), st.integers(0, 33), st.integers(0, 33), st.integers(0, 1)), max_size=40
)


@given(EVENTS)
def test_nmnist_bytes_read_back(some):
    t, x, y, p = np.asarray(some, np.int64).reshape(-1, 4).T
    events = read_bin(nmnist_bytes(t, x, y, p))
    for got, given_ in zip((events.t, events.x, events.y, events.p), (t, x, y, p), strict=True):
        assert np.array_equal(got, given_)


@given(EVENTS, st.integers(1, 12))
def test_frames_count_every_event_once_in_its_part_of_the_time(some, timesteps):
    t, x, y, p = np.asarray(some, np.int64).reshape(-1, 4).T
    stack = frames(Events(t, x, y, p), timesteps, (34, 34))
    expected = np.zeros((timesteps, 2, 34, 34))
    for a, b, c, d in some:
        expected[(a - t.min()) * timesteps // (t.max() - t.min() + 1), d, c, b] += 1
    assert np.array_equal(stack, expected)


def nmnist_tree(folder, parts=("Train", "Test"), each=20):
    for part in parts:
        for label in range(10):
            place = folder / part / str(label)
            place.mkdir(parents=True)
            for number in range(each):
                t = np.sort(RNG.integers(0, 300_000, 30))
                x, y = RNG.integers(0, 34, (2, 30))
                (place / f"{number:05d}.bin").write_bytes(nmnist_bytes(t, x, y, RNG.integers(0, 2, 30)))
    return folder


def test_nmnist_from_a_tree_and_from_a_zip(tmp_path):
    tree = nmnist_tree(tmp_path / "tree")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in sorted(tree.rglob("*.bin")):
            archive.write(path, path.relative_to(tree))
    for split, count in (("train", 180), ("val", 20), ("test", 200)):
        a, b = (datasets.load("nmnist", split, place) for place in (tree, tmp_path / "a.zip"))
        assert a.x.shape == (10, count, 2, 34, 34)
        assert a.coding == "events"
        assert a.x.sum() == 30 * count
        assert np.array_equal(a.x, b.x)
        assert np.array_equal(a.y, b.y)
    assert datasets.load("nmnist", "test", tree, timesteps=4).x.shape == (4, 200, 2, 34, 34)


def test_nmnist_without_a_test_part_splits_the_training_part(tmp_path):
    tree = nmnist_tree(tmp_path, parts=("Train",))
    sizes = [len(datasets.load("nmnist", split, tree)) for split in ("train", "val", "test")]
    assert sizes == [144, 16, 40]


def test_damaged_recordings_are_refused(tmp_path):
    tree = nmnist_tree(tmp_path / "a", parts=("Train",), each=10)
    (tree / "Train" / "3" / "00000.bin").write_bytes(b"1234")
    assert code(datasets.load, "nmnist", "test", tree) == "SP362"
    assert code(read_bin, nmnist_bytes([5], [40], [1], [0])) == "SP362"
    (tmp_path / "b.zip").write_bytes(b"PK\x03\x04")
    assert code(datasets.load, "nmnist", "test", tmp_path / "b.zip") == "SP362"


@pytest.mark.shared_data
def test_the_real_recordings(shared_data):
    if DATASETS["n-mnist"].status().startswith("missing"):
        pytest.skip("no N-MNIST in the shared data")
    parts = [datasets.load("n-mnist", split) for split in ("train", "val", "test")]
    assert sum(len(part) for part in parts) >= 1000
    for part in parts:
        assert part.x.shape[0] == 10
        assert (part.x.sum((0, 2, 3, 4)) > 500).all()  # a recording has thousands of events
        assert np.array_equal(part.x, np.rint(part.x))


def write_events(path, t, x, y, p):
    if path.suffix == ".npy":
        table = np.zeros(len(t), [("x", "<u2"), ("t", "<u8"), ("p", "?"), ("y", "<u2")])
        table["t"], table["x"], table["y"], table["p"] = t, x, y, p
        np.save(path, table)
    elif path.suffix == ".npz":
        np.savez(path, t=t, x=x, y=y, p=2 * p - 1)
    elif path.suffix == ".bin":
        path.write_bytes(nmnist_bytes(t, x, y, p))
    else:
        path.write_text(
            "# t, x, y, p\n" + "\n".join(f"{a}, {b}, {c}, {d}" for a, b, c, d in zip(t, x, y, p, strict=True))
        )


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".txt", ".bin"])
def test_every_kind_of_event_file_reads_back_in_the_order_of_time(suffix, tmp_path):
    t, x, y, p = np.asarray([30, 10, 20]), np.asarray([1, 2, 3]), np.asarray([4, 5, 6]), np.asarray([0, 1, 1])
    path = tmp_path / f"a{suffix}"
    write_events(path, t, x, y, p)
    events = read_events(path)
    assert events.t.tolist() == [10, 20, 30]
    assert events.x.tolist() == [2, 3, 1]
    assert events.y.tolist() == [5, 6, 4]
    assert events.p.tolist() == [1, 1, 0]


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.npy", b"\x93NUMPY"),
        ("a.npz", b""),
        ("a.csv", b"1,2,3\n"),
        ("a.csv", b"1,2,3,7\n"),
        ("a.txt", b"one two 3 4"),
        ("a.npy", None),
        ("a.jpg", b""),
        ("a.csv", b"\xff\xfe"),
    ],
)
def test_files_without_events_are_refused(name, body, tmp_path):
    path = tmp_path / name
    if body is None:
        np.save(path, np.zeros((3, 5)))
    else:
        path.write_bytes(body)
    assert code(read_events, path) == "SP362"


@pytest.mark.parametrize("official", [False, True])
def test_a_folder_of_event_files_is_a_data_set(official, tmp_path):
    roots = [tmp_path / "Train", tmp_path / "test"] if official else [tmp_path]
    for root in roots:
        for label, name in enumerate(["cat", "dog", "emu"]):
            (root / name).mkdir(parents=True)
            for number in range(20):
                suffix = (".npy", ".npz", ".csv")[number % 3]
                write_events(
                    root / name / f"{number}{suffix}", np.arange(8), np.arange(8), np.full(8, label), np.arange(8) % 2
                )
    parts = [datasets.load(f"events:{tmp_path}", split, timesteps=4) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == ([54, 6, 60] if official else [43, 5, 12])
    for part in parts:
        assert part.x.shape[2:] == (2, 3, 8)
        assert part.classes == 3
        rows = part.x.sum((0, 2, 4)).argmax(1)
        assert np.array_equal(rows, part.y)
    assert code(datasets.load, f"events:{tmp_path / 'cat'}", "test") == "SP362"
    assert code(datasets.load, "events:/no/such/folder", "test") == "SP362"


def test_dvs_gesture_in_the_layout_of_tonic(tmp_path):
    for part in ("ibmGestureTrain", "ibmGestureTest"):
        for user in range(10):
            folder = tmp_path / part / f"user{user:02d}_fluorescent"
            folder.mkdir(parents=True)
            for label in range(11):
                events = np.stack([np.full(6, 127), np.full(6, label), np.arange(6) % 2, np.arange(6) * 100], 1)
                np.save(folder / f"{label}.npy", events.astype(np.float32))
    train, val, test = (
        datasets.load("dvs-gesture", split, tmp_path, timesteps=3) for split in ("train", "val", "test")
    )
    assert [len(part) for part in (train, val, test)] == [99, 11, 110]
    assert test.x.shape == (3, 110, 2, 32, 32)
    assert np.array_equal(test.x.sum((0, 2))[..., 31].argmax(1), test.y // 4)
    assert test.x.sum() == 6 * 110


def aedat_or_skip():
    pytest.importorskip("aedat", reason="reads .aedat4: pip install 'spikeport[events]'")
    pytest.importorskip("flatbuffers", reason="the test writes .aedat4 with it")


def test_cifar10_dvs_from_files_of_the_true_format(tmp_path):
    aedat_or_skip()
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    events = [(t, 127, 64, t % 2) for t in range(9)]
    for label, name in enumerate(names):
        (tmp_path / name).mkdir()
        for number in range(20):
            more = [[(20, label, number, 1)]]
            (tmp_path / name / f"cifar10_{name}_{number}.aedat4").write_bytes(aedat4([events, *more]))
    parts = [datasets.load("cifar10-dvs", split, tmp_path) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [162, 18, 20]
    assert parts[0].x.shape[2:] == (2, 48, 48)
    for part in parts:
        assert (part.x[:, :, :, 24, 47].sum(0) == [5, 4]).all()  # times 0, 2, ... 8 have polarity 0
        columns = part.x[9, :, 1, :8].sum(1).argmax(1)  # the last event, of the last frame
        assert np.array_equal(columns, part.y * 48 // 128)


def test_an_aedat4_file_is_read_to_the_event(tmp_path):
    aedat_or_skip()
    path = tmp_path / "a.aedat4"
    path.write_bytes(aedat4([[(7, 127, 3, 0), (5, 1, 2, 1)], [(9, 0, 100, 1)]]))
    events = read_events(path)
    assert events.t.tolist() == [5, 7, 9]
    assert events.x.tolist() == [1, 127, 0]
    assert events.y.tolist() == [2, 3, 100]
    assert events.p.tolist() == [1, 0, 1]
    path.write_bytes(aedat4([]))
    assert len(read_events(path)) == 0


@pytest.mark.parametrize("damage", ["cut", "empty", "magic", "no events"])
def test_a_damaged_aedat4_file_is_refused(damage, tmp_path):
    aedat_or_skip()
    whole, path = aedat4([[(5, 1, 2, 1)]]), tmp_path / "a.aedat4"
    path.write_bytes(
        {"cut": whole[:-7], "empty": b"", "magic": b"#" + whole, "no events": aedat4([], kind="FRME")}[damage]
    )
    assert code(read_events, path) == "SP362"


def test_an_aedat4_file_needs_a_package_and_says_which(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "aedat", None)
    path = tmp_path / "a.aedat4"
    path.write_bytes(b"#!AER-DAT4.0\r\n")
    with pytest.raises(SpikeportError) as error:
        read_events(path)
    assert error.value.code == "SP361"
    assert "spikeport[events]" in error.value.findings[0].mend


def test_binning_keeps_every_event_and_refuses_those_outside():
    events = Events(*(np.asarray(c) for c in ([0, 1], [0, 127], [63, 127], [0, 1])))
    small = dvs.binned(events, (128, 128), (48, 48))
    assert small.x.tolist() == [0, 47]
    assert small.y.tolist() == [23, 47]
    assert code(dvs.binned, events, (100, 100), (48, 48)) == "SP362"


def test_the_first_samples_are_the_first_samples():
    part = datasets.load("digits", "test")
    assert np.array_equal(part.take(5).x, part.x[:5])
    assert len(part.take(None)) == len(part)
    stack = datasets.Dataset(np.zeros((3, 7, 2, 4, 4), np.float32), np.arange(7), "events", 2, "x")
    assert stack.take(2).x.shape == (3, 2, 2, 4, 4)
    assert stack.take(2).y.tolist() == [0, 1]
