"""``spikeport doctor``: what is here, and how to get what is not."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

from spikeport import datasets
from spikeport.target import Availability
from spikeport.told import Told
from spikeport.verbs.parameters import Help
from spikeport.verbs.targets import environments, targets

#: Packages whose versions change results, in the order of the way of the data.
PACKAGES = (
    "spikeport",
    "torch",
    "numpy",
    "numba",
    "nir",
    "onnx",
    "onnxruntime",
    "lava-nc",
    "safetensors",
    "scikit-learn",
)


@dataclass(frozen=True, repr=False)
class Doctor(Told):
    """What this installation can do."""

    versions: dict[str, str]  #: package -> version; empty where it is missing
    targets: dict[str, Availability]
    environments: dict[str, str]  #: target -> where its environment lies, or how to make it
    gpu: str  #: its name, or why there is none
    datasets: dict[str, str]  #: name -> where it lies, or how to get it
    prepared: dict[str, float] = field(default_factory=dict)  #: loops that were compiled now -> seconds it took


def machine() -> dict[str, str]:
    """When and on what: the date, the processor and, where torch can use one, the graphics card."""
    import torch

    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{platform.processor() or platform.machine()}, {os.cpu_count()} threads",
    }
    return facts | ({"card": torch.cuda.get_device_name()} if torch.cuda.is_available() else {})


def versions() -> dict[str, str]:
    """Python and the packages whose versions change results."""
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def doctor(prepare: Annotated[bool, Help("Compile the usual loops now, once a machine.")] = False) -> Doctor:
    """Versions, targets, data sets and the GPU: what is here, and how to get what is not.

    Raises SP545 where the loops do not compile.

    Examples:

        spikeport doctor

        spikeport doctor --prepare

        spikeport doctor --json
    """
    seconds: dict[str, float] = {}
    if prepare:  # which starts other processes before torch is imported
        from spikeport.verbs.prepare import prepare as compile_loops

        seconds = compile_loops()
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none that this torch can use"
    return Doctor(versions(), targets(), _environments(), gpu, datasets.status(), seconds)


def _environments() -> dict[str, str]:
    return {
        name: f"missing: {each.command}" if each.interpreter() is None else str(each.folder)
        for name, each in environments().items()
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
