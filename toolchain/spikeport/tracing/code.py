"""``package:function`` or ``file.py:function``: how code is named, which then runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from spikeport import ending
from spikeport.findings import SpikeportError, fail
from spikeport.graph import Graph
from spikeport.nearest import choose
from spikeport.tracing.module import capture

OPTIONS = ("timesteps", "forward", "coding", "output", "verify", "fold")


@dataclass(frozen=True)
class Named:
    """What the function of ``package:function`` returned."""

    module: nn.Module
    input_shape: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)  #: for `capture`

    def graph(self, timesteps: int | None = None) -> Graph:
        """The module, captured; ``timesteps`` are for one that does not say how many it runs."""
        if timesteps is None or "timesteps" in self.options:
            return capture(self.module, self.input_shape, **self.options)
        try:
            return capture(self.module, self.input_shape, **self.options, timesteps=timesteps)
        except SpikeportError as error:
            try:
                return self.graph()
            except SpikeportError:
                raise error from None


def named(reference: str, shape: tuple[int, ...] | None = None) -> Named:
    """Import ``package``, or run ``file.py``, and take what ``function()`` returns. Name only code that you trust.

    The function takes no argument and returns what `taken` takes; a module, or a tuple of one, may stand in its place.
    A module that does not say its ``input_shape`` takes samples of ``shape``. The package is looked for in the current
    folder too, and what a file imports in the folder of the file. Raises SP397 with what is wrong.
    """
    package, colon, function = reference.partition(":")
    if not colon or not package or not function:
        fail(
            "SP397",
            f"{reference!r} is not package:function",
            mend="name it as package:function or file.py:function, for instance mynets.small:build",
        )
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        code = import_module(_beside(Path(package)) if package.endswith(".py") else package)
    except SpikeportError:
        raise
    except ImportError as error:
        fail("SP397", f"cannot import {package!r}: {error}", mend="run where it can be imported, or set PYTHONPATH")
    except BaseException as error:
        if ending.asked(error):
            raise
        fail("SP397", f"importing {package!r} fails: {type(error).__name__}: {error}")
    if not hasattr(code, function):
        mend = choose(function, _makers(code))
        fail("SP397", f"{package} has no function {function!r}", mend=mend)
    make = getattr(code, function)
    if isinstance(make, nn.Module | tuple):
        return taken(make, reference, shape)
    try:
        result = make()
    except SpikeportError:
        raise
    except BaseException as error:  # what people derive theirs from need be no Exception, as that of sys.exit
        if ending.asked(error):
            raise
        fail("SP397", f"{reference} fails: {type(error).__name__}: {error}", mend="it is called without arguments")
    return taken(result, reference, shape)


def _makers(code: ModuleType) -> list[str]:
    """The names in it that may make a network: its own functions and classes, networks, and tuples."""
    own = code.__name__.partition(".")[0]
    named = {name: value for name, value in vars(code).items() if not name.startswith("_")}

    def is_its_own(value: object) -> bool:
        return callable(value) and str(getattr(value, "__module__", "")).partition(".")[0] == own

    return sorted(name for name, value in named.items() if isinstance(value, nn.Module | tuple) or is_its_own(value))


def _beside(path: Path) -> str:
    """The name under which a file is imported; what it imports may lie beside it. Raises SP397 where there is none.

    A file with the name of a package gets another one, so that both can be imported.
    """
    if not path.is_file():
        fail("SP397", "there is no such file", where=str(path), mend="check the path")
    here, name = path.resolve(), path.stem
    if (folder := str(here.parent)) not in sys.path:
        sys.path.insert(0, folder)
    known = sys.modules.get(name)
    origin = getattr(known, "__file__", None) if known is not None else _origin(name)
    if origin is not None and Path(origin).resolve() == here:
        return name
    name = f"{name} of {here.parent}"
    if name not in sys.modules:
        spec = spec_from_file_location(name, here)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return name


def _origin(name: str) -> str | None:
    """The file that an import of ``name`` would run; None for none, and for names that are no identifiers."""
    spec = find_spec(name) if name.isidentifier() else None
    return None if spec is None else spec.origin


def taken(result: Any, reference: str, shape: tuple[int, ...] | None = None) -> Named:
    """A module with its input: ``(module, input_shape)``, ``(module, input_shape, options)``, or a module alone.

    ``options`` are for `capture`, such as ``{"timesteps": 8, "forward": "step"}``. A module alone has an
    ``input_shape``, or takes samples of ``shape``. Raises SP397.
    """
    if isinstance(result, nn.Module):
        result = (result, getattr(result, "input_shape", shape))
    module, shape, options = (*result, {})[:3] if isinstance(result, tuple) and len(result) in (2, 3) else (None,) * 3
    whole = isinstance(shape, tuple | list) and all(isinstance(n, int) and n > 0 for n in shape)
    if not isinstance(module, nn.Module) or not whole or not isinstance(options, Mapping):
        fail(
            "SP397",
            f"{reference} returns no module with its input shape",
            mend="give (module, input_shape), for instance (net, (1, 28, 28)); a module alone takes the shape of "
            "a verb's samples, where it is given some",
        )
    if unknown := sorted(set(options) - set(OPTIONS)):
        fail(
            "SP397",
            f"{reference} returns options that capture has not: {', '.join(unknown)}",
            mend=f"it has: {', '.join(OPTIONS)}",
        )
    return Named(module, tuple(shape), dict(options))
