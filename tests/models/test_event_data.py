"""Data sets of events, from files of their true format written byte by byte here."""

import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_files import aedat4, aedat_or_skip, code, nmnist_bytes
from spikeport import datasets
from spikeport.findings import SpikeportError
from spikeport_models.datasets import dvs
from spikeport_models.datasets.events import Events, frames
from spikeport_models.datasets.nmnist import read_bin
from spikeport_models.datasets.recordings import read_events

RNG = np.random.default_rng(5)

EVENTS = st.lists(
    st.tuples(st.integers(0, 2**23 - 1), st.integers(0, 33), st.integers(0, 33), st.integers(0, 1)), max_size=40
)


@given(EVENTS)
def test_nmnist_bytes_read_back(events):
    columns = np.asarray(events, np.int64).reshape(-1, 4).T
    again = read_bin(nmnist_bytes(*columns))
    for column, read in zip(columns, (again.t, again.x, again.y, again.p), strict=True):
        assert np.array_equal(column, read)


@given(EVENTS, st.integers(1, 12))
def test_frames_count_every_event_once_in_its_part_of_the_time(events, timesteps):
    t, x, y, p = np.asarray(events, np.int64).reshape(-1, 4).T
    stack = frames(Events(t, x, y, p), timesteps, (34, 34))
    expected = np.zeros((timesteps, 2, 34, 34))
    for a, b, c, d in events:
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
    if datasets.status()["n-mnist"].startswith("missing"):
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


def test_cifar10_dvs_from_files_of_the_true_format(tmp_path):
    aedat_or_skip()
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    events = [(t, 127, 64, t % 2) for t in range(9)]
    for label, name in enumerate(names):
        (tmp_path / name).mkdir()
        for number in range(12):
            more = [[(20, label, number, 1)]]
            (tmp_path / name / f"cifar10_{name}_{number}.aedat4").write_bytes(aedat4([events, *more]))
    parts = [datasets.load("cifar10-dvs", split, tmp_path) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [97, 11, 12]
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


@pytest.mark.parametrize("damage", ["cut", "empty", "magic", "no events", "zeros"])
def test_a_damaged_aedat4_file_is_refused(damage, tmp_path):
    aedat_or_skip()
    whole, path = aedat4([[(5, 1, 2, 1)]]), tmp_path / "a.aedat4"
    kinds = {"cut": whole[:-7], "empty": b"", "magic": b"#" + whole, "no events": aedat4([], kind="FRME")}
    kinds["zeros"] = b"#!AER-DAT4.0\r\n" + bytes(40)  # the decoder panics
    path.write_bytes(kinds[damage])
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
