"""Whether Triton can build kernels here, and if not, why."""

from __future__ import annotations

import os
import shutil
import sysconfig
from functools import cache
from importlib.util import find_spec
from pathlib import Path


@cache
def missing() -> str:
    """What is missing for Triton's kernels, as half a sentence; nothing where they can be built and run.

    Triton comes with torch's CUDA build. It builds the launcher of each kernel with the system's C compiler and
    Python's headers when the kernel is first used. In its interpreter (``TRITON_INTERPRET=1``) it needs neither.
    """
    if find_spec("triton") is None:
        return "Triton is not installed"
    if interpreting():
        return ""
    compiler = os.environ.get("CC") or next(filter(None, map(shutil.which, ("gcc", "clang", "cc"))), None)
    if compiler is None:
        return "Triton finds no C compiler"
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        return "Triton finds no Python.h, which a Linux distribution keeps in a package such as python3-dev"
    return ""


def interpreting() -> bool:
    """Whether kernels run in Triton's interpreter, on the CPU."""
    return os.environ.get("TRITON_INTERPRET") == "1"
