"""Folders of images: any with a sub-folder a class, as torchvision's ImageFolder has them, and Tiny-ImageNet.

Images are read with Pillow as 255ths between 0 and 1, prepared once, and kept on disk: `prepared`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from spikeport import reading
from spikeport.datasets import Arrays, Frames, Source, Split
from spikeport.findings import fail
from spikeport.graph import Array
from spikeport.terminal import console
from spikeport_models.datasets.parts import indices_of
from spikeport_models.datasets.places import Place
from spikeport_models.datasets.prepared import kept

ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  #: as ImageFolder's
SIZED = re.compile(r"(.*)@([1-9]\d{0,3})")
MEND = "a folder has a sub-folder of images a class, or such folders train, and val or test"
TINY = Place(
    "tiny-imagenet",
    inside=("tiny-imagenet-200", "tiny-imagenet"),
    needs=("wnids.txt", "train", "val/val_annotations.txt"),
    get="get tiny-imagenet-200.zip from cs231n.stanford.edu and unpack it",
)
TINY_CLASSES = 200

Labelled = tuple[Path, int]  #: an image and its class


def image_folder(split: Split, folder: Path) -> Arrays:
    """x [N, 3, H, W] of ``FOLDER`` or ``FOLDER@SIDE``: with a side every image is resized and cut to a square of it.

    Classes are numbered in the order of their names. Of folders ``train``, ``val`` and ``test`` that hold classes each
    is its split; where there is no test, as in ImageNet, ``val`` is the test part. What is missing is a stratified
    share of the others: a fifth for the test, a tenth of the training part for validation.

    Raises SP361 for no folder, SP362 for one without images, for a damaged image, and for images of several sizes.
    """
    place, side = _sized(folder)
    parts = _parts(place)
    if not any(parts.values()):
        fail("SP362", "holds no images in sub-folders, one a class", where=str(place), mend=MEND)
    return _pixels("images", _chosen(parts, split), side)


def class_count(folder: Path) -> int:
    """How many classes `image_folder` finds."""
    return len(_classes(_roots(_sized(folder)[0]).values()))


def tiny_imagenet(split: Split, folder: Path | None = None) -> Arrays:
    """x [N, 3, 64, 64]: the official validation part is the test, a tenth of the training part for validation.

    The official test part has no labels. Classes are numbered in the order of their names (wnids).
    """
    place = TINY.find(folder)
    names = sorted((place / "wnids.txt").read_text("utf-8", "replace").split())
    numbers = {name: number for number, name in enumerate(names)}
    if not 0 < len(names) <= TINY_CLASSES:
        fail("SP362", f"names {len(names)} classes, of 200", where=str(place / "wnids.txt"), mend=TINY.get)
    if split == "test":
        chosen = list(_annotated(place / "val", numbers))
    else:
        inside = [(path, number) for name, number in numbers.items() for path in _images(place / "train" / name)]
        chosen = _share(inside, split, 0.0)
    return _pixels("tiny-imagenet", chosen, None)


def _annotated(place: Path, numbers: dict[str, int]) -> list[Labelled]:
    """``val_annotations.txt``: a line an image, its name, its class and a box, with tabs between them."""
    table, labelled = place / "val_annotations.txt", []
    for number, line in enumerate(table.read_text("utf-8", "replace").splitlines(), 1):
        name, _, rest = line.partition("\t")
        label, path = rest.partition("\t")[0], place / "images" / Path(name).name
        if label not in numbers or not path.is_file():
            what = f"line {number} names an image that is not there, or no class of wnids.txt: {line[:60]!r}"
            fail("SP362", what, where=str(table), mend="unpack the archive again")
        labelled.append((path, numbers[label]))
    return labelled


def _sized(folder: Path) -> tuple[Path, int | None]:
    """The folder, and the side behind @ where no such folder is there. Raises SP361."""
    match = SIZED.fullmatch(str(folder))
    place, side = (Path(match[1]), int(match[2])) if match and not folder.is_dir() else (folder, None)
    if not place.is_dir():
        fail("SP361", "there is no such folder", where=str(place), mend=MEND)
    return place, side


def _roots(place: Path) -> dict[str, Path]:
    """The folders of the official parts by split; one, "all", where there are none. Raises SP362 for half of them."""
    inner = {path.name.lower(): path for path in place.iterdir() if path.is_dir()}
    official: dict[str, Path] = {
        name: inner[name] for name in ("train", "val", "test") if name in inner and _classes([inner[name]])
    }
    if "train" not in official:
        return {"all": place}
    if len(official) == 1:
        what = "has a folder train with classes, and neither val nor test with a folder a class"
        fail("SP362", what, where=str(place), mend=MEND)
    if "test" not in official:
        official["test"] = official.pop("val")
    return official


def _parts(place: Path) -> dict[str, list[Labelled]]:
    roots = _roots(place)
    numbers = {name: number for number, name in enumerate(_classes(roots.values()))}
    return {
        part: [(path, number) for name, number in numbers.items() for path in _images(root / name)]
        for part, root in roots.items()
    }


def _classes(roots: Iterable[Path]) -> list[str]:
    return sorted({path.name for root in roots for path in root.iterdir() if path.is_dir() and any(_found(path))})


def _images(folder: Path) -> list[Path]:
    return sorted(_found(folder))


def _found(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)


def _chosen(parts: dict[str, list[Labelled]], split: Split) -> list[Labelled]:
    if "all" in parts:
        return _share(parts["all"], split, 0.2)
    if split == "test" or "val" in parts:
        return parts[split]
    return _share(parts["train"], split, 0.0)


def _share(images: Sequence[Labelled], split: Split, test: float) -> list[Labelled]:
    labels = np.asarray([number for _, number in images], np.int64)
    return [images[index] for index in indices_of(labels, split, test=test)]


def _pixels(name: str, chosen: Sequence[Labelled], side: int | None) -> Arrays:
    def fill(stack: Frames) -> None:
        with console.progress(f"preparing {len(chosen):,} images, once", "images") as at:
            for number, (path, _) in enumerate(chosen):
                pixels = _read(path, side)
                if pixels.shape != stack.shape[1:]:
                    what = f"has {pixels.shape[1:]} rows and columns, the first image {stack.shape[2:]}"
                    mend = "name a side that all are resized to: images:FOLDER@64"
                    fail("SP362", what, where=str(path), mend=mend)
                stack[number] = pixels.astype(np.float32) / np.float32(255)
                at(number + 1, len(chosen))

    stamps = ((path, path.stat()) for path, _ in chosen)
    facts = [f"{side} {len(chosen)}", *(f"{path} {stamp.st_size} {stamp.st_mtime_ns}" for path, stamp in stamps)]
    y = np.asarray([number for _, number in chosen], np.int64)
    return kept(name, facts, lambda: (len(chosen), *_read(chosen[0][0], side).shape), fill), y


def _read(path: Path, side: int | None) -> Array:
    try:
        return reading.image(path, side, "RGB")
    except (OSError, ValueError) as error:
        fail("SP362", f"is no whole image ({reading.line(error)})", where=str(path), mend="copy it again")


FOLDER = Source(image_folder, class_count)
TINY_IMAGENET = Source(tiny_imagenet, TINY_CLASSES, status=TINY.status)
