"""Process models for Loihi's integers and for floating point, each pair from one description.

A description is a class whose annotations say what is a port and what is an array. Its module must not import
annotations from the future: they are read here, and Lava runs the file again under another name to find the models.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort, PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

KINDS = {port: port.VEC_DENSE for port in (PyInPort, PyOutPort, PyRefPort)} | {np.ndarray: np.ndarray}


@dataclass(frozen=True)
class Number:
    """What the values of a model are."""

    prefix: str  #: of the model's name
    dtype: type
    tags: tuple[str, ...]  #: by which a run chooses


FIXED = Number("Fixed", np.int32, ("fixed_pt", "bit_accurate_loihi"))
FLOAT = Number("Float", float, ("floating_pt",))


def model(process: type, description: type, number: Number) -> type:
    """The model of a process for one kind of number. To be found, it must stand in its module under its own name."""
    types = {
        name: LavaPyType(KINDS[kind], number.dtype)
        for base in description.__mro__
        for name, kind in inspect.get_annotations(base).items()
        if kind in KINDS
    }
    name = number.prefix + process.__name__
    whole = type(name, (description,), {**types, "__module__": description.__module__, "__doc__": description.__doc__})
    finished: type = implements(proc=process, protocol=LoihiProtocol)(requires(CPU)(tag(*number.tags)(whole)))
    return finished


def twins(process: type, description: type) -> tuple[type, type]:
    """The models of a process that computes alike in both kinds of numbers: fixed point, floating point."""
    return model(process, description, FIXED), model(process, description, FLOAT)
