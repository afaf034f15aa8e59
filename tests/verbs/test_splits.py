"""Training, validation and test samples in one file or folder: each is used for what its name says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import spikeport
from spikeport.engine import simulate
from spikeport.findings import SpikeportError
from spikeport.graph import LIF, Graph, Input, Linear, Readout
from spikeport.quantisation import load_profile
from spikeport.quantisation import quantize as post_training
from spikeport.verbs.load import load_data
from spikeport.verbs.own_files import has_part

RANDOM = np.random.default_rng(11)
NUMBERS = {"train": 40, "val": 12, "test": 9}
PARTS = {split: RANDOM.random((count, 4)).astype(np.float32) for split, count in NUMBERS.items()}
CLASSES = {split: RANDOM.integers(0, 3, len(x)) for split, x in PARTS.items()}
#: how people write a part's samples and labels
NAMES = {
    "ours": ("x_{}", "y_{}", {}),
    "in front": ("{}_images", "{}_labels", {}),
    "other words": ("data_{}", "target_{}", {"val": "validation", "train": "training"}),
    "short": ("X_{}", "Y_{}", {"val": "valid"}),
    "dev": ("inputs_{}", "labels_{}", {"val": "dev"}),
}


def network():
    nodes = {
        "in": Input((4,), "direct"),
        "a": Linear(RANDOM.normal(size=(8, 4)).astype(np.float32)),
        "s": LIF((8,), np.float32(0.5), np.ones(3, np.float32)),
        "b": Linear(RANDOM.normal(size=(3, 8)).astype(np.float32)),
        "out": Readout((3,), np.ones(3, np.float32)),
    }
    return Graph.chain(nodes, 3)


NETWORK = network()


def arrays(way, splits=("train", "val", "test"), column=False):
    x, y, words = NAMES[way]
    named = {}
    for split in splits:
        word, classes = words.get(split, split), CLASSES[split]
        named |= {x.format(word): PARTS[split], y.format(word): classes[:, None] if column else classes}
    return named


def share(graph, split):
    return float(np.mean(simulate(graph, PARTS[split]).outputs.reshape(-1, 3).argmax(1) == CLASSES[split]))


@pytest.mark.parametrize("way", NAMES)
@pytest.mark.parametrize("form", ["file", "mapping"])
def test_validation_samples_judge_the_integers_that_training_samples_calibrate(way, form, tmp_path):
    """However few they are; labels may be a column, as MedMNIST's are."""
    data = arrays(way, column=way == "in front")
    if form == "file":
        np.savez(tmp_path / "x.npz", **data)
        data = tmp_path / "x.npz"
    made = spikeport.quantize(NETWORK, data=data, steps=("normalise",))
    calibrated = post_training(NETWORK, PARTS["train"], load_profile("loihi2"), 8, run=simulate, steps=("normalise",))
    assert np.array_equal(made.graph["a"].weight, calibrated.graph["a"].weight)
    assert (made.report["split"], made.report["samples"]) == ("val", len(PARTS["val"]))
    assert made.report["accuracy"] == {"real": share(NETWORK, "val"), "integer": share(made.graph, "val")}
    assert made.graph.provenance["quantised"]["calibration"]["split"] == "train"
    for split in PARTS:
        assert np.array_equal(load_data(data, split, NETWORK).x, PARTS[split])


def test_folders_of_splits_are_told_apart_by_their_names(tmp_path):
    for split, name in (("train", "Training"), ("val", "valid"), ("test", "test")):
        for number, (x, y) in enumerate(zip(PARTS[split], CLASSES[split], strict=True)):
            place = tmp_path / name / "abc"[y]
            place.mkdir(parents=True, exist_ok=True)
            np.save(place / f"{number:02}.npy", x)
    made = spikeport.quantize(NETWORK, data=tmp_path, steps=())
    assert (made.report["split"], made.report["samples"]) == ("val", len(PARTS["val"]))
    assert made.report["accuracy"]["real"] == share(NETWORK, "val")
    assert [has_part(tmp_path, split) for split in PARTS] == [True] * 3


def test_without_validation_samples_those_judge_that_calibrated(tmp_path):
    np.savez(tmp_path / "x.npz", **arrays("ours", ("train", "test")))
    made = spikeport.quantize(NETWORK, data=tmp_path / "x.npz", steps=())
    assert (made.report["split"], made.report["samples"]) == ("train", len(PARTS["train"]))


def test_a_whole_run_tells_all_three_apart(tmp_path):
    np.savez(tmp_path / "x.npz", **arrays("ours"))
    spikeport.export(NETWORK, tmp_path / "m.nir")
    result = spikeport.run(tmp_path / "m.nir", tmp_path, data=tmp_path / "x.npz", target="integer")
    assert result["accuracy"]["graph"] == share(NETWORK, "test")
    assert not [each for each in result["findings"] if each["code"] == "SP241"]


def test_a_split_that_is_not_there_is_named_with_those_that_are(tmp_path):
    """A module takes the shape of any of them."""
    np.savez(tmp_path / "x.npz", **arrays("ours", ("train", "val")))
    with pytest.raises(SpikeportError, match=r"SP230.*holds samples of train and val, none of test"):
        spikeport.evaluate(NETWORK, tmp_path / "x.npz")
    with pytest.raises(SpikeportError, match=r"none of validation\n +ask for one of those"):
        spikeport.evaluate(NETWORK, tmp_path / "x.npz", split="validation")
    assert spikeport.evaluate(NETWORK, tmp_path / "x.npz", split="val").accuracy == share(NETWORK, "val")

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a = torch.nn.Linear(4, 3)

        def forward(self, x):
            u, total = torch.zeros(len(x), 3), 0
            for _ in range(3):
                u = 0.5 * u + self.a(x)
                s = (u >= 0.1).float()
                u = u * (1 - s)
                total = total + s
            return total

    assert spikeport.evaluate(Net(), tmp_path / "x.npz", split="val").samples == len(PARTS["val"])
