"""Names of a package that are imported when they are first used, so that a command loads no more than it needs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def on_first_use(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package whose names stand in the modules ``homes``, or as ``module:other_name``.

    To be set where no type checker looks, so that those know the names of the package and no other. It raises
    AttributeError for any other name.
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, there = homes[name].partition(":")
        value = getattr(import_module(module), there or name)
        setattr(sys.modules[package], name, value)  # found at once from now on
        return value

    return find
