"""Tensors of an ONNX message as arrays. Nothing outside it is opened, and nothing is taken for more than it has."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from spikeport.findings import fail
from spikeport.formats.facts import misread
from spikeport.graph import Array


def array(tensor: TensorProto, what: str) -> Array:
    """The numbers of a tensor; ``what`` is what a message calls it.

    Raises SP250 where its data lie in another file (numpy_helper.to_array would open it), where they do not fill its
    shape, and for types that numpy does not compute with (texts, complex numbers, bfloat16, four bits).
    """
    if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
        fail(
            "SP250",
            f"{what} lies in another file, which spikeport does not open",
            mend="save the model with its data inside: onnx.save_model(..., save_as_external_data=False)",
        )
    try:
        dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
        if dtype.kind not in "biuf":
            raise TypeError(f"it holds {TensorProto.DataType.Name(tensor.data_type)}")
        shape = tuple(tensor.dims)
        if min(shape, default=0) < 0:
            raise ValueError(f"its shape is {shape}")
        if tensor.HasField("raw_data"):
            return np.frombuffer(tensor.raw_data, dtype.newbyteorder("<")).reshape(shape)
        return np.asarray(numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError, ArithmeticError, MemoryError) as error:
        fail(
            "SP250",
            f"{what} is damaged or of a type that spikeport does not read ({misread(error)})",
            mend="export it again, with float32 or float64 weights",
        )
