"""What stands for a format: good files of it, how they are damaged, and how a verb reads them to the end."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

File = tuple[str, bytes]  #: ending and contents


@dataclass(frozen=True)
class Format:
    """One format."""

    originals: Callable[[Path], list[File]]
    mutate: Callable[[str, bytes, np.random.Generator], bytes]
    read: Callable[[Path], object]  #: as the verbs do, in a folder of its own


def saved(write, *arrays, **named):
    out = io.BytesIO()
    write(out, *arrays, **named)
    return out.getvalue()
