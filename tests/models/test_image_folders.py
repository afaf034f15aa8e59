"""Folders of images and of prepared frames, written here in their true layouts."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data_files import code
from spikeport import reading
from spikeport_models.datasets import images, tet

RNG = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SPIKEPORT_CACHE", str(tmp_path / "cache"))


def picture(path, size=(6, 6), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = RNG.integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return pixels


def folder(place, parts=("",), count=20):
    """Two classes, whose names are in another order than they are written in."""
    for part in parts:
        for name in ("zebra", "ant"):
            for number in range(count):
                picture(place / part / name / f"{number:02}.png")
    return place


def read(place, split):
    return images.FOLDER.read(split, folder=Path(place))


def test_a_folder_of_classes_is_split_into_disjoint_shares(tmp_path):
    place = folder(tmp_path / "all")
    first = picture(place / "ant" / "00.png")
    parts = {split: read(place, split) for split in ("train", "val", "test")}
    assert {split: (len(x), y.tolist().count(1)) for split, (x, y) in parts.items()} == {
        "train": (28, 14),
        "val": (4, 2),
        "test": (8, 4),
    }
    every = [(image.tobytes(), int(label)) for x, y in parts.values() for image, label in zip(x, y, strict=True)]
    assert len(set(every)) == 40
    assert ((np.moveaxis(first, -1, 0) / np.float32(255)).astype(np.float32).tobytes(), 0) in every  # ant comes first
    assert images.FOLDER.classes(place) == 2


@pytest.mark.parametrize(
    ("official", "sizes"),
    [(("train", "val"), (36, 4, 40)), (("train", "test"), (36, 4, 40)), (("train", "val", "test"), (40, 40, 40))],
)
def test_official_parts_stay_what_they_are(official, sizes, tmp_path):
    place = folder(tmp_path / "official", official)
    assert tuple(len(read(place, split)[1]) for split in ("train", "val", "test")) == sizes
    assert images.FOLDER.classes(place) == 2


def test_a_side_resizes_the_shorter_one_and_cuts_the_middle_square(tmp_path):
    place = tmp_path / "sizes"
    for number in range(20):
        for name in ("a", "b"):
            picture(place / name / f"{number}.png", (8, 8 + number), "L" if number % 2 else "RGB")
    stripes = np.zeros((4, 12, 3), np.uint8)
    stripes[:, 4:8] = 255  # the middle square of 4 x 12 is white
    Image.fromarray(stripes).save(place / "a" / "0.png")
    x, _ = read(f"{place}@4", "train")
    assert x.shape == (28, 3, 4, 4)
    assert any((image == 1).all() for part in ("train", "val", "test") for image in read(f"{place}@4", part)[0])
    assert code(read, place, "train") == "SP362"
    assert images.FOLDER.classes(Path(f"{place}@4")) == 2


def test_folders_that_cannot_be_read_are_refused(tmp_path):
    assert code(read, tmp_path / "none", "train") == "SP361"
    (tmp_path / "empty").mkdir()
    assert code(read, tmp_path / "empty", "train") == "SP362"
    half = folder(tmp_path / "half", ("train",), 2)
    assert code(read, half, "train") == "SP362"
    place = folder(tmp_path / "cut", count=12)
    (place / "ant" / "03.png").write_bytes((place / "ant" / "03.png").read_bytes()[:60])
    assert {code(read, place, split) for split in ("train", "val", "test") if _has(place, split)} == {"SP362"}


def _has(place, split):
    """Whether the damaged image, number 3 of its class, is in a split."""
    parts = images._chosen(images._parts(place), split)
    return any(path.name == "03.png" and path.parent.name == "ant" for path, _ in parts)


@pytest.fixture
def tiny(tmp_path):
    """Tiny-ImageNet's layout with two of its classes."""
    place, lines = tmp_path / "tiny-imagenet-200", []
    for name in ("n02", "n01"):
        for number in range(10):
            picture(
                place / "train" / name / "images" / f"{name}_{number}.JPEG", (64, 64), "L" if number == 3 else "RGB"
            )
        (place / "train" / name / f"{name}_boxes.txt").write_text("")
    for number in range(6):
        picture(place / "val" / "images" / f"val_{number}.JPEG", (64, 64))
        lines.append(f"val_{number}.JPEG\t{('n01', 'n02')[number % 2]}\t0\t32\t44\t62")
    (place / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    (place / "wnids.txt").write_text("n02\nn01\n")
    return place


def test_tiny_imagenet_is_judged_on_its_official_validation_part(tiny):
    x, y = images.tiny_imagenet("test", tiny)
    assert x.shape == (6, 3, 64, 64)
    assert y.tolist() == [0, 1] * 3  # by the names' order, not by that of wnids.txt
    assert 0 <= x.min() < x.max() <= 1
    train, val = (images.tiny_imagenet(split, tiny)[1] for split in ("train", "val"))
    assert (np.bincount(train).tolist(), np.bincount(val).tolist()) == ([9, 9], [1, 1])


@pytest.mark.parametrize("line", ["val_9.JPEG\tn01\t0", "val_1.JPEG\tn03\t0", "", "\x00"])
def test_a_damaged_table_of_tiny_imagenet_is_refused(tiny, line):
    with (tiny / "val" / "val_annotations.txt").open("a") as file:
        file.write(line + "\n")
    assert code(images.tiny_imagenet, "test", tiny) == "SP362"


def frames(counts=3):
    return RNG.integers(0, counts, (4, 2, 12, 12)).astype(np.float32)


@pytest.fixture
def prepared(tmp_path):
    """TET's layout: numbered files of frames and a label, here as both kinds of file."""
    place = tmp_path / "TET"
    for part, count in (("train", 20), ("test", 4)):
        (place / part).mkdir(parents=True)
        for number in range(count):
            torch.save((torch.from_numpy(frames()), torch.tensor([number % 2])), place / part / f"{number}.pt")
    np.savez(place / "test" / "10.npz", frames=frames(), label=7)
    return place


def test_frames_enter_as_the_published_loaders_make_them(prepared):
    x, y = tet.cifar10_dvs_tet("test", prepared, 4)
    assert x.shape == (4, 5, 2, 48, 48)
    assert y.tolist() == [0, 1, 0, 1, 7]  # 10 comes behind 3
    train, val = (tet.cifar10_dvs_tet(split, prepared, 4) for split in ("train", "val"))
    assert (train[0].shape[1], val[0].shape[1]) == (18, 2)


def test_counts_wrap_and_the_second_polarity_weights_the_first():
    """Each is what the published loaders do to their frames: one event is 255, two are 254, and so on."""
    counts = np.ones((3, 2, 48, 48))
    counts[0], counts[1] = 1, 2
    counts[2, 1] = 0  # no event of the second polarity anywhere
    seen = tet.as_published(counts) * 255  # 48 x 48 already: nothing is resized
    assert np.rint(seen[:, 0, 0, 0]).tolist() == [255, 254, 255]
    bytes_ = np.full((1, 2, 48, 48), 7, np.uint8)
    assert (np.rint(tet.as_published(bytes_) * 255) == 7).all()
    halves = np.ones((1, 2, 96, 96))
    halves[0, 1, :, 48:] = 0
    small = tet.as_published(halves)[0]
    assert (small[:, :, :20] == 1).all()
    assert (small[:, :, 28:] == 0).all()  # events of the first polarity are gone where the second has none


DAMAGE = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:300]),
    "empty": lambda path: path.write_bytes(b""),
    "one part": lambda path: torch.save(torch.zeros(4, 2, 12, 12), path),
    "axes": lambda path: torch.save((torch.zeros(4, 12, 12), 1), path),
    "steps": lambda path: torch.save((torch.zeros(5, 2, 12, 12), 1), path),
    "label": lambda path: torch.save((torch.zeros(4, 2, 12, 12), 10), path),
    "half a label": lambda path: torch.save((torch.zeros(4, 2, 12, 12), 0.5), path),
    "two labels": lambda path: torch.save((torch.zeros(4, 2, 12, 12), torch.tensor([1, 2])), path),
    "negative": lambda path: torch.save((torch.zeros(4, 2, 12, 12) - 1, 1), path),
    "no number": lambda path: torch.save((torch.full((4, 2, 12, 12), torch.nan), 1), path),
    "complex": lambda path: torch.save(("frames", 1), path),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_frames_are_refused(damage, prepared):
    DAMAGE[damage](prepared / "test" / "2.pt")
    assert code(tet.cifar10_dvs_tet, "test", prepared, 4) == "SP362"


