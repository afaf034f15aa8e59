"""What is said of a name that is no model: which are, and what to do about the files that people try."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Never

from spikeport.findings import fail
from spikeport.nearest import choose

CODE = "say which function or module in it is the network: {path}:NAME"
WEIGHTS = (
    "it holds weights without the network's code: name a function that loads them, my.py:net; or, for a checkpoint of "
    "the authors' code, spikeport import-checkpoint {path}"
)
MENDS = {".py": CODE, ".pt": WEIGHTS, ".pth": WEIGHTS, ".ckpt": WEIGHTS, ".tar": WEIGHTS, ".bin": WEIGHTS}


def no_model(name: str, path: Path, shipped: Iterable[str]) -> Never:
    """Raise SP902 for what is neither a file with a model nor one of the ``shipped``."""
    what = "has no ending that spikeport knows" if path.exists() else "is neither a file nor a shipped model"
    usual = "name a .safetensors, .nir, .onnx or .net file, package:function, or a shipped model"
    mend = MENDS[path.suffix].format(path=name) if path.suffix in MENDS else f"{usual}: {choose(name, shipped)}"
    fail("SP902", what, where=name, mend=mend)
