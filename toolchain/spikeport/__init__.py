"""spikeport: from a trained PyTorch spiking network to Loihi arithmetic, with proof that it is still the same network.

The verbs of the command line are functions here: ``spikeport.run``, ``export``, ``quantize``, ``simulate`` and so on.
They are imported when first used, so that ``import spikeport`` stays light.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

#: Verbs that are no packages of the same name; those are callable themselves (see `spikeport.verb`).
_VERBS = ("run", "export", "quantize", "simulate", "evaluate", "events", "doctor", "inspect", "check", "explain",
          "import_checkpoint")  # fmt: skip
_ROOMS = ("train", "compare", "energy", "report", "fit", "targets")


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _VERBS:
        from spikeport.verb import verb

        return verb(name)
    if name in _ROOMS:
        return import_module(f"spikeport.{name}")
    raise AttributeError(f"module 'spikeport' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_VERBS, *_ROOMS})
