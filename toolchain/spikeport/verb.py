"""Lets a room carry the verb of its name: ``spikeport.compare`` is the package, ``spikeport.compare(a, b)`` the verb.

Python binds a sub-package to its name in the parent as soon as anybody imports it, so a function of the same name would
be lost at an unforeseeable moment. A module that can be called keeps both meanings. The functions, with their
signatures for type checkers, are ``spikeport.api.<verb>.<verb>``.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class Room(ModuleType):
    """A package that is called like its verb."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Call the verb of the package's name."""
        return verb(self.__name__.rpartition(".")[2])(*args, **options)


def verb(name: str) -> Any:
    """The function behind a verb."""
    return getattr(import_module(f"spikeport.api.{name}"), name)


def callable_room(name: str) -> None:
    """Make the module ``name`` callable."""
    sys.modules[name].__class__ = Room
