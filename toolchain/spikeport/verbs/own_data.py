"""What a user may bring as data: arrays, tensors, lists, pairs, torch data sets and loaders, files and folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.findings import Finding, fail, require
from spikeport.graph import Array
from spikeport.verbs.sequences import longer, stacked

FORMS = (
    "an array, a tensor, a list, a pair (x, y), three of (x, lengths, y), a torch Dataset or DataLoader, "
    "a .npy or .npz file, NIRData, "
    "a folder of .npy files or images, or the name of a data set"
)

WHOLE = "all"  #: the split of what nobody has parted


@dataclass(frozen=True, eq=False)
class Brought:
    """Samples as they were brought: which of their axes are channels and time, nobody has asked yet."""

    name: str
    x: Array
    y: Array | None = None  #: class numbers [B]
    stacked: bool = False  #: the first axis is known to count samples
    lengths: Array | None = None  #: [B], where they are sequences of unequal length, padded
    split: str = WHOLE  #: the part that they are of
    findings: tuple[Finding, ...] = ()

    def __post_init__(self) -> None:
        if self.x.dtype.kind not in "biuf":
            fail("SP907", f"holds {self.x.dtype}, not numbers", where=self.name, mend=f"bring {FORMS}")

    @property
    def steps(self) -> int:
        """How many frames a sample has, where each has one a step."""
        first = self.samples_first
        return max(1, self.x.shape[int(first)]) if self.x.ndim > first else 1

    @property
    def samples_first(self) -> bool:
        """Whether the first of two axes of steps and samples counts samples: so it is known, or so many are told of."""
        told = self.y if self.lengths is None else self.lengths
        number = () if told is None or told.ndim != 1 else (len(told),)
        return self.stacked or (self.x.ndim > 1 and self.x.shape[:1] == number != self.x.shape[1:2])

    @property
    def steps_first(self) -> bool:
        """Whether the labels say that the first axis counts no samples."""
        return self.y is not None and not self.stacked and len(self.y) != len(self.x)

    def labelled(self, y: Any, where: str) -> Brought:
        """With these labels. Raises SP232 for what are no class numbers."""
        return replace(self, y=class_numbers(y, where))


def gather(data: Any, split: str = "test", limit: int | None = None) -> Brought:
    """The samples and labels of anything that holds some; of loaders and data sets not more than ``limit`` are read.

    Raises SP230 for what is no data, SP232 for labels that are no class numbers, SP907 for a file without numbers.
    """
    if isinstance(data, Brought):
        return data
    if isinstance(data, str | Path):
        from spikeport.verbs import own_files

        return own_files.read(Path(data), split)
    if isinstance(data, tuple):
        require(len(data) in (2, 3), "SP230", f"a tuple of {len(data)} is no data", mend="bring a pair (x, y)")
        x, *lengths, y = data
        return _sequences("arrays", x, _array(lengths[0]) if lengths else None).labelled(y, "the last of them")
    if isinstance(data, Mapping):
        return members({name: _array(value) for name, value in data.items()}, split, "the mapping")
    if hasattr(data, "dataset") and hasattr(data, "batch_size"):
        return _loader(data, limit)
    pairs = isinstance(data, list) and bool(data) and all(isinstance(item, tuple) and _parted(item) for item in data)
    if pairs or (hasattr(data, "__getitem__") and hasattr(data, "__len__") and not _numbers(data)):
        return _items(data, limit)
    if _numbers(data):
        return _sequences("arrays", data)
    fail("SP230", f"{type(data).__name__} is no data that spikeport reads", mend=f"bring {FORMS}")


def frame_shape(brought: Brought, frames: bool = False) -> tuple[int, ...]:
    """The shape of one sample's frame, for a module that does not say which input it takes.

    ``frames``: each sample has one a step, so that two axes are time's and the samples', unless it is one sample.
    """
    return tuple(brought.x.shape[2 if brought.steps_first or (frames and brought.x.ndim > 2) else 1 :])


def class_numbers(y: Any, where: str) -> Array:
    """Labels as whole numbers [B], from 0. Raises SP232 for anything else."""
    labels = _array(y)
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    whole = labels.ndim == 1 and labels.dtype.kind in "biuf" and bool((labels == np.floor(labels)).all())
    if not whole or (labels.size and labels.min() < 0):
        mend = "give their argmax over the classes" if labels.ndim == 2 else "number the classes from 0"
        what = f"labels of shape {list(labels.shape)} and type {labels.dtype} are no class numbers [B]"
        fail("SP232", what, where=where, mend=mend)
    return labels.astype(np.int64)


#: names of the samples and of the labels among named arrays; one of `SPLITS` may stand behind or before them
SAMPLES = ("x", "X", "data", "images", "samples", "inputs", "frames")
LENGTHS = ("lengths",)
LABELS = ("y", "Y", "labels", "label", "targets", "target")
#: words for a split, ours first
SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation", "dev"), "test": ("test", "testing")}


def split_words(split: str) -> tuple[str, ...]:
    """What a split may be called."""
    return SPLITS.get(split, (split,))


def parts_of(names: Iterable[str], words: Sequence[str], split: str) -> list[str]:
    """Which of some names are those of ``words`` in a split: x_val, val_x, x_validation, …"""
    ways = [way for word in words for each in split_words(split) for way in (f"{word}_{each}", f"{each}_{word}")]
    return [way for way in ways if way in names]


def members(arrays: Mapping[str, Array], split: str, name: str) -> Brought:
    """Samples and labels among named arrays: those of the split where names tell splits apart.

    Raises SP230 where it cannot be told which array holds the samples.
    """

    def one(words: Sequence[str]) -> Array | None:
        own = [*parts_of(arrays, words, split), *(word for word in words if word in arrays)]
        return arrays[own[0]] if own else None

    lengths, y = one(LENGTHS), one(LABELS)
    others = {each: array for each, array in arrays.items() if not {*each.split("_")} & {*LENGTHS}}
    x = one(SAMPLES) if len(others) > 1 else next(iter(others.values()), None)
    if x is None:
        mend = "name the samples x and the labels y: numpy.savez(FILE, x=samples, y=labels)"
        what = f"holds {', '.join(others) or 'nothing'}; which are the samples?"
        if parted := [each for each in SPLITS if parts_of(arrays, SAMPLES, each)]:
            what = f"holds samples of {' and '.join(parted)}, none of {split}"
            mend = f"ask for one of those, or name arrays x_{split} and y_{split}"
        fail("SP230", what, where=name, mend=mend)
    brought = Brought(name, x, lengths=lengths, split=split if parts_of(arrays, SAMPLES, split) else WHOLE)
    return brought if y is None else brought.labelled(y, name)


def _numbers(data: Any) -> bool:
    """Whether this is an array, a tensor, or nested lists of numbers, arrays or tensors."""
    if isinstance(data, list):
        return not data or _numbers(data[0]) or isinstance(data[0], int | float)
    return hasattr(data, "__array__") and hasattr(data, "shape")


def _array(value: Any) -> Array:
    """Numbers as a numpy array; tensors come from their device. Raises SP230 for what makes none."""
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            return np.asarray(value.float().numpy() if str(value.dtype) == "torch.bfloat16" else value.numpy())
        if isinstance(value, list) and any(hasattr(item, "detach") for item in value):
            value = [_array(item) for item in value]
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        fail("SP230", f"makes no array ({error})", mend="samples have to have one shape, all of them")


def _items(data: Any, limit: int | None) -> Brought:
    """The items of a torch ``Dataset``, or of a list of pairs: each is x, or (x, y), or (x, length, y)."""
    count = len(data) if limit is None else min(limit, len(data))
    name = type(data).__name__
    require(count > 0, "SP230", "holds no sample", where=name, mend=f"bring {FORMS}")
    items = [data[number] for number in range(count)]
    if all(_parted(item) and len(item) == len(items[0]) for item in items):
        x, *lengths, y = zip(*items, strict=True)
        brought = _sequences(name, list(x), _array(list(lengths[0])) if lengths else None)
        return brought.labelled(_array(list(y)), name)
    return _sequences(name, items)


def _parted(item: Any) -> bool:
    """Whether it is a pair (x, y), or three of (x, length, y)."""
    return (isinstance(item, tuple | list) and len(item) == 2) or (isinstance(item, tuple) and len(item) == 3)


def _sequences(name: str, data: Any, lengths: Array | None = None) -> Brought:
    """An array, or samples one by one; sequences of unequal length are padded, and their lengths kept."""
    arrays = isinstance(data, list) and bool(data) and all(hasattr(item, "shape") for item in data)
    if not arrays:
        return Brought(name, _array(data), stacked=isinstance(data, list), lengths=lengths)
    x, unequal = stacked([_array(item) for item in data])
    return Brought(name, x, stacked=True, lengths=unequal if lengths is None else lengths)


def _loader(data: Any, limit: int | None) -> Brought:
    """The batches of a ``DataLoader``, joined along the axis that counts samples: labels tell which it is.

    Batches are x, (x, y) or (x, lengths, y); those with lengths may be padded to different numbers of steps.
    """
    name, batches, lengths, seen = type(data).__name__, [], [], 0
    for batch in data:
        pair = isinstance(batch, tuple | list) and len(batch) in (2, 3)
        x, y = (_array(batch[0]), class_numbers(_array(batch[-1]), name)) if pair else (_array(batch), None)
        lengths += [_array(batch[1])] if pair and len(batch) == 3 else []
        batches.append((x, y))
        seen += len(x) if y is None else len(y)
        if limit is not None and seen >= limit:
            break
    require(bool(batches), "SP230", "gives no batch", where=name, mend=f"bring {FORMS}")
    axis = next((a for a in (0, 1) if all(_counts(x, y, a) for x, y in batches)), None)
    if axis is None:
        fail("SP230", "gives batches with another number of labels than samples", where=name, mend=f"bring {FORMS}")
    parts = [np.moveaxis(x, axis, 0) for x, _ in batches]
    if lengths:
        longest = max(part.shape[1] if part.ndim > 1 else 0 for part in parts)
        parts = [longer(part, longest, 1) if part.ndim > 1 else part for part in parts]
    if len({part.shape[1:] for part in parts}) > 1:
        mend = "give lengths too: (x, lengths, y), or pad all of them to one number of steps"
        fail("SP230", "gives batches of different shapes", where=name, mend=mend)
    labels = [y for _, y in batches if y is not None]
    ends = np.concatenate(lengths) if lengths else None
    return Brought(name, np.concatenate(parts), np.concatenate(labels) if labels else None, True, ends)


def _counts(x: Array, y: Array | None, axis: int) -> bool:
    return x.ndim > axis and (y is None or x.shape[axis] == len(y))
