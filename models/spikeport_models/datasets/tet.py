"""CIFAR10-DVS as TET prepared it (Deng et al., ICLR 2022) and MPD-AGL trained on it: frames in files, a file a sample.

``train`` and ``test`` hold files 0.pt, 1.pt, … (torch.save of frames [T, 2, H, W] and a label) or the same as .npz
with the arrays ``frames`` and ``label``. Nothing in them is obeyed: torch reads tensors alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
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

SIDE = 48  #: pixels, of a frame that enters the networks (data_loader/loader.py of MPD-AGL)
CLASSES = 10
PLACE = Place(
    "cifar10-dvs-tet",
    inside=("cifar10-dvs-tet", "TET"),
    needs=("train", "test"),
    get="get the prepared frames that github.com/Gus-Lab/temporal_efficient_training names (folders train and test)",
)


def cifar10_dvs_tet(split: Split, folder: Path | None = None, timesteps: int = 10) -> Arrays:
    """x [T, N, 2, 48, 48] as the published loaders make them of the files; a tenth of train is for validation.

    Raises SP362 for a damaged file, and for frames of another number than ``timesteps``.
    """
    place = PLACE.find(folder) / ("test" if split == "test" else "train")
    files = sorted((path for path in place.iterdir() if path.suffix in READERS), key=lambda path: _number(path.stem))
    if not files:
        fail("SP362", "holds no frames", where=str(place), mend="files are 0.pt, 1.pt, … or 0.npz, 1.npz, …")
    stamps = [f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files]
    facts = [f"{timesteps} {len(files)}", *stamps]

    def fill(stack: Frames) -> None:
        with console.progress(f"preparing {len(files):,} samples, once", "samples") as at:
            for number, path in enumerate(files):
                frames, label = _sample(path, timesteps)
                stack[:timesteps, number] = as_published(frames)
                stack[timesteps, number] = label
                at(number + 1, len(files))

    values = kept("cifar10-dvs-tet", facts, lambda: (timesteps + 1, len(files), 2, SIDE, SIDE), fill)
    x, y = values[:timesteps], values[timesteps, :, 0, 0, 0].astype(np.int64)
    if split == "test":
        return x, y
    chosen = indices_of(y, split)
    return x[:, chosen], y[chosen]


def as_published(frames: Array) -> Array:
    """Frames [T, 2, H, W] as torchvision's ToPILImage, Resize(48, 48) and ToTensor leave them: the published input.

    Real counts are multiplied by 255 and kept modulo 256, so that n > 0 events become 256 - n; whole ones (uint8) are
    taken as they are. The two polarities are an image of Pillow's mode LA: resizing weights the first by the second.
    """
    from PIL import Image

    pixels = frames if frames.dtype == np.uint8 else (np.trunc(frames * 255.0).astype(np.int64) % 256).astype(np.uint8)
    resized = []
    for frame in pixels:
        image = Image.frombytes("LA", frame.shape[:0:-1], np.moveaxis(frame, 0, -1).tobytes())
        resized.append(np.moveaxis(np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR)), -1, 0))
    return np.stack(resized).astype(np.float32) / np.float32(255)


def _number(stem: str) -> tuple[int, str]:
    return (int(stem), stem) if stem.isdecimal() and stem.isascii() else (-1, stem)


def _sample(path: Path, timesteps: int) -> tuple[Array, int]:
    """Frames [T, 2, H, W] and the class of a file. Raises SP362."""
    mend = "get the file again"
    try:
        frames, said = READERS[path.suffix](path)
        label, numbers = float(said.item()), frames.astype(np.float64)
    except Exception as error:  # a file that is damaged raises whatever its steps raise on what they do not expect
        fail("SP362", f"holds no frames and label ({reading.line(error)})", where=str(path), mend=mend)
    if frames.ndim != 4 or frames.shape[1] != 2 or 0 in frames.shape:
        fail("SP362", f"holds an array {list(frames.shape)}, not [T, 2, H, W]", where=str(path), mend=mend)
    if len(frames) != timesteps:
        what = f"holds {len(frames)} frames, {timesteps} timesteps are asked for"
        fail("SP362", what, where=str(path), mend=f"set timesteps = {len(frames)}")
    low, high = float(numbers.min()), float(numbers.max())
    if label not in range(CLASSES) or not 0 <= low <= high < 2**31:
        what = f"its label is {label:g}, its counts go from {low:g} to {high:g}"
        fail("SP362", what, where=str(path), mend="labels are 0 to 9, counts 0 and more")
    return (frames if frames.dtype == np.uint8 else numbers), int(label)


def _pt(path: Path) -> tuple[Array, Array]:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about the pickle's version
        frames, label = torch.load(path, map_location="cpu", weights_only=True)
    return np.asarray(frames), np.asarray(label)


def _npz(path: Path) -> tuple[Array, Array]:
    arrays = reading.npz_file(path)
    return arrays["frames"], arrays["label"]


READERS: dict[str, Callable[[Path], tuple[Array, Array]]] = {".pt": _pt, ".npz": _npz}
SOURCE = Source(cifar10_dvs_tet, CLASSES, "events", PLACE.status)
