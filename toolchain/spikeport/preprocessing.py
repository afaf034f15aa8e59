"""What was done to a network's samples before they entered it in training: a fact that travels with the model.

It stands under `KEY` in a checkpoint's metadata and in a graph's provenance, and so in every .nir and .onnx file.
Whatever reads a data set for a model prepares the samples by it; samples that a user brings must be prepared already.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeport.findings import Finding, fail, require
from spikeport.graph import Array, Coding, Samples

KEY = "preprocessing"


@dataclass(frozen=True)
class Preprocessing:
    """``(x - mean) / std``, a channel, of the values that a data set gives; or ``unknown``.

    Computed in the samples' own type, first the difference, then the quotient: bit for bit what torchvision's
    ``Normalize`` computes after ``ToTensor``. Raises SP398 for numbers that cannot be.
    """

    mean: tuple[float, ...] = ()  #: one a channel, in units of the data set's values
    std: tuple[float, ...] = ()  #: one a channel, > 0
    source: str = ""  #: where the numbers stand
    unknown: str = ""  #: why no data set can be prepared; "" where it can

    def __post_init__(self) -> None:
        numbers = (*self.mean, *self.std)
        ok = len(self.mean) == len(self.std) and bool(np.isfinite(numbers).all()) and all(s > 0 for s in self.std)
        require(
            ok and bool(self.mean or self.unknown),
            "SP398",
            f"mean {list(self.mean)} and std {list(self.std)}",
            mend="give as many finite means as deviations, one a channel, deviations above 0",
        )

    def apply(self, x: Array, coding: Coding, where: str = "") -> Array:
        """Samples [N, C, ...], or [T, N, C, ...] of events, as they enter the network. Raises SP398."""
        if self.unknown:
            fail(
                "SP398",
                self.unknown,
                where=where,
                why="on other input, accuracy and calibration are those of another network.",
                mend="import the checkpoint with --normalise none to take data sets as they are, or with --normalise "
                "MEAN,.../STD,...; or run it on arrays of your own, prepared as in the training",
            )
        frame = Samples(x, coding).shape
        channels = frame[0] if frame else 0
        require(
            channels == len(self.mean),
            "SP398",
            f"has {channels} channels, the network's samples were normalised by {len(self.mean)} means",
            where=where,
            mend="choose the data that it was trained on",
        )
        shape = (channels, *(1,) * (len(frame) - 1))
        mean, std = (np.asarray(values, x.dtype).reshape(shape) for values in (self.mean, self.std))
        return np.asarray((x - mean) / std)

    def note(self) -> Finding:
        """What whoever brings samples of their own must know."""
        if self.unknown:
            return Finding(
                "SP399",
                "how its samples were prepared in training is not known",
                why=self.unknown,
                mend="run it on arrays prepared as in the training",
                severity="note",
            )
        how = f"(x - {list(self.mean)}) / {list(self.std)}, a channel"
        return Finding(
            "SP399",
            f"the network takes prepared samples: {how}",
            why=self.source,
            mend="data sets are prepared by spikeport; arrays of your own must be already",
            severity="note",
        )


def of(facts: Mapping[str, Any]) -> Preprocessing | None:
    """What a checkpoint's metadata or a graph's provenance say; None where samples enter as data sets give them."""
    entry = facts.get(KEY)
    if not entry:
        return None
    return Preprocessing(
        tuple(entry["mean"]), tuple(entry["std"]), str(entry.get("source", "")), str(entry.get("unknown", ""))
    )


def parse(text: str, source: str) -> Preprocessing | None:
    """``none``, or ``MEAN,.../STD,...`` with one number a channel. Raises SP908 for anything else."""
    if text == "none":
        return None
    try:
        mean, std = (tuple(float(number) for number in half.split(",")) for half in text.split("/"))
    except ValueError:
        fail(
            "SP908",
            f"normalise is {text!r}",
            mend="write none, or MEAN,.../STD,..., as in 0.4914,0.4822,0.4465/0.2023,0.1994,0.2010; an import also "
            "takes authors",
        )
    return Preprocessing(mean, std, source)
