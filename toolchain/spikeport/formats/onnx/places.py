"""Where a model of ours keeps the arrays of a node: in an initialiser, or written out in the metadata."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import helper

from spikeport.formats import facts as facts_
from spikeport.formats.typed import require_type
from spikeport.graph import Array


def placed(arrays: Mapping[str, Array], stored: Mapping[str, str], types: Mapping[str, int]) -> dict[str, facts_.Facts]:
    """The place of each array: ``stored`` names initialisers, ``types`` their element types.

    A portable model has floats where a chip's numbers are whole: their own type is told beside.
    """
    places: dict[str, facts_.Facts] = {}
    for key, value in arrays.items():
        if key not in stored:
            places[key] = _written_out(value)
            continue
        places[key] = {"initializer": stored[key], "shape": list(value.shape)}
        if types[stored[key]] != helper.np_dtype_to_tensor_dtype(value.dtype):
            places[key]["dtype"] = value.dtype.name
    return places


def _written_out(value: Array) -> facts_.Facts:
    """An array that no operator uses, as JSON: its type, shape and bytes (little-endian, base64)."""
    small = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
    return {"dtype": value.dtype.name, "shape": list(value.shape), "base64": base64.b64encode(small.tobytes()).decode()}


def array_of(place: Mapping[str, Any], arrays: Mapping[str, Array]) -> Array:
    """The array of a place, from the model's initialisers by name. Raises ValueError where they do not hold it."""
    require_type("a shape", place["shape"], list[int])
    if min(place["shape"], default=0) < 0:
        raise ValueError(f"an array of shape {place['shape']}")
    if "initializer" in place and "dtype" not in place:
        return arrays[place["initializer"]].reshape(place["shape"])
    require_type("the type of an array", place["dtype"], str)
    dtype = np.dtype(place["dtype"])
    if dtype.kind not in "biuf":
        raise ValueError(f"an array of {dtype}")
    if "initializer" in place:
        array = arrays[place["initializer"]].reshape(place["shape"])
        again = array.astype(dtype)
        if not np.array_equal(again, array):
            raise ValueError(f"numbers that {dtype} does not hold")
        return again
    return (
        np.frombuffer(base64.b64decode(place["base64"]), dtype.newbyteorder("<")).astype(dtype).reshape(place["shape"])
    )
