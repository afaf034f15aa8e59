"""``package:function``: the one way to name code, which then runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from torch import nn

from spikeport.findings import SpikeportError, fail
from spikeport.graph import Graph
from spikeport.tracing.module import capture

OPTIONS = ("timesteps", "forward", "coding", "output", "verify", "fold")


@dataclass(frozen=True)
class Named:
    """What the function of ``package:function`` returned."""

    module: nn.Module
    input_shape: tuple[int, ...]
    options: Mapping[str, Any] = field(default_factory=dict)  #: for `capture`

    def graph(self) -> Graph:
        """The module, captured."""
        return capture(self.module, self.input_shape, **self.options)


def named(reference: str) -> Named:
    """Import ``package``, call ``function()`` and take what it returns. This runs code: name only what you trust.

    The function takes no argument and returns ``(module, input_shape)`` or ``(module, input_shape, options)``, with
    ``options`` for `capture` such as ``{"timesteps": 8, "forward": "step"}``; or a module that has an ``input_shape``.
    The package is looked for in the current folder too. Raises SP397 with what is wrong.
    """
    package, colon, function = reference.partition(":")
    if not colon or not package or not function:
        fail(
            "SP397",
            f"{reference!r} is not package:function",
            mend="name it as package:function, for instance mynets.small:build",
        )
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        make = getattr(import_module(package), function)
    except AttributeError:
        fail("SP397", f"the package {package!r} has no function {function!r}", mend="check the name")
    except ImportError as error:
        fail("SP397", f"cannot import {package!r}: {error}", mend="run where it can be imported, or set PYTHONPATH")
    except Exception as error:
        fail("SP397", f"importing {package!r} fails: {type(error).__name__}: {error}")
    try:
        result = make()
    except SpikeportError:
        raise
    except Exception as error:
        fail("SP397", f"{reference} fails: {type(error).__name__}: {error}", mend="it is called without arguments")
    return _taken(result, reference)


def _taken(result: Any, reference: str) -> Named:
    if isinstance(result, nn.Module):
        result = (result, getattr(result, "input_shape", None))
    module, shape, options = (*result, {})[:3] if isinstance(result, tuple) and len(result) in (2, 3) else (None,) * 3
    whole = isinstance(shape, tuple | list) and all(isinstance(n, int) and n > 0 for n in shape)
    if not isinstance(module, nn.Module) or not whole or not isinstance(options, Mapping):
        fail(
            "SP397",
            f"{reference} returns no module with its input shape",
            mend="return (module, input_shape), for instance (net, (1, 28, 28))",
        )
    if unknown := sorted(set(options) - set(OPTIONS)):
        fail(
            "SP397",
            f"{reference} returns options that capture has not: {', '.join(unknown)}",
            mend=f"it has: {', '.join(OPTIONS)}",
        )
    return Named(module, tuple(shape), dict(options))
