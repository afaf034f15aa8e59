"""Lets Lava 0.10 work on Python 3.11 and later and on numpy 2, without touching what is installed.

``lava/magma/compiler/var_model.py`` has an instance of the unhashable dataclass `ByteEncoder` as a field default, which
dataclasses refuse since 3.11. That one module is compiled with ``unsafe_hash`` switched on for that class, which is
what 3.10 did in effect. Install the shim before any lava module is imported; forked processes inherit it.

Lava's Conv keeps its sizes as int8. Beyond 127 channels, rows or columns numpy 2 refuses to compute with them; `widen`
declares them as int32, which changes no sum.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

MODULE = "lava.magma.compiler.var_model"
DECLARED = "@dataclass\nclass ByteEncoder:"
HASHABLE = "@dataclass(unsafe_hash=True)\nclass ByteEncoder:"


class PatchedLoader(SourceFileLoader):
    """Compiles the one module from patched source, past the bytecode cache."""

    def get_code(self, fullname: str) -> CodeType:
        """The patched module's code. Raises ImportError if it is not the version that the patch is for."""
        source = self.get_data(self.path).decode("utf-8")
        if DECLARED not in source:
            raise ImportError(f"{self.path} is not the lava-nc 0.10.0 that spikeport's import shim knows")
        return compile(source.replace(DECLARED, HASHABLE), self.path, "exec", dont_inherit=True)


class VarModelFinder(MetaPathFinder):
    """Answers for one module name and declines all others."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's ordinary spec with the patched loader."""
        if fullname != MODULE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = PatchedLoader(fullname, spec.origin)
        return spec


def install() -> None:
    """Make the next import of lava work; does nothing where it is not needed."""
    needed = sys.version_info >= (3, 11) and MODULE not in sys.modules
    if needed and not any(isinstance(finder, VarModelFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, VarModelFinder())


def widen() -> None:
    """Let Lava's own Conv have more than 127 channels, rows or columns. Call once Lava can be imported."""
    import numpy as np
    from lava.magma.core.model.py.type import LavaPyType
    from lava.proc.conv.models import AbstractPyConvModel

    for size in ("kernel_size", "stride", "padding", "dilation", "groups"):
        setattr(AbstractPyConvModel, size, LavaPyType(np.ndarray, np.int32, precision=8))
