"""The parameters that several verbs share, each declared once: its type for Python, its words for the command line.

A verb is one typed function. What a parameter is for stands in its annotation (`Help`), and the command line
(`spikeport.terminal.command`) makes an option of each parameter that has one; parameters without are for Python alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from spikeport.findings import fail, require
from spikeport.graph import Array, Graph
from spikeport.target import Progress as Callback
from spikeport.verbs.load import Model


@dataclass(frozen=True, slots=True)
class Help:
    """What a parameter is for, and how it is written on the command line.

    ``flags`` replace ``--its-name``. ``read`` turns what was written, one word or ``many``, into the value. ``needed``
    asks for it even where Python has a default; ``place`` makes it an argument. ``least`` and ``most`` bound a number.
    ``layers`` is the help of a second option, ``--its-name-of``, for what is yes, no, or of the layers named.
    """

    text: str
    flags: tuple[str, ...] = ()
    metavar: str | None = None
    read: Callable[[Any], Any] | None = None
    many: bool = False
    needed: bool = False
    place: bool = False
    least: float | None = None
    most: float | None = None
    layers: str = ""


UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}  #: bytes
SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*((?:[KMG]i?B)?)", re.IGNORECASE)


def read_size(text: str) -> int:
    """``500MB``, ``2GB``, ``1.5GiB`` or a number of bytes. Raises SP908 for anything else."""
    size = SIZE.fullmatch(text.strip())
    count = int(float(size[1]) * UNITS[size[2].upper()]) if size else 0
    require(count > 0, "SP908", f"{text!r} is no size of memory", mend="write it as 500MB, 2GB or 1.5GiB")
    return count


def read_pairs(texts: Sequence[str]) -> dict[str, str]:
    """``KEY=VALUE`` options as a dict. Raises SP908 for one without "="."""
    pairs = dict(text.partition("=")[::2] for text in texts)
    for key, value in pairs.items():
        require(bool(key and value), "SP908", f"{key!r} has no value", mend="write KEY=VALUE")
    return pairs


def read_bits(text: str) -> int | str:
    """Bits of a weight, or ``auto``. Raises SP400 for anything else."""
    if text != "auto" and not text.isdigit():
        fail("SP400", f"weight bits {text!r}", mend="give a number from 1 to 8, or auto")
    return text if text == "auto" else int(text)


def read_shape(text: str) -> tuple[int, ...]:
    """``3,32,32`` as a shape. Raises SP908 for anything else."""
    sizes = [size.strip() for size in re.split(r"[,x]", text)]
    require(
        all(s.isdigit() and int(s) > 0 for s in sizes), "SP908", f"{text!r} is no shape", mend="write it as 3,32,32"
    )
    return tuple(map(int, sizes))


def unless_none(text: str) -> str | None:
    """The word ``none`` is None."""
    return None if text == "none" else text


#: a model by path, by name, as a module or as a graph that is there already: `load_model` says what
ModelLike = Annotated[
    str | Path | Graph | Model | Any,
    Help("Checkpoint, .nir, .onnx, .net, the name of a shipped model, or file.py:function, which runs it.", place=True),
]
#: anything that holds samples: `load_data` says what
DataLike = str | Path | Array | Any
DataName = Annotated[DataLike | None, Help("Name of a data set, a .npz, .npy or NIRData file, or a folder.")]
Labels = Annotated[DataLike | None, Help("A .npy file with the class numbers, where the data have none.")]
#: 0.1's word for data without labels, in the verbs that had it
SamplesToo = Annotated[DataLike | None, Help("The same as --data.", flags=("--input",))]
Split = Annotated[str, Help("train, val or test.")]
TargetName = Annotated[str | None, Help("Where to run it; `spikeport targets` lists.")]
Device = Annotated[str, Help("Which processor computes: cpu, cuda, cuda:1, …, or auto.")]
#: what `spikeport.jobs.executor` takes
On = Annotated[str, Help("Which machines: here, processes:4 of this one, ray, or ray://…")]
Limit = Annotated[int | None, Help("Only the first N samples.")]
Batch = Annotated[int | None, Help("Samples at once.", least=1)]
Memory = Annotated[
    int | None,
    Help("Or as many as take about 500MB, 2GB, …; for Lava and SANA-FE a limit.", metavar="SIZE", read=read_size),
]
Seconds = Annotated[float | None, Help("Seconds the run may take.", flags=("--time-limit",))]
Resume = Annotated[bool, Help("Go on after the parts that are finished.")]
#: four that say of another tool's file what it does not; `load_model` takes them
Dt = Annotated[float | None, Help("Seconds a step, for NIR files that do not say.")]
Timesteps = Annotated[int | None, Help("Steps to run, where the model leaves them open.", least=1)]
Frames = Annotated[bool, Help("Each sample has a frame for each step.")]
Clip = Annotated[bool, Help("Cut off input beyond what integers were made for.")]
Nir = Annotated[
    Mapping[str, str] | None,
    Help(
        "What another tool's NIR file does not say: written_by, reset, rule, compare, integrator, drive, clock, "
        "decays, spikes, start, bound, coding, output.",
        flags=("--nir",),
        metavar="KEY=VALUE",
        read=read_pairs,
        many=True,
    ),
]
Progress = Callback  #: told how many are done, of how many; the command line shows a bar
