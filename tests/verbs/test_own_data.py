"""Whatever holds samples becomes the samples that a network takes, and whatever was read into them is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, TensorDataset

from data_files import code
from spikeport import evaluate, load_data, quantize, simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Flatten, Graph, Input, Linear

RNG = np.random.default_rng(3)
X = RNG.random((6, 1, 4, 5), dtype=np.float32)
Y = np.asarray([0, 1, 2, 2, 1, 0])


def network(shape=(1, 4, 5), coding="direct", steps=2):
    size = int(np.prod(shape))
    weight = np.random.default_rng(1).standard_normal((3, size)).astype(np.float32)
    return Graph.chain(
        {
            "input": Input(shape, coding),
            "flat": Flatten(),
            "dense": Linear(weight),
            "lif": LIF((3,), np.float32(0.5), np.ones(steps, np.float32)),
        },
        steps,
    )


def forms(folder):
    tensor = torch.as_tensor(X)
    np.save(folder / "x.npy", X)
    np.savez(folder / "x.npz", x=X, y=Y)
    np.savez(folder / "split.npz", x_train=X[:2], y_train=Y[:2], x_test=X, y_test=Y)
    for number, (x, y) in enumerate(zip(X, Y, strict=True)):
        (folder / "tree" / "abc"[y]).mkdir(parents=True, exist_ok=True)
        np.save(folder / "tree" / "abc"[y] / f"{number}.npy", x)
    return {
        "array": X,
        "tensor": tensor,
        "list of arrays": list(X),
        "lists": X.tolist(),
        "pair": (X, Y),
        "pair of tensors": (tensor, torch.as_tensor(Y)),
        "list of pairs": [(x, int(y)) for x, y in zip(X, Y, strict=True)],
        "Dataset": TensorDataset(tensor, torch.as_tensor(Y)),
        "DataLoader": DataLoader(TensorDataset(tensor, torch.as_tensor(Y)), batch_size=4),
        ".npy": folder / "x.npy",
        ".npz": str(folder / "x.npz"),
        ".npz with splits": folder / "split.npz",
    }


def test_every_form_gives_the_same_samples(tmp_path):
    for name, form in forms(tmp_path).items():
        data = load_data(form, "test", network())
        assert np.array_equal(np.asarray(data.x, np.float32), X), name
        assert data.findings == (), name
        assert data.y is None or np.array_equal(data.y, Y), name
        assert (data.y is None) == (name in ("array", "tensor", "list of arrays", "lists", ".npy")), name


def test_a_folder_numbers_its_classes_by_name_and_says_so(tmp_path):
    forms(tmp_path)
    data = load_data(tmp_path / "tree", "test", network())
    assert data.y.tolist() == [0, 0, 1, 1, 2, 2]
    assert np.array_equal(data.x[2], X[1])
    assert [each.code for each in data.findings] == ["SP234"]


def test_images_are_read_as_totensor_reads_them(tmp_path):
    pixels = RNG.integers(0, 256, (4, 5), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(load_data(tmp_path, "test", network()).x[0, 0], pixels.astype(np.float32) / np.float32(255))


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        (X[:, 0], (1, 4, 5)),
        (np.moveaxis(np.repeat(X, 3, 1), 1, -1), (3, 4, 5)),
        (X[0], (1, 4, 5)),
        (X[0, 0], (1, 4, 5)),
        (X, (20,)),
        (X.reshape(6, 20), (1, 4, 5)),
    ],
    ids=["no channel", "channels last", "one sample", "one sample, no channel", "flat network", "flat samples"],
)
def test_another_layout_is_read_and_said(given, shape):
    data = load_data(given, "test", network(shape))
    whole = np.repeat(X, 3, 1) if shape[0] == 3 else X.reshape(6, *shape)
    assert np.array_equal(data.x, whole[: len(data.x)])
    assert [each.code for each in data.findings] == ["SP231"]


def test_steps_and_samples_are_told_apart_by_what_fits():
    events = RNG.integers(0, 2, (2, 6, 1, 4, 5)).astype(np.float32)
    graph = network(coding="events")
    for given, findings in ((events, []), (events.swapaxes(0, 1), ["SP231"]), (list(events.swapaxes(0, 1)), ["SP231"])):
        data = load_data(given, "test", graph)
        assert np.array_equal(data.x, events)
        assert data.samples == 6
        assert [each.code for each in data.findings] == findings
    square = load_data(events[:, :2], "test", graph)  # two steps, two samples: as documented, and said
    assert np.array_equal(square.x, events[:, :2])
    assert [each.code for each in square.findings] == ["SP231"]


def test_two_readings_that_fit_are_refused():
    assert code(load_data, np.zeros((2, 3, 5, 4, 3), np.float32), "test", network((3, 5, 4))) == "SP502"
    ambiguous = np.arange(60, dtype=np.float32).reshape(3, 4, 5)  # three without a channel, or one of a flat network
    assert code(load_data, ambiguous[:, None], "test", network((3, 4, 5))) == "SP502"
    steps = np.arange(24, dtype=np.float32).reshape(2, 2, 1, 6)  # [T, B] or [B, T], and a frame that is flat
    assert code(load_data, steps, "test", network((6,), "events")) == "SP233"


@pytest.mark.parametrize(
    ("given", "labels", "expected"),
    [
        ((X * 255).astype(np.uint8), None, "SP235"),
        ((X, Y[:4]), None, "SP232"),
        ((X, np.eye(3)[Y]), None, "SP232"),
        (X, Y + 0.5, "SP232"),
        ([X[0], X[1, :, :3]], None, "SP230"),
        (object(), None, "SP230"),
        ((X, Y, Y, Y), None, "SP230"),
        ((X, Y, Y), None, "SP244"),
        (np.asarray(["a"]), None, "SP907"),
        ("digits", Y, "SP236"),
        (X * np.nan, None, "SP502"),
        ("nothing/here.npy", None, "SP907"),
        ("no-such-name", None, "SP360"),
    ],
)
def test_what_is_no_data_is_refused(given, labels, expected):
    assert code(load_data, given, "test", network(), None, labels) == expected


def test_counts_of_events_may_be_bytes():
    counts = RNG.integers(0, 9, (2, 3, 1, 4, 5), np.uint8)
    assert np.array_equal(load_data(counts, "test", network(coding="events")).x, counts)


def test_accuracies_need_labels_which_may_be_a_file(tmp_path):
    np.save(tmp_path / "y.npy", Y)
    graph = network()
    answers = simulate(graph, X).outputs.reshape(6, -1).argmax(1)
    assert code(evaluate, graph, X) == "SP236"
    assert evaluate(graph, X, labels=tmp_path / "y.npy").accuracy == np.mean(answers == Y)
    assert evaluate(graph, (X, answers)).accuracy == 1


def test_quantize_calibrates_on_arrays_and_says_what_its_accuracies_are():
    quantised = quantize(network(), data=X)
    assert quantised.report["accuracy"]["real"] == 1
    assert "SP238" in [each.code for each in quantised.findings]
    assert "SP238" not in [each.code for each in quantize(network(), data=(X, Y)).findings]


def test_recordings_are_counted_in_the_frames_that_the_network_takes(tmp_path):
    (tmp_path / "a.csv").write_text("t,x,y,p\n0.000000,1,0,1\n0.000003,2,3,0\n0.000003,2,3,0\n")
    graph = network((2, 4, 5), "events")
    data = load_data(tmp_path / "a.csv", "test", graph)
    expected = np.zeros((2, 1, 2, 4, 5))
    expected[0, 0, 1, 0, 1], expected[1, 0, 0, 3, 2] = 1, 2
    assert np.array_equal(data.x, expected)
    assert code(load_data, tmp_path / "a.csv", "test", network()) == "SP237"
    (tmp_path / "empty.csv").write_text("")
    empty = load_data(tmp_path / "empty.csv", "test", graph)
    assert "1 of 1 recordings hold no event" in [each.what for each in empty.findings]
    assert code(load_data, tmp_path / "a.csv", "test", network((2, 2, 2), "events")) == "SP362"


SEQUENCES = [np.full((n, 5), n, np.float32) for n in (2, 4, 1)]  #: of unequal length
BATCH = np.stack([np.pad(each, ((0, 4 - len(each)), (0, 0))) for each in SEQUENCES])  #: [B, T, 5]


def unequal(folder):
    np.savez(folder / "x.npz", x=BATCH.swapaxes(0, 1), lengths=[2, 4, 1], y=[0, 1, 2])
    for number, each in enumerate(SEQUENCES):
        (folder / "tree" / "abc"[number]).mkdir(parents=True)
        np.save(folder / "tree" / "abc"[number] / "0.npy", each)
    items = list(zip(SEQUENCES, (2, 4, 1), range(3), strict=True))
    two = [(BATCH[:2, :4], [2, 4], [0, 1]), (BATCH[2:, :1], [1], [2])]  # each padded to its own longest
    batches = [tuple(torch.as_tensor(each) for each in batch) for batch in two]
    return {
        "list": (SEQUENCES, [0, 1, 2]),
        "pairs": [(x, y) for x, _, y in items],
        "triples": items,
        "padded": (BATCH.swapaxes(0, 1), [2, 4, 1], [0, 1, 2]),
        "loader": type("Loader", (list,), {"dataset": None, "batch_size": 2})(batches),
        ".npz": folder / "x.npz",
        "folder": folder / "tree",
    }


def test_sequences_of_unequal_length_keep_their_lengths_however_they_are_brought(tmp_path):
    """And have as many steps as the network, zeros behind their ends."""
    graph = network((5,), "events", steps=6)
    for form, brought in unequal(tmp_path).items():
        data = load_data(brought, "test", graph)
        assert (data.lengths.tolist(), data.y.tolist()) == ([2, 4, 1], [0, 1, 2]), form
        assert np.array_equal(data.x, np.pad(BATCH.swapaxes(0, 1), ((0, 2), (0, 0), (0, 0)))), form
    assert load_data(SEQUENCES, "test", graph, limit=2).lengths.tolist() == [2, 4]
    wrong = ([*SEQUENCES, np.ones((3, 4), np.float32)], [(BATCH[0], 5, 0)], [(BATCH[0], 2, 0), (BATCH[1], 0, 1)])
    codes = [code(load_data, each, "test", graph) for each in wrong]
    assert codes == ["SP230", "SP244", "SP244"]  # frames of two shapes, a length beyond the steps, one below 1
    with pytest.raises(SpikeportError, match=r"SP230  sample 1 \(from 0\) has no step"):
        load_data([SEQUENCES[0], SEQUENCES[1][:0]], "test", graph)
    assert code(load_data, SEQUENCES, "test", network((5,))) == "SP244"  # it takes one frame a sample
    assert code(data.whole, "a probe") == "SP246"


def test_a_split_is_that_of_the_samples_and_not_that_which_was_asked_for(tmp_path):
    brought, graph = forms(tmp_path), network()
    for number, y in enumerate(Y):
        (tmp_path / "parts" / "val" / "abc"[y]).mkdir(parents=True, exist_ok=True)
        np.save(tmp_path / "parts" / "val" / "abc"[y] / f"{number}.npy", X[number])
    for name, form in brought.items():
        for asked in ("train", "test"):
            assert load_data(form, asked, graph).split == (asked if name == ".npz with splits" else "all"), name
    assert load_data(tmp_path / "parts", "val", graph).split == "val"
    assert load_data(tmp_path / "parts" / "val", "train", graph).split == "all"
    assert evaluate(graph, (X, Y), split="val").split == "all"
    assert evaluate(graph, tmp_path / "split.npz").split == "test"
    np.savez(tmp_path / "bright.npz", x_train=9 * X, y_train=Y, x_test=X, y_test=Y)
    assert quantize(graph, data=(9 * X, Y)).report["split"] == "all"
    assert quantize(graph, data=tmp_path / "bright.npz").report["split"] == "train"


@pytest.mark.parametrize(("first", "beyond"), [(0, 0), (1, 2), (7, 6)])
def test_labels_beyond_the_outputs_are_told(first, beyond):
    """Classes that are counted from 1: an accuracy of 0 would be all that is seen of it."""
    found = evaluate(network(), (X, Y + first)).findings
    told = [each.what for each in found if each.code == "SP232"]
    assert told == (
        [f"{beyond} of 6 labels lie beyond the network's 3 outputs, up to {2 + first}: its answers are 0 ... 2"]
        if beyond
        else []
    )