def test_a_pickle_in_frames_is_not_obeyed(prepared, tmp_path):
    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "owned"), "w")

    torch.save((Evil(), 1), prepared / "test" / "2.pt")
    assert code(tet.cifar10_dvs_tet, "test", prepared, 4) == "SP362"
    assert not (tmp_path / "owned").exists()
    np.savez(prepared / "test" / "2.npz", frames=np.asarray([None], dtype=object), label=1)
    (prepared / "test" / "2.pt").unlink()
    assert code(tet.cifar10_dvs_tet, "test", prepared, 4) == "SP362"


def test_both_are_torchvisions_to_the_bit(tmp_path):
    try:
        from torchvision import transforms
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"torchvision cannot be imported: {error}")
    counts = RNG.poisson(0.6, (2, 2, 100, 128)).astype(np.float32)
    loader = transforms.Compose([transforms.ToPILImage(), transforms.Resize((48, 48)), transforms.ToTensor()])
    assert np.array_equal(tet.as_published(counts), np.stack([loader(torch.from_numpy(frame)) for frame in counts]))
    picture(tmp_path / "a.png", (37, 91))
    cut = transforms.Compose([transforms.Resize(33), transforms.CenterCrop(33), transforms.ToTensor()])
    theirs = cut(Image.open(tmp_path / "a.png")).numpy()
    assert np.array_equal(reading.image(tmp_path / "a.png", 33).astype(np.float32) / np.float32(255), theirs)
