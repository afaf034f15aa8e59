"""The one interface of all data sets, and the table of their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from spikeport.findings import fail
from spikeport_models.datasets import cifar, dvs
from spikeport_models.datasets.digits import digits
from spikeport_models.datasets.idx import FASHION, fashion
from spikeport_models.datasets.nmnist import PLACE as NMNIST
from spikeport_models.datasets.nmnist import nmnist
from spikeport_models.datasets.parts import Split

Reader = Callable[..., "tuple[NDArray[np.float32], NDArray[np.int64]]"]


@dataclass(frozen=True)
class Dataset:
    """One split, in memory."""

    x: NDArray[np.float32]  #: direct: [N, C, H, W]; events: [T, N, C, H, W]
    y: NDArray[np.int64]  #: [N], class numbers from 0
    coding: Literal["direct", "events"]
    classes: int
    name: str

    def __len__(self) -> int:
        return len(self.y)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one frame, [C, H, W]."""
        return tuple(self.x.shape[1:] if self.coding == "direct" else self.x.shape[2:])

    def take(self, limit: int | None) -> Dataset:
        """The first ``limit`` samples."""
        x = self.x[:limit] if self.coding == "direct" else self.x[:, :limit]
        return replace(self, x=x, y=self.y[:limit])


@dataclass(frozen=True, slots=True)
class Source:
    """How a data set is read."""

    read: Reader
    classes: int
    coding: Literal["direct", "events"] = "direct"
    status: Callable[[], str] = lambda: "ships with scikit-learn"


DATASETS: dict[str, Source] = {
    "digits": Source(digits, 10),
    "fashion-mnist": Source(fashion, 10, "direct", FASHION.status),
    "n-mnist": Source(nmnist, 10, "events", NMNIST.status),
    "cifar10": Source(cifar.cifar10, 10, "direct", cifar.CIFAR10.status),
    "cifar100": Source(cifar.cifar100, 100, "direct", cifar.CIFAR100.status),
    "cifar10-dvs": Source(dvs.cifar10_dvs, 10, "events", dvs.CIFAR10_DVS.status),
    "dvs-gesture": Source(dvs.dvs_gesture, 11, "events", dvs.DVS_GESTURE.status),
}
ALIASES = {"fmnist": "fashion-mnist", "nmnist": "n-mnist"}
FOLDER = "events:"  #: before the path of a folder of event files


def load(name: str, split: str = "test", folder: Path | str | None = None, timesteps: int | None = None) -> Dataset:
    """A split (train, val or test) of a data set, always the same samples in the same order.

    ``name`` is one of `DATASETS`, or ``events:PATH`` for a folder with a sub-folder of event files a class. ``folder``
    names where the data lie, in place of the usual places; ``timesteps`` is the number of event frames (10 by default).
    Raises SP360 for an unknown name, SP361 where the data are missing (with how to get them), SP362 for damaged files,
    SP363 for an unknown split.
    """
    if split not in get_args(Split):
        fail("SP363", f"there is no split {split!r}", mend=f"choose one of: {', '.join(get_args(Split))}")
    options: dict[str, Any] = {} if timesteps is None else {"timesteps": timesteps}
    if name.startswith(FOLDER):
        place = Path(name.removeprefix(FOLDER))
        x, y = dvs.event_folder(split, place, **options)
        return Dataset(x, y, "events", dvs.class_count(place), name)
    name = ALIASES.get(name, name)
    if name not in DATASETS:
        fail(
            "SP360",
            f"there is no data set {name!r}",
            mend=f"choose one of: {', '.join(sorted(DATASETS))}, or events:FOLDER",
        )
    source = DATASETS[name]
    if folder is not None:
        options["folder"] = Path(folder)
    if source.coding == "direct":
        options.pop("timesteps", None)
    x, y = source.read(split, **options)
    return Dataset(x, y, source.coding, source.classes, name)


def status() -> dict[str, str]:
    """Each data set's name with where it is, or how to get it."""
    return {name: source.status() for name, source in DATASETS.items()}
