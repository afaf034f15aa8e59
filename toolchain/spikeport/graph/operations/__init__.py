"""The operations, a file each. This table is all that the graph room, NIR, costs and quantisation need to know them."""

from spikeport.graph.operation import Operation
from spikeport.graph.operations.concat import Concat
from spikeport.graph.operations.dilate import Dilate
from spikeport.graph.operations.gate import Gate
from spikeport.graph.operations.matmul import MatMul
from spikeport.graph.operations.maximum import Maximum
from spikeport.graph.operations.repeat import Repeat
from spikeport.graph.operations.reshape import Reshape
from spikeport.graph.operations.slice import Slice
from spikeport.graph.operations.step_affine import StepAffine
from spikeport.graph.operations.sum import Sum

OPERATIONS: tuple[type[Operation], ...] = (
    Concat,
    Dilate,
    Gate,
    MatMul,
    Maximum,
    Repeat,
    Reshape,
    Slice,
    StepAffine,
    Sum,
)

__all__ = [
    "OPERATIONS",
    "Concat",
    "Dilate",
    "Gate",
    "MatMul",
    "Maximum",
    "Operation",
    "Repeat",
    "Reshape",
    "Slice",
    "StepAffine",
    "Sum",
]
