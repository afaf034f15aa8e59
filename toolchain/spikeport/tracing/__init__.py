"""PyTorch modules, the authors' checkpoints and ONNX models of other tools' neurons become graphs."""

from spikeport.tracing.module import capture
from spikeport.tracing.registry import Cells, register_neuron

__all__ = ["Cells", "capture", "register_neuron"]
